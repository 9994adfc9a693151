"""Parts of forms with a brief: small files that begin as what they are."""

import json
from typing import Any

from tests.support import MP4_HEAD, field_part, file_part

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
MP3 = b"ID3\4" + bytes(100)
CONTENTS = {
    "videos": MP4_HEAD,
    "hooks": MP4_HEAD,
    "endings": PNG,
    "overlays": PNG,
    "music": MP3,
}


def contents_of(name: str, field: str) -> bytes:
    """Return the bytes of a file that parts() makes."""
    return CONTENTS[field] + name.encode()


def parts(field: str, *names: str) -> list[bytes]:
    """Return files of one field; each has other bytes."""
    return [file_part(contents_of(name, field), name, None, field) for name in names]


def brief_part(**keys: Any) -> bytes:
    return field_part("brief", json.dumps(keys))
