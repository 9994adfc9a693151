"""init-db and worker: what prepares a server, and what renders."""

import logging

import click

from jobserver import db, metrics, render
from jobserver.cli.common import command, current_settings, current_store
from jobserver.folders import prepare_folders
from jobserver.worker import process


@command("init-db")
def init_db() -> None:
    """Create the database or bring it up to date; keeps what is in it."""
    settings = current_settings()
    prepare_folders(settings)
    version = db.initialise(settings.database_place)
    click.echo(f"The database {db.label(settings.database_place)} has version {version}.")


@command("worker")
@click.option("--once", is_flag=True, help="End as soon as no video can be taken.")
def worker(once: bool) -> None:
    """Render queued files until SIGTERM or Ctrl-C."""
    logging.getLogger("jobserver").setLevel(logging.INFO)  # its handler is the app's
    settings = current_settings()
    try:
        prepare_folders(settings)
        if settings.metrics_token is not None:
            metrics.start(settings.metrics_dir)
        db.check(settings.database_place)
        process.run(settings, current_store(), once=once)
    except render.EngineError as error:
        names = "FFMPEG, ENCODER, ENCODER_PRESET or ENCODER_RATE"
        raise click.ClickException(f"{names} cannot be used: {error}") from error
