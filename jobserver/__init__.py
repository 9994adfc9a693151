"""jobserver: uploaded videos become creative variations."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import Flask

from jobserver import auth, config, db, errors, health, jobs, pages
from jobserver.jobs import expiry, operating, worker
from jobserver.timeouts import ClientLimits


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """Build one independent app; tests pass their own settings. Raises ConfigError."""
    app = Flask(__name__, instance_relative_config=True, static_folder=None)
    _read_instance_config(app)
    app.config.from_mapping(overrides)
    app.config.update(config.load(Path(app.instance_path), overrides or {}, app.config))
    app.config["SECRET_KEY"] = None  # it would buy a cookie session for every request
    app.json.sort_keys = False  # type: ignore[attr-defined]  # answers in the order of the contract
    app.url_map.merge_slashes = False  # a redirect would be a page
    app.request_class = jobs.UploadRequest
    app.extensions["intake"] = jobs.Limits.of(app.config)
    for part in (errors, db):
        part.init_app(app)
    for command in (worker.command, *operating.COMMANDS):
        app.cli.add_command(command(app.config))
    for blueprint in (auth.bp, health.bp, jobs.bp, jobs.storage_bp, pages.bp):
        app.register_blueprint(blueprint)
    app.wsgi_app = ClientLimits(  # type: ignore[method-assign]
        app.wsgi_app, app.config["CLIENT_TIMEOUT"], app.config["MAX_DOWNLOADS"]
    )
    return app


def _read_instance_config(app: Flask) -> None:
    path = Path(app.instance_path) / "config.py"
    try:
        if path.exists():
            app.config.from_pyfile(str(path))
    except Exception as error:  # it is a program: any mistake is possible
        raise config.ConfigError(f"{path} cannot be used: {error}") from error


def prepare_serving(app: Flask) -> None:
    """Make sure that the first request can be kept; remove what a killed server left.

    Raises ConfigError or DatabaseError, one sentence each.
    """
    if app.config["AUTH_PASSWORD"] is None:
        raise config.ConfigError("AUTH_PASSWORD is not set, so nobody could sign in")
    path = app.config["DATABASE"]
    db.check(path)
    with closing(db.connect(path)) as database:
        expiry.claim_folders(database, expiry.Storage.of(app.config))
        expiry.sweep_uploads(database, app.config["UPLOAD_DIR"])
