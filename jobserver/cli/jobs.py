"""jobs: what there is, how far it is, which worker renders it, and what went wrong."""

import json
import time
from collections.abc import Sequence
from typing import Any

import click

from jobserver.brief import recipes
from jobserver.cli.common import command, current_settings, in_app, open_database
from jobserver.db import Connection
from jobserver.jobs import events, overview, queries
from jobserver.jobs.model import Job, expires_at
from jobserver.jobs.overview import FileOverview
from jobserver.jobs.progress import finished_at, percent, share_of
from jobserver.logs import one_line
from jobserver.times import iso_utc

TITLES = ("id", "status", "done", "variations", "age", "worker", "video", "error")
WIDTHS = (22, 10, 5, 10, 6, 12, 24, 1)
AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@click.group(invoke_without_command=True)
@click.option("--limit", default=50, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--events", "job_id", metavar="ID", help="Show what happened to one job instead.")
@in_app
def jobs(limit: int, as_json: bool, job_id: str | None) -> None:
    """List the newest jobs: status, progress, variations, age, worker, first video, error."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    with open_database() as db:
        if job_id is None:
            _echo_list(db, limit, as_json)
        else:
            _echo_events(db, job_id)


@command("show")
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(job_id: str, as_json: bool) -> None:
    """Show one job, and of each of its videos where its source is and who renders it."""
    with open_database() as db:
        job = queries.find_job(db, job_id)
        if job is None:
            raise click.ClickException(f"There is no job {job_id}")
        files = overview.files_with_workers(db, job_id)
    found = _json(job, files, time.time())
    if as_json:
        click.echo(json.dumps(found))
        return
    videos = found.pop("files")
    for about in (found, *videos):
        for name, value in about.items():
            click.echo(f"{name:20} {_text(value)}")
        click.echo()


jobs.add_command(show)


def _echo_list(db: Connection, limit: int, as_json: bool) -> None:
    found, now = queries.newest_jobs(db, limit), time.time()
    if found and not as_json:
        click.echo(_columns(TITLES))
    for job in found:
        about = _json(job, overview.files_with_workers(db, job.id), now)
        click.echo(json.dumps(about) if as_json else _line(about))


def _echo_events(db: Connection, job_id: str) -> None:
    found = events.events_of(db, job_id)
    if not found:
        raise click.ClickException(f"There is no job {job_id}, or nothing is recorded of it")
    for event in found:
        about = event.output_id or event.file_id or event.job_id
        data = "" if event.data == "{}" else f"  {event.data}"
        click.echo(f"{iso_utc(event.at)}  {event.kind:15}  {about}{data}")


def _json(job: Job, files: Sequence[FileOverview], now: float) -> dict[str, Any]:
    """Describe a job in the words of the API where it has them."""
    lifetime_s = current_settings().job_lifetime
    expires = expires_at(job.created_at, finished_at(files), lifetime_s)
    return {
        "id": job.id,
        "title": job.title,
        "status": job.status,
        "progress": percent(share_of(files), ended=job.ended),
        "completedVariations": sum(file.completed_variations for file in files),
        "totalVariations": job.total_variations,
        "createdAt": iso_utc(job.created_at),
        "ageSeconds": int(now - job.created_at),
        "expiresAt": iso_utc(expires),
        "recipe": recipes.shown(job.recipe),
        "seed": job.seed,
        "files": [_file_json(file) for file in files],
    }


def _file_json(file: FileOverview) -> dict[str, Any]:
    return {
        "id": file.id,
        "role": file.role,
        "name": file.name,
        "size": file.size,
        "source": file.stored_name,
        "status": file.status,
        "progress": percent(file.progress, ended=file.status == "completed"),
        "completedVariations": file.completed_variations,
        "attempts": file.attempts,
        "worker": file.worker if file.status == "processing" else None,
        "error": file.error,
    }


def _line(about: dict[str, Any]) -> str:
    """Write a job of _json() as one line of the list."""
    files = about["files"]
    more = f" +{len(files) - 1}" if len(files) > 1 else ""
    first = one_line(files[0]["name"])
    name = f"{first if len(first) <= 20 else first[:19] + '…'}{more}"
    workers = sorted({file["worker"] for file in files if file["worker"]})
    errors = dict.fromkeys(file["error"] for file in files if file["error"])
    return _columns(
        [
            about["id"],
            about["status"],
            f"{about['progress']} %",
            f"{about['completedVariations']}/{about['totalVariations']}",
            _age(about["ageSeconds"]),
            _text(workers) or "-",
            name,
            _text(list(errors)),
        ]
    )


def _columns(texts: Sequence[str]) -> str:
    cells = (f"{text:{width}}" for text, width in zip(texts, WIDTHS, strict=True))
    return "  ".join(cells).rstrip()


def _age(seconds: int) -> str:
    """Return the largest whole unit: `3 h`. A clock that was set back gives 0 s."""
    for size, unit in AGES:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"


def _text(value: Any) -> str:
    """Return a value for a terminal: what a client named cannot move its cursor."""
    if value is None:
        return "-"
    return one_line("; ".join(value) if isinstance(value, list) else str(value))
