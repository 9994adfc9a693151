"""Every setting once: its default, unit, environment name and what makes it usable.

A value comes from create_app's overrides, else instance/config.py, else the
environment, else the default. What cannot be used stops the start with one sentence.
"""

import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

MIB = 1024 * 1024
LONGEST_S = 100 * 365 * 24 * 3600  # more is no date that Python, no timeout that a socket knows


class ConfigError(RuntimeError):
    """One sentence that names the setting and says what is wrong with it."""


class Setting(NamedTuple):
    """A name in the environment, the value without it, and a parser of what was given.

    `parse` returns the usable value; it raises ValueError or OSError when there is none.
    """

    name: str
    default: Any
    parse: Callable[[Any], Any]


def settings(instance: Path) -> tuple[Setting, ...]:
    """List every setting of a server whose private folder is `instance`."""
    return (
        Setting("AUTH_PASSWORD", None, _text),  # without it nobody can sign in
        Setting("SECRET_KEY", None, _text),  # comma-separated, newest first; None: made and kept
        Setting("DATABASE", instance / "jobserver.sqlite3", _file),
        Setting("UPLOAD_DIR", instance / "uploads", _folder),
        Setting("OUTPUT_DIR", instance / "outputs", _folder),
        Setting("TOKEN_MAX_AGE", 24 * 3600, _whole(1)),  # seconds
        Setting("MAX_FILE_SIZE", 500 * MIB, _whole(1)),  # bytes
        Setting("MAX_FILES", 10, _whole(1)),  # files in one upload
        Setting("MAX_UPLOADS", 8, _whole(1)),  # uploads at once in one web worker process
        Setting("MAX_DOWNLOADS", 32, _whole(1)),  # at once in one web worker process
        Setting("JOB_LIFETIME", 24 * 3600, _whole(1, at_most=LONGEST_S)),  # seconds
        Setting("LINK_LIFETIME", 3600, _whole(2, at_most=LONGEST_S)),  # seconds
        Setting("ACCEL_REDIRECT", None, _text),  # nginx's internal location of OUTPUT_DIR
        Setting("STORAGE_QUOTA", 0, _whole(0)),  # bytes of uploads and outputs; 0: no quota
        Setting("MIN_FREE_SPACE", 100 * MIB, _whole(0)),  # bytes no upload may use
        Setting("CLIENT_TIMEOUT", 60, _whole(1, at_most=LONGEST_S)),  # seconds of silence
        Setting("TRUSTED_PROXIES", 0, _whole(0)),  # reverse proxies in front of gunicorn
        Setting("WORKERS", max(1, (os.cpu_count() or 1) // 4), _whole(1)),  # files at once
        Setting("FFMPEG", None, _program),  # path or name; None: the one that pip brings
        Setting("ENCODER", "libx264", _text),  # an ffmpeg encoder of H.264
        Setting("ENCODER_PRESET", "superfast", str),  # its -preset; may be empty
        Setting("ENCODER_RATE", "-crf 21", _words),  # its rate settings, as ffmpeg takes them
        Setting("MAX_PIXELS", 4096 * 2304, _whole(1)),  # of one frame
        Setting("MAX_DURATION", 3600, _whole(1)),  # seconds
        Setting("RENDER_MEMORY", 2048 * MIB, _whole(256 * MIB)),  # bytes of one ffmpeg
        Setting("PORT", 8080, _whole(1, at_most=65535)),  # gunicorn listens on 127.0.0.1
    )


def load(instance: Path, *sources: Mapping[str, Any]) -> dict[str, Any]:
    """Read every setting; earlier sources win over later ones, all over the environment.

    Adds TOKEN_KEYS, the secret keys as a tuple, newest first. Creates UPLOAD_DIR,
    OUTPUT_DIR, the folder of DATABASE and, when SECRET_KEY is missing, the kept key.
    Raises ConfigError.
    """
    values = {setting.name: _read(setting, sources) for setting in settings(instance)}
    for name in ("UPLOAD_DIR", "OUTPUT_DIR"):
        if values["DATABASE"].is_relative_to(values[name]):
            raise ConfigError(
                f"DATABASE cannot be used: it lies in {name}, whose files come and go"
            )
    secret = values.pop("SECRET_KEY")
    values["TOKEN_KEYS"] = _keys(secret) if secret else (_own_key(instance),)
    return values


def _read(setting: Setting, sources: tuple[Mapping[str, Any], ...]) -> Any:
    given = (source.get(setting.name) for source in (*sources, os.environ))
    raw = next((value for value in given if value is not None), setting.default)
    try:
        return None if raw is None else setting.parse(raw)
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(f"{setting.name} cannot be used: {error}") from error


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("it is empty or not a text")
    return raw


def _words(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, str):
        raise ValueError("it is not a text")
    return tuple(shlex.split(raw))


def _program(raw: Any) -> str:
    if (path := shutil.which(_text(raw))) is None:
        raise ValueError(f"there is no program {raw}")
    return os.path.abspath(path)


def _whole(at_least: int, at_most: int | None = None) -> Callable[[Any], int]:
    def parse(raw: Any) -> int:
        try:
            value = int(str(raw))
        except ValueError:
            raise ValueError(f"{raw!r} is not a whole number") from None
        if value < at_least or (at_most is not None and value > at_most):
            upper = "" if at_most is None else f" and at most {at_most}"
            raise ValueError(f"{value} is not at least {at_least}{upper}")
        return value

    return parse


def _path(raw: Any) -> Path:
    text = _text(os.fspath(raw))
    if "\0" in text:
        raise ValueError("it holds a NUL")
    return Path(text).absolute()


def _file(raw: Any) -> Path:
    path = _path(raw)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a file")
    return path


def _folder(raw: Any) -> Path:
    path = _path(raw)
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError(f"{path} is not writable")
    return path


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(","))
    if not all(keys):
        raise ConfigError("SECRET_KEY cannot be used: one of its comma-separated keys is empty")
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        raise ConfigError("SECRET_KEY cannot be used: it is not UTF-8")
    return keys


def _own_key(instance: Path) -> str:
    try:
        instance.mkdir(parents=True, exist_ok=True)
        return _kept_key(instance / "secret_key")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"SECRET_KEY cannot be used: none can be kept: {error}") from error


def _kept_key(path: Path) -> str:
    """Return the key kept at `path`, mode 0600; of several starters the first makes it."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    if not (key := path.read_text().strip()):
        raise ConfigError(f"SECRET_KEY cannot be used: {path} is empty")
    return key
