"""Where rows and files lie, and how the server is reached."""

from pydantic import Field

from jobserver.settings.base import SettingsGroup
from jobserver.settings.values import (
    MIB,
    AbsolutePath,
    Group,
    Host,
    LogForm,
    Origins,
    PublicUrl,
    StoragePlace,
    Text,
    Whole,
)


class Places(SettingsGroup):
    """Folders, stores and addresses."""

    database: AbsolutePath = Field(
        default_factory=lambda known: known["instance_dir"] / "jobserver.sqlite3",
        description="file; not in UPLOAD_DIR or OUTPUT_DIR",
    )
    upload_dir: AbsolutePath = Field(
        default_factory=lambda known: known["instance_dir"] / "uploads", description="folder"
    )
    output_dir: AbsolutePath = Field(
        default_factory=lambda known: known["instance_dir"] / "outputs", description="folder"
    )
    storage_url: StoragePlace | None = Field(
        None, description="s3://bucket/prefix; None: files are in UPLOAD_DIR and OUTPUT_DIR"
    )
    storage_public_url: PublicUrl | None = Field(
        None, description="where browsers reach that store; None: its files are sent from here"
    )
    scratch_dir: AbsolutePath = Field(
        default_factory=lambda known: known["instance_dir"] / "scratch",
        description="folder for what a worker fetches and renders, with STORAGE_URL",
    )
    scratch_size: Whole = Field(10240 * MIB, ge=1, description="bytes of sources kept there")
    orphan_age: Whole = Field(
        3600, ge=1, description="seconds after which an object that no job names is removed"
    )
    output_group: Group | None = Field(
        None, description="name or id of the group that may read outputs: nginx's"
    )
    accel_redirect: Text | None = Field(
        None, description="nginx's internal location of OUTPUT_DIR; None: files are sent from here"
    )
    celery_broker_url: Text | None = Field(None, repr=False, description="of Celery's workers")
    cors_origins: Origins = Field(
        (), description="origins whose pages may use the API, comma-separated; none by default"
    )
    trusted_proxies: Whole = Field(0, ge=0, description="reverse proxies in front of gunicorn")
    host: Host = Field("127.0.0.1", description="IP address that gunicorn listens at")
    log_format: LogForm = Field(
        "auto", description="json, plain; auto: JSON lines, plain ones on a terminal"
    )
    port: Whole = Field(8080, ge=1, le=65535, description="TCP port of gunicorn")
    metrics_dir: AbsolutePath = Field(
        default_factory=lambda known: known["instance_dir"] / "metrics",
        description="folder for what the processes of this host count, with METRICS_TOKEN",
    )
