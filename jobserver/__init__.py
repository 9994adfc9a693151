"""jobserver: uploaded videos become creative variations."""

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from flask import Flask

from jobserver import cli, db, metrics, uploads, web
from jobserver.auth.keys import signing_keys
from jobserver.errors import StoreUnreachable
from jobserver.files.local import LocalStore
from jobserver.files.scratch import Scratch
from jobserver.files.store import Store
from jobserver.folders import prepare_folders
from jobserver.jobs import ownership, sweep
from jobserver.serving.client_limits import ClientLimits, longest_body_s
from jobserver.settings import (
    Settings,
    SettingsError,
    load_settings,
    unusable,
    weak_secrets,
)


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """Build one independent app; tests pass their own settings. Raises SettingsError.

    Reads, and makes nothing: neither a folder nor a database.
    """
    app = Flask(__name__, instance_relative_config=True, static_folder=None)
    settings = load_settings(Path(app.instance_path), overrides)
    app.extensions["settings"] = settings
    app.extensions["database"] = settings.database_place
    app.extensions["store"] = store_of(settings)
    app.extensions["store_of"] = store_of  # for a command that copies from one to another
    app.extensions["ring"] = _doorbell_of(settings)
    app.extensions["upload_limits"] = uploads.UploadLimits(
        settings.max_file_size, settings.max_files, settings.accept
    )
    app.extensions["upload_slots"] = uploads.UploadSlots(settings.max_uploads)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # answers in the order of the contract
    app.url_map.merge_slashes = False  # a redirect would be a page
    for part in (web, cli):
        part.init_app(app)
    app.wsgi_app = ClientLimits(  # type: ignore[method-assign]
        app.wsgi_app, settings.client_timeout, settings.max_downloads
    )
    return app


def store_of(settings: Settings) -> Store:
    """Choose where the bytes live: the one place that names a store. Raises SettingsError."""
    if settings.storage_url is not None:
        return _store_in_bucket(settings, *settings.storage_url)
    return LocalStore(
        settings.upload_dir, settings.output_dir, settings.min_free_space, settings.output_group
    )


def _store_in_bucket(settings: Settings, bucket: str, prefix: str) -> Store:
    try:  # here, since boto3 is an extra of the package and takes half a second
        from jobserver.files.s3.cleanup import Ages
        from jobserver.files.s3.store import Bucket, S3Store
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed; pip install 'jobserver[s3]'"
        raise unusable("STORAGE_URL", reason) from error
    body_size = uploads.UploadLimits(settings.max_file_size, settings.max_files).max_body_size
    return S3Store(
        Bucket(bucket, prefix, settings.storage_public_url),
        Scratch(settings.scratch_dir, settings.scratch_size),
        Ages(
            orphan=settings.orphan_age,
            longest_upload=longest_body_s(body_size, settings.client_timeout),
        ),
    )


def _doorbell_of(settings: Settings) -> Callable[[int], None]:
    """Return what is called with the number of videos that were queued. Raises SettingsError."""
    if settings.celery_broker_url is None:
        return lambda videos: None
    try:
        from jobserver.worker.doorbell import Doorbell
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed; pip install 'jobserver[celery]'"
        raise unusable("CELERY_BROKER_URL", reason) from error
    return Doorbell(settings.celery_broker_url).ring


def count_from_now(settings: Settings) -> None:
    """Count for /metrics in this process and those forked from it, if METRICS_TOKEN is set."""
    if settings.metrics_token is not None:
        metrics.start(settings.metrics_dir)


def prepare_serving(app: Flask) -> None:
    """Make sure that the first request can be kept; remove what a killed server left.

    Raises SettingsError or DatabaseUnusable, one sentence each.
    """
    settings: Settings = app.extensions["settings"]
    store: Store = app.extensions["store"]
    if settings.auth_password is None:
        raise SettingsError("AUTH_PASSWORD is not set, so nobody could sign in")
    signing_keys(settings)
    web.fonts.load(app)
    prepare_folders(settings)
    count_from_now(settings)
    db.check(settings.database_place)
    with closing(db.connect(settings.database_place)) as database:
        database.reserve.restore()
        ownership.adopt_at_start(database, store)
        if ownership.owns_all(database, store):
            with suppress(StoreUnreachable):  # gone meanwhile: health says it
                sweep.sweep_uploads(database, store)
    for sentence in weak_secrets(settings):
        app.logger.warning(sentence)
