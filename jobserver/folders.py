"""The folders that settings name: made for whom they are, or refused in one sentence."""

import os
from pathlib import Path

from jobserver import modes
from jobserver.settings import Settings, unusable


def prepare_folders(settings: Settings) -> None:
    """Make UPLOAD_DIR, OUTPUT_DIR and the folder of DATABASE. Raises SettingsError.

    With STORAGE_URL only SCRATCH_DIR and the last; METRICS_DIR where it is used.
    """
    if settings.output_group is not None:
        _require_member(settings.output_group)
    if settings.database_folder is not None:
        _prepare(settings, "DATABASE", settings.database_folder, settings.database)
    if settings.metrics_token is not None:
        _prepare(settings, "METRICS_DIR", settings.metrics_dir)
    if settings.storage_url is not None:
        _prepare(settings, "SCRATCH_DIR", settings.scratch_dir)
        return
    _prepare(settings, "UPLOAD_DIR", settings.upload_dir)
    _prepare(settings, "OUTPUT_DIR", settings.output_dir)
    if settings.output_group is not None:
        _share_outputs(settings.output_dir, settings.output_group)


def make_folder(settings: Settings, folder: Path) -> None:
    """Make a folder and those above it; only what leads to outputs is shared. Raises OSError."""
    if not folder.is_dir():
        make_folder(settings, folder.parent)
        shared = settings.output_dir.is_relative_to(folder)
        modes.make_folder(folder, settings.output_group, shared=shared)


def _prepare(settings: Settings, name: str, folder: Path, file: Path | None = None) -> None:
    try:
        make_folder(settings, folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise unusable(name, f"{folder} is not writable")
        if file and file.exists() and not file.is_file():
            raise unusable(name, f"{file} is not a file")
    except OSError as error:
        raise unusable(name, error) from error


def _require_member(group: int) -> None:
    if os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
        raise unusable("OUTPUT_GROUP", f"this user is not in the group {group}")


def _share_outputs(folder: Path, group: int) -> None:
    """Give the group an OUTPUT_DIR that was there before. Raises SettingsError."""
    found = folder.stat()
    try:
        if found.st_gid != group or found.st_mode & 0o050 != 0o050:
            modes.share(folder, found.st_mode & 0o7777 | 0o050, group)
    except OSError as error:
        raise unusable("OUTPUT_GROUP", error) from error
