"""migrate-to: from one machine's SQLite and folders to a PostgreSQL and a bucket."""

from contextlib import closing
from typing import Any

import click
from tqdm import tqdm

from jobserver.auth.keys import FILE_NAME
from jobserver.cli.common import command, current_settings, current_store, other_store
from jobserver.db import Connection, database_id, open_alone, transfer
from jobserver.files.store import Store
from jobserver.jobs import ownership, relocation
from jobserver.settings import Settings
from jobserver.storage_url import StorageUrl, storage_url

SHOWN = 10  # of the files that something is said about


def _bucket(_context: click.Context, _option: click.Parameter, value: Any) -> StorageUrl | None:
    """Read an address like STORAGE_URL."""
    try:
        return None if value is None else storage_url(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@command("migrate-to")
@click.option("--database-url", "url", metavar="URL", help="postgresql://..., an empty database.")
@click.option(
    "--storage-url", "bucket", metavar="URL", callback=_bucket, help="s3://bucket/prefix, empty."
)
@click.option("--undo", is_flag=True, help="Copy nothing: let this database be used again.")
def migrate_to(url: str | None, bucket: StorageUrl | None, undo: bool) -> None:
    """Copy this machine's database and files to a PostgreSQL and a bucket, for many machines.

    Stop the server and the workers first. The database here is put out of use; it and its
    folders stay as they are. A run that was interrupted goes on where it stopped. A password may
    stand in PGPASSWORD in place of the URL, which other users of this machine can read.
    """
    settings = current_settings()
    if settings.database_url is not None:
        raise click.UsageError("DATABASE_URL is set: this server is not on SQLite and folders")
    with closing(open_alone(settings.database)) as source:
        if undo:
            transfer.put_into_use(source)
            click.echo("This database may be used again.")
            return
        if url is None or bucket is None:
            raise click.UsageError("It needs --database-url and --storage-url")
        if reasons := ownership.why_not_all(source, current_store()):
            raise click.ClickException(f"{'; '.join(reasons)}; nothing was copied")
        _move(source, url, bucket)
    _echo_next(settings)


def _move(source: Connection, url: str, bucket: StorageUrl) -> None:
    store = other_store(storage_url=bucket, storage_public_url=None)
    with closing(transfer.open_target(url, source)) as target:
        if transfer.is_finished(source, target):
            click.echo("Everything had been copied before.")
            return
        relocation.require_empty_or_own(store, database_id(source))
        transfer.put_out_of_use(source, url)
        _copy_files(source, target, store)
        rows = transfer.copy_rows(source, target)
        click.echo(f"{rows:,} rows were copied, read back and are the same.")


def _copy_files(source: Connection, target: Connection, to_store: Store) -> None:
    """Copy what an earlier run has not; say what was wrong with files before."""
    listed, done = relocation.listed_files(source), transfer.copied_files(target)
    left = [
        key for key, sha256 in listed.items() if key not in done or sha256 not in (None, done[key])
    ]
    missing = relocation.missing_files(current_store(), left)
    damaged, size = [], 0
    copies = relocation.copy_files(current_store(), to_store, set(left) - set(missing))
    with tqdm(total=len(left) - len(missing), unit="file", disable=None) as bar:
        for copied in copies:
            transfer.note_copied_file(target, copied.key, copied.sha256)
            size += copied.size
            bar.update()
            if listed[copied.key] not in (None, copied.sha256):
                damaged.append(copied.key)
    count = len(left) - len(missing)
    click.echo(f"{count:,} files of {size:,} bytes were copied, read back and are the same.")
    if len(listed) > len(left):
        click.echo(f"{len(listed) - len(left):,} files had been copied before.")
    _echo_keys("were missing here before, and are there", missing)
    _echo_keys("do not have the SHA-256 of their rows, here and there", damaged)


def _echo_keys(what: str, keys: list[str]) -> None:
    if keys:
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        click.echo(f"{len(keys)} files {what}: {', '.join(sorted(keys)[:SHOWN])}{more}")


def _echo_next(settings: Settings) -> None:
    key = "SECRET_KEY"
    if settings.secret_key is None:
        key = f"SECRET_KEY (what {settings.instance_dir / FILE_NAME} holds)"
    click.echo(f"Start servers and workers with DATABASE_URL, STORAGE_URL and {key}.")
    click.echo("The database here is out of use; `migrate-to --undo` lets it be used again.")
