"""Every setting once: its name, unit, default and what makes a value usable.

A value comes from create_app's overrides, else the environment, else instance/config.py,
else the default: what is set for one run wins over what a file says of all. A value that cannot
be used stops the start with one sentence. Reading creates nothing; folders.py does.

pydantic-settings, because it is typed and maintained, and its models will also give the JSON
schemas of the API. environs would bring marshmallow and only read the environment.
"""

import grp
import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobserver.errors import JobserverError
from jobserver.storage_url import StorageUrl, public_url, storage_url

MIB = 1024 * 1024
MAX_GID = 2**32 - 2  # chown(2): the next one means "unchanged"
SECRETS = ("AUTH_PASSWORD", "SECRET_KEY", "DATABASE_URL")  # each may be given by a file
SAFE_PASSWORD, SAFE_KEY = 8, 12  # characters
MAX_OBJECT_SIZE = 10_000 * 8 * MIB  # as many parts as an object may have; see files/s3/incoming
CENTURY_S = 100 * 365 * 24 * 3600  # larger values overflow datetime and socket timeouts


class SettingsError(JobserverError):
    """One sentence that names the setting and says what is wrong with it."""


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("it is empty or not a text")
    return raw


def _password(raw: Any) -> str:
    password = _text(raw)
    if "\n" in password or "\r" in password:
        raise ValueError("it holds a line break, which nobody can type")
    return password


def _group(raw: Any) -> int:
    """Return the id of a group that is given by its name or id."""
    text = _text(str(raw))
    if text.isascii() and text.isdigit() and int(text) <= MAX_GID:
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except (KeyError, ValueError):
        raise ValueError(f"there is no group {text}") from None


def _words(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, str):
        raise ValueError("it is not a text")
    return tuple(shlex.split(raw))


def _keys(raw: Any) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in _text(raw).split(","))
    if not all(keys):
        raise ValueError("one of its comma-separated keys is empty")
    if any("\udc80" <= letter <= "\udcff" for key in keys for letter in key):
        raise ValueError("it is not UTF-8")
    return keys


def _whole(raw: Any) -> int:
    try:
        return int(str(raw))
    except ValueError:
        raise ValueError(f"{raw!r} is not a whole number") from None


def _path(raw: Any) -> Path:
    text = _text(os.fspath(raw) if isinstance(raw, os.PathLike) else raw)
    if "\0" in text:
        raise ValueError("it holds a NUL")
    return Path(text).absolute()


def _program(raw: Any) -> str:
    if (path := shutil.which(_text(raw))) is None:
        raise ValueError(f"there is no program {raw}")
    return os.path.abspath(path)


def _postgres_url(raw: Any) -> str:
    url = _text(raw)
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("it does not begin with postgresql://")
    return url


