"""sweep and adopt: what is removed, and whose the folders are."""

import time

import click

from jobserver.cli.common import command, current_settings, current_store, open_database
from jobserver.db import Connection, clock_note
from jobserver.files.keys import output_key
from jobserver.files.store import Store
from jobserver.jobs import clock, ownership, quota, resumable, retention, sweep
from jobserver.jobs.clock import Reading
from jobserver.jobs.quota import SpaceLimits


@command("sweep")
@click.option("--dry-run", is_flag=True, help="Only say what would go, and why.")
@click.option("--trust-clock", is_flag=True, help="Expire although the clock may have jumped.")
def sweep_all(dry_run: bool, trust_clock: bool) -> None:
    """Remove what has expired, what exceeds the quota, and what belongs to no job."""
    settings, store = current_settings(), current_store()
    with open_database() as database:
        now = database.clock()
        if reasons := ownership.why_not_all(database, store):
            raise click.ClickException(f"{'; '.join(reasons)}; nothing is done")
        expired = retention.expired_ids(database, settings.job_lifetime, now)
        uploads = resumable.expired_ids(database, now)
        if (expired or uploads) and not trust_clock and not _clock_is_trusted(database, now):
            click.echo(f"The clock may have jumped: {len(expired)} jobs stay (--trust-clock)")
            expired, uploads = [], []
        limits = SpaceLimits.of(settings)
        for line in _reasons(database, store, limits, expired):
            click.echo(line)
        for upload_id in uploads:
            click.echo(f"upload {upload_id}: expired")
        if not dry_run:
            ownership.adopt_unowned(database, store)
            jobs = retention.expire(database, store, expired, now)
            jobs += quota.evict(database, store, limits, now=now)
            files = resumable.expire(database, store, uploads)
            files += sweep.sweep_uploads(database, store) + sweep.sweep_outputs(database, store)
            files += sweep.forget_missing(database, store, now)
            click.echo(f"Removed {jobs} jobs and {files} leftovers.")


def _clock_is_trusted(database: Connection, now: float) -> bool:
    """Return whether `now` fits to what the last round of a worker noted."""
    note = clock.judge(clock_note(database), None, Reading(now, time.monotonic()))
    return clock.is_trusted(note)


def _reasons(
    database: Connection, store: Store, limits: SpaceLimits, expired: list[str]
) -> list[str]:
    missing = quota.bytes_to_free(database, store, limits)
    ended = retention.ended_jobs(database) if missing > 0 else []
    evicted = [job.id for job in quota.choose_evictions(ended, missing)]
    outputs = (
        f"{output_key(job_id, name or '')}: belongs to no job"
        for job_id, name in sweep.orphaned_outputs(database, store)
    )
    return [
        *(f"job {job_id}: expired" for job_id in expired),
        *(
            f"job {job_id}: over the quota, or its space is needed"
            for job_id in evicted
            if job_id not in expired
        ),
        *(f"job {job_id}: half removed" for job_id in retention.marked_ids(database)),
        *(
            f"{key}: belongs to no job (kept while it is being uploaded)"
            for key in sweep.orphaned_uploads(database, store)
        ),
        *outputs,
    ]


@command("adopt")
def adopt() -> None:
    """Take UPLOAD_DIR and OUTPUT_DIR, or STORAGE_URL, for this database's, whatever they hold.

    After a database was restored or made anew. The next sweep removes the uploads and outputs
    that no job of this database names.
    """
    store = current_store()
    with open_database() as database:
        ownership.adopt(database, store)
    for root in store.roots:
        click.echo(f"{root.name} is this database's now.")
