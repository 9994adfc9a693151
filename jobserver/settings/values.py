"""Types of values: what a text in the environment, or an object in config.py, becomes."""

import grp
import os
import re
import shlex
import shutil
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator

from jobserver.logs import LogFormat
from jobserver.storage_url import StorageUrl, public_url, storage_url
from jobserver.webhooks.address import Allowed, read_allowed

MIB = 1024 * 1024
CENTURY_S = 100 * 365 * 24 * 3600  # larger values overflow datetime and socket timeouts
CONTAINERS = ("mp4", "mov", "webm", "mkv")  # of video, as sentences list them
# As browsers send it (RFC 6454, 6.2): in lower case, no path, no port that its scheme has anyway.
ORIGIN = re.compile(r"[a-z][a-z0-9+.\-]*://([a-z0-9._\-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
IMPLIED_PORT = re.compile("http://.*:80|https://.*:443")
MAX_GID = 2**32 - 2  # chown(2): the next one means "unchanged"


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("it is empty or not a text")
    return raw


def _password(raw: Any) -> str:
    password = _text(raw)
    if "\n" in password or "\r" in password:
        raise ValueError("it holds a line break, which nobody can type")
    return password


def _token(raw: Any) -> str:
    token = _text(raw).strip()
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError("it holds what no header can carry")
    return token


def _host(raw: Any) -> str:
    host = _text(raw).strip().removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(host))
    except ValueError:
        if host == "localhost":
            return host
        raise ValueError(f"{host!r} is no IP address of this machine") from None


def _log_format(raw: Any) -> str:
    name = _text(raw).strip().lower()
    if name not in get_args(LogFormat):
        raise ValueError(f"{name!r} is none of {', '.join(get_args(LogFormat))}")
    return name


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


def _containers(raw: Any) -> tuple[str, ...]:
    """Return the containers named, each once, in the sequence of CONTAINERS."""
    names = _text(raw).split(",") if isinstance(raw, str) else list(raw)
    named = {str(name).strip().lower() for name in names}
    if unknown := sorted(named - set(CONTAINERS)):
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(CONTAINERS)}")
    if not named:
        raise ValueError("it names nothing")
    return tuple(name for name in CONTAINERS if name in named)


def _origins(raw: Any) -> tuple[str, ...]:
    """Return origins as browsers send them: `https://app.example`, `http://localhost:3000`."""
    given = raw if isinstance(raw, list | tuple) else str(raw).split(",")
    origins = tuple(str(each).strip() for each in given)
    for origin in origins:
        if not ORIGIN.fullmatch(origin) or IMPLIED_PORT.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin, like https://app.example")
    return origins


def _receivers(raw: Any) -> Allowed:
    return read_allowed(_text(raw).split(",") if isinstance(raw, str) else map(str, raw))


def _whole(raw: Any) -> int:
    try:
        return int(str(raw))
    except ValueError:
        raise ValueError(f"{raw!r} is not a whole number") from None


def absolute_path(raw: Any) -> Path:
    """Return the path that a text names. Raises ValueError."""
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
Token = Annotated[str, BeforeValidator(_token)]
Host = Annotated[str, BeforeValidator(_host)]
LogForm = Annotated[LogFormat, BeforeValidator(_log_format)]
Group = Annotated[int, BeforeValidator(_group)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Keys = Annotated[tuple[str, ...], BeforeValidator(_keys)]
Containers = Annotated[tuple[str, ...], BeforeValidator(_containers)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
Whole = Annotated[int, BeforeValidator(_whole)]
Receivers = Annotated[Allowed, BeforeValidator(_receivers)]
StoragePlace = Annotated[StorageUrl, BeforeValidator(lambda raw: storage_url(_text(raw)))]
PublicUrl = Annotated[str, BeforeValidator(lambda raw: public_url(_text(raw)))]
AbsolutePath = Annotated[Path, BeforeValidator(absolute_path)]
Program = Annotated[str, BeforeValidator(_program)]
