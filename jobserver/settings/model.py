"""All groups of settings as one, and what makes settings unusable together."""

import os
from pathlib import Path
from typing import Self

from pydantic import model_validator

from jobserver.settings.errors import unusable
from jobserver.settings.limits import Limits
from jobserver.settings.places import Places
from jobserver.settings.rendering import Rendering
from jobserver.settings.secrets import Secrets
from jobserver.settings.values import MIB

MAX_OBJECT_SIZE = 10_000 * 8 * MIB  # as many parts as an object may have; see files/s3/incoming


class Settings(Rendering, Limits, Places, Secrets):
    """Every setting.

    Read in this sequence, so that the first problem is named: secrets, places, limits, rendering.
    """

    @property
    def database_place(self) -> Path | str:
        """Where the database is: DATABASE_URL, else the file that DATABASE names."""
        return self.database_url or self.database

    @property
    def database_folder(self) -> Path | None:
        """The folder of DATABASE, on whose disk rows take space; None with DATABASE_URL."""
        return None if self.database_url else self.database.parent

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        _keep_folders_apart(self)
        if self.database_url is not None and self.secret_key is None:
            raise unusable("SECRET_KEY", "DATABASE_URL is given, so every host needs the same one")
        _check_storage(self)
        return self


def _keep_folders_apart(settings: Settings) -> None:
    """Refuse what would be swept, seen as another volume's, or unreadable with the other."""
    database, uploads, outputs = (
        Path(os.path.realpath(path))
        for path in (settings.database, settings.upload_dir, settings.output_dir)
    )
    for name, folder in (("UPLOAD_DIR", uploads), ("OUTPUT_DIR", outputs)):
        if settings.database_url is None and database.is_relative_to(folder):
            raise unusable("DATABASE", f"it lies in {name}, whose files come and go")
    if outputs.is_relative_to(uploads):
        raise unusable("OUTPUT_DIR", "it is UPLOAD_DIR or lies in it")
    if uploads.is_relative_to(outputs):
        raise unusable("UPLOAD_DIR", "it lies in OUTPUT_DIR")


def _check_storage(settings: Settings) -> None:
    """Refuse what does not go with a store of objects."""
    if settings.storage_url is None:
        if settings.storage_public_url is not None:
            raise unusable("STORAGE_PUBLIC_URL", "there is no STORAGE_URL")
        return
    if settings.database_url is None:
        raise unusable("STORAGE_URL", "it needs DATABASE_URL: no two hosts share a SQLite file")
    if settings.accel_redirect is not None:
        raise unusable("ACCEL_REDIRECT", "outputs are in STORAGE_URL, not in a folder")
    if settings.max_file_size > MAX_OBJECT_SIZE:
        raise unusable("MAX_FILE_SIZE", f"an object has at most {MAX_OBJECT_SIZE} bytes")
