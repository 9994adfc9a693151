"""What a request works with: the settings, the store, and a database connection of its own."""

from flask import Flask, current_app, g

from jobserver.db import Connection, thread_connection
from jobserver.files.store import Store
from jobserver.settings import Settings


def current_settings() -> Settings:
    """Return the settings of the app that serves this request."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def get_store() -> Store:
    """Return where the bytes of this app live."""
    store: Store = current_app.extensions["store"]
    return store


def get_db() -> Connection:
    """Return this request's connection: the one that its thread keeps.

    Raises DatabaseUnavailable when the database is gone or has been exchanged.
    """
    if "db" not in g:
        g.db = thread_connection(current_app.extensions["database"])
    db: Connection = g.db
    return db


def init_app(app: Flask) -> None:
    """End what a request leaves open, so that it locks out nobody."""
    app.teardown_appcontext(_roll_back)


def _roll_back(_error: BaseException | None) -> None:
    db = g.pop("db", None)
    if db is not None and db.in_transaction:
        db.rollback()
