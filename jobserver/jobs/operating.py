"""What an operator asks in a terminal: `flask jobs` and `flask sweep`."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import click

from jobserver.db import DatabaseError, check, connect, last_seen
from jobserver.jobs import expiry, output, store, told


def jobs_command(config: Mapping[str, Any]) -> click.Command:
    """Return `flask jobs` for an app with these settings."""

    @click.command("jobs")
    @click.option("--limit", default=50, help="How many, newest first.")
    def jobs(limit: int) -> None:
        """List the newest jobs: id, status, videos, variations each, when created."""
        with closing(_database(config)) as db:
            for job in store.newest_jobs(db, limit):
                created = told.timestamp(job["created_at"])
                size = f"{job['total_videos']} x {job['variations_per_video']}"
                click.echo(f"{job['id']}  {job['status']:10}  {size:>7}  {created}")

    return jobs


def sweep_command(config: Mapping[str, Any]) -> click.Command:
    """Return `flask sweep` for an app with these settings."""

    @click.command("sweep")
    @click.option("--dry-run", is_flag=True, help="Only say what would go, and why.")
    @click.option("--trust-clock", is_flag=True, help="Expire although the clock may have jumped.")
    def sweep(dry_run: bool, trust_clock: bool) -> None:
        """Remove what has expired, what is over the quota, and what nobody owns."""
        with closing(_database(config)) as db:
            storage, now = expiry.Storage.of(config), time.time()
            if not expiry.are_ours(db, storage):
                raise click.ClickException("A folder is not this database's; nothing is done")
            expired = expiry.too_old(db, storage, now)
            if expired and not trust_clock and _has_jumped(db, now):
                click.echo(f"The clock may have jumped: {len(expired)} jobs stay (--trust-clock)")
                expired = []
            for line in _explained(db, storage, expired):
                click.echo(line)
            if not dry_run:
                expiry.claim_folders(db, storage)
                _sweep(db, storage, expired, now)

    return sweep


def adopt_command(config: Mapping[str, Any]) -> click.Command:
    """Return `flask adopt` for an app with these settings."""

    @click.command("adopt")
    def adopt() -> None:
        """Take UPLOAD_DIR and OUTPUT_DIR for this database's, whatever they hold.

        After a database was restored or made anew. The next sweep removes the uploads and outputs
        that no job of this database names.
        """
        with closing(_database(config)) as db:
            storage = expiry.Storage.of(config)
            for folder in (storage.uploads, storage.outputs):
                expiry.mark(db, folder)
                click.echo(f"{folder} is this database's now.")

    return adopt


def _has_jumped(db: sqlite3.Connection, now: float) -> bool:
    """Return whether `now` is far ahead of the time that a worker noted last."""
    monotonic = time.monotonic()
    return not expiry.Clock(last_seen(db), now, monotonic).trusts(now, monotonic)


def _explained(db: sqlite3.Connection, storage: expiry.Storage, expired: list[str]) -> list[str]:
    evicted = expiry.too_much(db, expiry.shortage(db, storage))
    return [
        *(f"job {job_id}: expired" for job_id in expired),
        *(
            f"job {job_id}: over the quota, or its space is needed"
            for job_id in evicted
            if job_id not in expired
        ),
        *(f"job {job_id}: half removed" for job_id in store.removed_jobs(db)),
        *(
            f"{path}: belongs to no job (kept while it is being uploaded)"
            for path in expiry.orphaned_uploads(db, storage.uploads)
        ),
        *(f"{path}: belongs to no job" for path in output.orphans(db, storage.outputs)),
    ]


def _sweep(db: sqlite3.Connection, storage: expiry.Storage, expired: list[str], now: float) -> None:
    jobs = expiry.remove_all(db, storage, expired, now)
    jobs += expiry.evict(db, storage, lambda: expiry.shortage(db, storage), now)
    files = expiry.sweep_uploads(db, storage.uploads)
    files += expiry.sweep_outputs(db, storage.outputs)
    click.echo(f"Removed {jobs} jobs and {files} leftovers.")


def _database(config: Mapping[str, Any]) -> sqlite3.Connection:
    try:
        check(config["DATABASE"])
        return connect(config["DATABASE"])
    except (DatabaseError, sqlite3.Error) as error:
        raise click.ClickException(str(error)) from error


COMMANDS: tuple[Callable[[Mapping[str, Any]], click.Command], ...] = (
    jobs_command,
    sweep_command,
    adopt_command,
)
