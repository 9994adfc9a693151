"""What every command has: an app, its settings, store and database, and one sentence at its end."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import click
from flask import current_app
from flask.cli import with_appcontext

from jobserver import db
from jobserver.db import Connection, DatabaseError, DatabaseUnusable
from jobserver.errors import JobserverError
from jobserver.files.store import Store
from jobserver.settings import Settings


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


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command that knows the app, and what ends it if anything does."""

    def decorate(function: Callable[..., None]) -> click.Command:
        return click.command(name)(in_app(function))

    return decorate


def in_app(function: Callable[..., None]) -> Callable[..., None]:
    """Let a function know the app, and end with one sentence when something is amiss."""
    inside: Callable[..., None] = with_appcontext(_one_sentence()(function))
    return inside


def current_settings() -> Settings:
    """Return the settings of the app that the command runs in."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def current_store() -> Store:
    """Return where its bytes live."""
    store: Store = current_app.extensions["store"]
    return store


def other_store(**changes: object) -> Store:
    """Return the store of other settings than the app's. Raises SettingsError."""
    settings = current_settings().model_copy(update=changes)
    store: Store = current_app.extensions["store_of"](settings)
    return store


@contextmanager
def open_database() -> Iterator[Connection]:
    """Give a connection to the database, which is there and current."""
    place = current_settings().database_place
    db.check(place)
    with closing(db.connect(place)) as database:
        yield database
