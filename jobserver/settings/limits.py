"""How much a client may send, ask for and keep."""

from pydantic import Field

from jobserver.settings.base import SettingsGroup
from jobserver.settings.values import CENTURY_S, MIB, Containers, Receivers, Whole
from jobserver.webhooks.address import Allowed


class Limits(SettingsGroup):
    """Bounds of uploads, of what they ask for, and of what is kept of them."""

    max_file_size: Whole = Field(500 * MIB, ge=1, description="bytes")
    accept: Containers = Field(
        ("mp4",), description="containers of video, comma-separated: mp4, mov, webm, mkv"
    )
    max_files: Whole = Field(10, ge=1, description="files in one upload")
    max_outputs: Whole = Field(500, ge=1, description="outputs that one brief may ask for")
    max_queued_files: Whole = Field(
        100_000, ge=1, description="files that wait or are rendered, of all jobs"
    )
    max_queued_files_per_key: Whole = Field(
        10_000, ge=1, description="files of one key that wait or are rendered"
    )
    audit_days: Whole = Field(90, ge=1, le=36_500, description="days the audit is kept")
    max_uploads: Whole = Field(8, ge=1, description="uploads at once in one web worker process")
    max_downloads: Whole = Field(32, ge=1, description="at once in one web worker process")
    job_lifetime: Whole = Field(24 * 3600, ge=1, le=CENTURY_S, description="seconds")
    upload_lifetime: Whole = Field(
        24 * 3600,
        ge=1,
        le=CENTURY_S,
        description="seconds since its last byte that a resumable upload waits to be used",
    )
    storage_quota: Whole = Field(0, ge=0, description="bytes of uploads and outputs; 0: no quota")
    min_free_space: Whole = Field(100 * MIB, ge=0, description="bytes of the disk no upload uses")
    webhook_allow: Receivers = Field(
        Allowed(),
        description="hosts and networks, comma-separated, that webhooks may go to by http and"
        " though they are private",
    )
    client_timeout: Whole = Field(60, ge=1, le=CENTURY_S, description="seconds without a byte")
