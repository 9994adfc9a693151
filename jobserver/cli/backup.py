"""backup and restore: a copy of the database, and a list of the files that belong to it."""

import json
import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from jobserver import db
from jobserver.cli.common import command, current_settings, current_store, open_database
from jobserver.db import backup as copies
from jobserver.files.store import Store
from jobserver.jobs import inventory, ownership
from jobserver.jobs.inventory import StoredFile
from jobserver.modes import create_private
from jobserver.times import iso_utc
from jobserver.version import VERSION

SHOWN = 10  # of the files that something is said about
POSTGRES = """\
The database is a PostgreSQL, which has tools of its own:
  backup    pg_dump --format=custom --file={file} "$DATABASE_URL"
  restore   pg_restore --clean --if-exists --dbname="$DATABASE_URL" {file}
Make the dump before the list, or at the same time; {file}.files is the list."""


@command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the database into FILE, and list the files of all jobs in FILE.files.

    The server and the workers go on meanwhile. The files themselves are copied by whatever copies
    folders, after this: what came later does no harm. On a PostgreSQL it makes the list, and
    says how the database is copied.
    """
    settings, draft = current_settings(), Path(f"{file}.part")
    draft.unlink(missing_ok=True)
    if settings.database_url is not None:
        with open_database() as database:
            count = _write_list(file, db.database_id(database), inventory.inventory(database))
        click.echo(POSTGRES.format(file=file))
    else:
        db.check(settings.database)
        facts = copies.back_up(settings.database, draft)
        with closing(copies.open_copy(draft)) as copy:
            count = _write_list(file, facts.database_id, inventory.inventory(copy))
        os.replace(draft, file)
    click.echo(f"{count:,} files are listed in {_list_of(file)}; copy them after this.")


@command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check the backup, and that its files are there.")
@click.option("--read", is_flag=True, help="Also read the files, and compare their SHA-256.")
def restore(file: Path, check: bool, read: bool) -> None:
    """Make the database anew from FILE, where there is none; the folders become its own.

    Stop the server and the workers first, and move what is left of the database away.
    """
    settings, store = current_settings(), current_store()
    head, files = _read_list(file)
    if settings.database_url is None:
        facts = copies.check_backup(file)
        if facts.database_id != head["database"]:
            raise click.ClickException(f"{_list_of(file)} is not the list of {file}")
        click.echo(f"{file} is a whole database of version {facts.version}.")
    wrong = _check_files(store, files, read)
    if check:
        raise SystemExit(1 if wrong else 0)
    if settings.database_url is not None:
        click.echo(POSTGRES.format(file=file))
        return
    copies.put_in_place(file, settings.database)
    version = db.initialise(settings.database)
    with open_database() as database:
        ownership.adopt(database, store)
    click.echo(f"{settings.database} is restored, as of {head['at']}, with version {version}.")
    click.echo("What was uploaded since has no rows; `sweep --dry-run` lists its files.")


def _list_of(file: Path) -> Path:
    return Path(f"{file}.files")


def _write_list(file: Path, database_id: str, files: Sequence[StoredFile]) -> int:
    """Write a JSON object a line: first about all, then of each file. Raises OSError."""
    head = {
        "database": database_id,
        "at": iso_utc(time.time()),
        "jobserver": VERSION,
        "files": len(files),
    }
    lines = [head, *(each._asdict() for each in files)]
    draft = Path(f"{file}.files.part")
    draft.unlink(missing_ok=True)
    create_private(draft, "".join(json.dumps(line) + "\n" for line in lines))
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(draft, _list_of(file))
    return len(files)


def _read_list(file: Path) -> tuple[dict[str, Any], list[StoredFile]]:
    """Raises ClickException, or OSError when there is none."""
    text = _list_of(file).read_text()
    try:
        head, *lines = map(json.loads, text.splitlines())
        files = [StoredFile(**line) for line in lines]
        whole = head["files"] == len(files) and {"database", "at"} <= head.keys()
    except (ValueError, TypeError, KeyError) as error:
        raise click.ClickException(f"{_list_of(file)} is not a list of files") from error
    if not whole:
        raise click.ClickException(f"{_list_of(file)} is cut off")
    return head, files


def _check_files(store: Store, files: Sequence[StoredFile], read: bool) -> bool:
    """Say what is wrong with the files; return whether anything is."""
    wrong = list(inventory.wrong_files(store, files, read=read))
    for key, words in wrong[:SHOWN]:
        click.echo(f"{key} {words}")
    if len(wrong) > SHOWN:
        click.echo(f"and {len(wrong) - SHOWN:,} more")
    click.echo(f"{len(files) - len(wrong):,} of {len(files):,} files are there as listed.")
    return bool(wrong)
