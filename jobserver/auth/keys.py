"""The secret keys that sign tokens and links: those of SECRET_KEY, or one that is kept.

Key and password together sign (see `derive`), so that another password voids, in every
process, all that was signed before.
"""

import hmac
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jobserver.folders import make_folder
from jobserver.settings import Settings, SettingsError

FILE_NAME = "secret_key"  # in the instance folder


def signing_keys(settings: Settings) -> tuple[str, ...]:
    """Return the keys, newest first: the newest signs, all of them verify.

    Without SECRET_KEY it is the one in the instance folder, made at first need.
    Raises SettingsError when that cannot be read or written.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    try:
        make_folder(settings, settings.instance_dir)
        return (_kept_key(settings.instance_dir / FILE_NAME),)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"SECRET_KEY cannot be used: none can be kept: {error}") from error


def derive(keys: Sequence[str], password: str) -> list[bytes]:
    """Return the bytes to sign with, newest last, as itsdangerous wants them.

    Source: https://itsdangerous.palletsprojects.com/en/stable/concepts/#key-rotation
    """
    secret = password.encode("utf-8", "surrogatepass")
    return [hmac.digest(key.encode(), secret, "sha256") for key in reversed(keys)]


def _kept_key(path: Path) -> str:
    """Return the key at `path`. Raises OSError, UnicodeDecodeError or SettingsError."""
    if not path.exists():
        _make_key(path)
    if not (key := path.read_text().strip()):
        raise SettingsError(f"SECRET_KEY cannot be used: {path} is empty")
    return key


def _make_key(path: Path) -> None:
    """Write 256 random bits, mode 0600; of several processes at once the first wins.

    The file gets its name when it is whole: nobody reads half a key.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(descriptor)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