Text = Annotated[str, BeforeValidator(_text)]
Url = Annotated[str, BeforeValidator(_postgres_url)]
Password = Annotated[str, BeforeValidator(_password)]
Group = Annotated[int, BeforeValidator(_group)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Keys = Annotated[tuple[str, ...], BeforeValidator(_keys)]
Whole = Annotated[int, BeforeValidator(_whole)]
StoragePlace = Annotated[StorageUrl, BeforeValidator(lambda raw: storage_url(_text(raw)))]
PublicUrl = Annotated[str, BeforeValidator(lambda raw: public_url(_text(raw)))]
AbsolutePath = Annotated[Path, BeforeValidator(_path)]
Program = Annotated[str, BeforeValidator(_program)]


class Settings(BaseSettings):
    """Usable settings. Their names in the environment and in config.py are in upper case."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=True,
        alias_generator=str.upper,
        enable_decoding=False,  # a list in the environment is not JSON
        validate_default=False,
        hide_input_in_errors=True,  # it may be a secret
    )

    instance_dir: Path = Field(description="the server's private folder; an argument, no setting")
    auth_password: Password | None = Field(
        None, repr=False, description="without it nobody can sign in"
    )
    auth_password_file: AbsolutePath | None = Field(
        None, description="holds AUTH_PASSWORD, and perhaps a line break behind it"
    )
    secret_key: Keys | None = Field(
        None, repr=False, description="comma-separated, newest first; None: made once and kept"
    )
    secret_key_file: AbsolutePath | None = Field(None, description="holds SECRET_KEY, as well")
    database: AbsolutePath = Field(
        default_factory=lambda known: known["instance_dir"] / "jobserver.sqlite3",
        description="file; not in UPLOAD_DIR or OUTPUT_DIR",
    )
    database_url: Url | None = Field(
        None, repr=False, description="of a PostgreSQL, in place of DATABASE"
    )
    database_url_file: AbsolutePath | None = Field(None, description="holds DATABASE_URL, as well")
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
    token_max_age: Whole = Field(24 * 3600, ge=1, description="seconds")
    max_file_size: Whole = Field(500 * MIB, ge=1, description="bytes")
    max_files: Whole = Field(10, ge=1, description="files in one upload")
    max_queued_files: Whole = Field(
        100_000, ge=1, description="files that wait or are rendered, of all jobs"
    )
    max_uploads: Whole = Field(8, ge=1, description="uploads at once in one web worker process")
    max_downloads: Whole = Field(32, ge=1, description="at once in one web worker process")
    job_lifetime: Whole = Field(24 * 3600, ge=1, le=CENTURY_S, description="seconds")
    link_lifetime: Whole = Field(3600, ge=2, le=CENTURY_S, description="seconds")
    accel_redirect: Text | None = Field(
        None, description="nginx's internal location of OUTPUT_DIR; None: files are sent from here"
    )
    storage_quota: Whole = Field(0, ge=0, description="bytes of uploads and outputs; 0: no quota")
    min_free_space: Whole = Field(100 * MIB, ge=0, description="bytes of the disk no upload uses")
    client_timeout: Whole = Field(60, ge=1, le=CENTURY_S, description="seconds without a byte")
    trusted_proxies: Whole = Field(0, ge=0, description="reverse proxies in front of gunicorn")
    workers: Whole = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 1) // 4),
        ge=1,
        description="files rendered at once by one worker process",
    )
    worker_grace: Whole = Field(10, ge=0, le=CENTURY_S, description="seconds after SIGTERM")
    celery_broker_url: Text | None = Field(None, repr=False, description="of Celery's workers")
    ffmpeg: Program | None = Field(None, description="path or name; None: imageio-ffmpeg's")
    encoder: Text = Field("libx264", description="an ffmpeg encoder of H.264")
    encoder_preset: Annotated[str, BeforeValidator(str)] = Field(
        "superfast", description="the encoder's -preset; may be empty"
    )
    encoder_rate: Words = Field(
        (), description="its rate options, as for ffmpeg; none: a quality, limited by the source"
    )
    max_pixels: Whole = Field(4096 * 2304, ge=1, description="pixels of one frame")
    max_duration: Whole = Field(3600, ge=1, description="seconds of one video")
    render_memory: Whole = Field(2048 * MIB, ge=256 * MIB, description="bytes of one ffmpeg")
    port: Whole = Field(8080, ge=1, le=65535, description="TCP port of gunicorn on 127.0.0.1")

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in SECRETS:
            if (file := values.get(f"{name}_FILE")) is None:
                continue
            if values.get(name) is not None:
                raise unusable(f"{name}_FILE", f"{name} is given as well")
            values = {**values, name: _secret_in(f"{name}_FILE", file)}
        return values

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


def _secret_in(name: str, file: Any) -> str:
    """Return what a file holds, without the line break at its end. Raises SettingsError."""
    try:
        content = _path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:  # its text would show a byte of the secret
        raise unusable(name, f"{file} is not UTF-8") from None
    except (OSError, ValueError) as error:
        raise unusable(name, error) from error
    return content.removesuffix("\n")


def load_settings(instance: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read every setting of a server whose private folder is `instance`. Raises SettingsError.

    overrides: values by upper-case name. None counts as missing, there and in config.py.
    """
    file = _run_config_file(instance / "config.py")
    values = {name: value for name, value in file.items() if name not in os.environ}
    values |= _given(overrides or {})
    try:
        return Settings(**{**values, "INSTANCE_DIR": instance})
    except ValidationError as error:
        raise _first_problem(error) from error


def weak_secrets(settings: Settings) -> list[str]:
    """Return a sentence for each secret that can be guessed.

    Sign-ins are throttled, so eight characters hold; a key is tried without asking the
    server, by anybody who has a token or a link, so it needs more.
    """
    sentences = []
    if settings.auth_password and len(settings.auth_password) < SAFE_PASSWORD:
        sentences.append(f"AUTH_PASSWORD has fewer than {SAFE_PASSWORD} characters")
    if any(len(key) < SAFE_KEY for key in settings.secret_key or ()):
        sentences.append(f"A key of SECRET_KEY has fewer than {SAFE_KEY} characters")
    return [f"{sentence}, so it can be guessed" for sentence in sentences]


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _run_config_file(path: Path) -> dict[str, Any]:
    """Return the upper-case names that the Python program at `path` sets; {} without a file.

    Source: https://flask.palletsprojects.com/en/stable/api/#flask.Config.from_pyfile
    """
    module = ModuleType("config")
    module.__file__ = str(path)
    try:
        if path.exists():
            exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102
    except Exception as error:  # any program can raise anything
        raise unusable(str(path), error) from error
    return _given({name: value for name, value in vars(module).items() if name.isupper()})


def _first_problem(error: ValidationError) -> SettingsError:
    problem = error.errors()[0]
    name = str(problem["loc"][0])
    if problem["type"] in ("greater_than_equal", "less_than_equal"):
        return unusable(name, f"{problem['input']} is not {_range(name)}")
    return unusable(name, problem.get("ctx", {}).get("error", problem["msg"]))


def _range(name: str) -> str:
    """Return the usable values of a number in words: `at least 1 and at most 65535`."""
    field = Settings.model_json_schema()["properties"][name]
    upper = f" and at most {field['maximum']}" if "maximum" in field else ""
    return f"at least {field['minimum']}{upper}"


def unusable(name: str, reason: object) -> SettingsError:
    """Return the error whose sentence names a setting and what is wrong with it."""
    lines = str(reason).splitlines() or [type(reason).__name__]
    return SettingsError(f"{name} cannot be used: {' '.join(lines)}")
