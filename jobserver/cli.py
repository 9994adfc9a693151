"""What an operator types: `flask --app wsgi` with init-db, worker, jobs, sweep or adopt."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from jobserver import db, logs, render
from jobserver.db import Connection, DatabaseError, DatabaseUnusable, clock_note
from jobserver.errors import JobserverError
from jobserver.files.keys import output_key
from jobserver.files.store import Store
from jobserver.jobs import clock, events, ownership, queries, quota, retention, sweep
from jobserver.jobs.clock import Reading
from jobserver.jobs.quota import SpaceLimits
from jobserver.settings import Settings, prepare_folders
from jobserver.times import iso_utc
from jobserver.worker import process


@contextmanager
def _one_sentence() -> Iterator[None]:
    """End with one sentence and exit code 1 when the database or a folder is not as it must be."""
    try:
        yield
    except BrokenPipeError:  # of `| head`, which click knows
        raise
    except JobserverError as error:
        raise click.ClickException(_in_words(error)) from error
    except OSError as error:
        path = error.filename2 or error.filename or "A file"
        raise click.ClickException(f"{path}: {error.strerror}") from error


def _in_words(error: JobserverError) -> str:
    """Add what the driver says: an operator may know what to do about it."""
    if isinstance(error, DatabaseError) and not isinstance(error, DatabaseUnusable):
        return f"{error} ({error.__cause__})"
    return str(error)


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command that knows the app, and what ends it if anything does."""

    def decorate(function: Callable[..., None]) -> click.Command:
        return click.command(name)(with_appcontext(_one_sentence()(function)))

    return decorate


@_command("init-db")
def init_db() -> None:
    """Create the database or bring it up to date; keeps what is in it."""
    settings = _settings()
    prepare_folders(settings)
    version = db.initialise(settings.database)
    click.echo(f"The database {settings.database} has version {version}.")


@_command("worker")
def worker() -> None:
    """Render queued files until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, handlers=[logs.line_handler()])
    settings = _settings()
    try:
        prepare_folders(settings)
        db.check(settings.database)
        process.run(settings, _store())
    except render.EngineError as error:
        names = "FFMPEG, ENCODER, ENCODER_PRESET or ENCODER_RATE"
        raise click.ClickException(f"{names} cannot be used: {error}") from error


@_command("jobs")
@click.option("--limit", default=50, help="How many, newest first.")
@click.option("--events", "job_id", metavar="ID", help="Show what happened to one job instead.")
def list_jobs(limit: int, job_id: str | None) -> None:
    """List the newest jobs: id, status, videos, variations each, when created."""
    with _database() as database:
        if job_id is not None:
            _echo_events(database, job_id)
            return
        for job in queries.newest_jobs(database, limit):
            size = f"{job.total_videos} x {job.variations_per_video}"
            click.echo(f"{job.id}  {job.status:10}  {size:>7}  {iso_utc(job.created_at)}")


def _echo_events(database: Connection, job_id: str) -> None:
    found = events.events_of(database, job_id)
    if not found:
        raise click.ClickException(f"There is no job {job_id}, or nothing is recorded of it")
    for event in found:
        about = event.output_id or event.file_id or event.job_id
        data = "" if event.data == "{}" else f"  {event.data}"
        click.echo(f"{iso_utc(event.at)}  {event.kind:15}  {about}{data}")


@_command("sweep")
@click.option("--dry-run", is_flag=True, help="Only say what would go, and why.")
@click.option("--trust-clock", is_flag=True, help="Expire although the clock may have jumped.")
def sweep_all(dry_run: bool, trust_clock: bool) -> None:
    """Remove what has expired, what exceeds the quota, and what belongs to no job."""
    settings, store, now = _settings(), _store(), time.time()
    with _database() as database:
        if reasons := ownership.why_not_all(database, store):
            raise click.ClickException(f"{'; '.join(reasons)}; nothing is done")
        expired = retention.expired_ids(database, settings.job_lifetime, now)
        if expired and not trust_clock and not _clock_is_trusted(database, now):
            click.echo(f"The clock may have jumped: {len(expired)} jobs stay (--trust-clock)")
            expired = []
        limits = SpaceLimits.of(settings)
        for line in _reasons(database, store, limits, expired):
            click.echo(line)
        if not dry_run:
            ownership.adopt_unowned(database, store)
            jobs = retention.expire(database, store, expired, now)
            jobs += quota.evict(database, store, limits, now=now)
            files = sweep.sweep_uploads(database, store) + sweep.sweep_outputs(database, store)
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


@_command("adopt")
def adopt() -> None:
    """Take UPLOAD_DIR and OUTPUT_DIR for this database's, whatever they hold.

    After a database was restored or made anew. The next sweep removes the uploads and outputs
    that no job of this database names.
    """
    store = _store()
    with _database() as database:
        ownership.adopt(database, store)
    for root in store.roots:
        click.echo(f"{root.name} is this database's now.")


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings


def _store() -> Store:
    store: Store = current_app.extensions["store"]
    return store


@contextmanager
def _database() -> Iterator[Connection]:
    """Give a connection to the database, which is there and current."""
    path = _settings().database
    db.check(path)
    with closing(db.connect(path)) as database:
        yield database


COMMANDS = (init_db, worker, list_jobs, sweep_all, adopt)


def init_app(app: Flask) -> None:
    """Give `flask --app wsgi` our commands."""
    for command in COMMANDS:
        app.cli.add_command(command)
