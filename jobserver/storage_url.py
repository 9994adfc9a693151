"""A store of objects as settings name it: `s3://bucket/prefix`, and where browsers reach it."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NAME = re.compile(r"(?!\.\.?\Z)[\w.=-]+", re.ASCII)


class StorageUrl(NamedTuple):
    """A bucket and a prefix without slashes at its ends, which may be empty."""

    bucket: str
    prefix: str


def storage_url(text: str) -> StorageUrl:
    """Read `s3://bucket/prefix`. Raises ValueError, a reason without a subject's name."""
    scheme, _, rest = text.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if scheme != "s3":
        raise ValueError("it does not begin with s3://")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"{bucket!r} is no name of a bucket")
    if prefix and not all(map(_NAME.fullmatch, prefix.split("/"))):
        raise ValueError("its prefix is not of letters, digits and . _ = - between single slashes")
    return StorageUrl(bucket, prefix)


def public_url(text: str) -> str:
    """Return the address of a server, without slashes at its end. Raises ValueError."""
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable or parts.username or re.search(r"[^!-~]|[?#;,'\"]", url):
        raise ValueError("it is not like https://s3.example.com")
    return url
