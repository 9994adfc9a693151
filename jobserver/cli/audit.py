"""audit: which key or session did what to which job."""

import json
from typing import Any

import click

from jobserver.auth import audit
from jobserver.auth.audit import Entry
from jobserver.cli.common import command, open_database
from jobserver.times import iso_utc


@command("audit")
@click.option("--job", "job_id", metavar="ID", help="Only what was done to this job.")
@click.option("--key", "key_id", metavar="ID", help="Only what was done with this key.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
def show_audit(job_id: str | None, key_id: str | None, limit: int, as_json: bool) -> None:
    """List the latest acts of keys and sessions, the oldest first."""
    actor = None if key_id is None else f"key {key_id}"
    with open_database() as database:
        for entry in audit.entries(database, limit, job_id=job_id, actor=actor):
            click.echo(json.dumps(_entry_json(entry)) if as_json else _line(entry))


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "at": iso_utc(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "jobId": entry.job_id,
        "address": entry.address,
        "data": json.loads(entry.data),
    }


def _line(entry: Entry) -> str:
    data = "" if entry.data == "{}" else entry.data
    words = (iso_utc(entry.at), entry.actor, entry.action, entry.job_id or "", entry.address, data)
    return "  ".join(word for word in words if word)
