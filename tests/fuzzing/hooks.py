"""What schemathesis sends as files: they begin as their field's do, so that a form may be accepted.

Loaded by schemathesis (SCHEMATHESIS_HOOKS), in its own process.
"""

import schemathesis
from hypothesis import strategies as st

BEGINNINGS = {
    "video/mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/webp": b"RIFF\x20\0\0\0WEBPVP8 ",
    "audio/mp4": b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42",
    "audio/mpeg": b"ID3\x04\0\0\0\0\0\0",
    "audio/wav": b"RIFF\x20\0\0\0WAVEfmt ",
    "audio/flac": b"fLaC",
    "audio/ogg": b"OggS",
}

for media_type, beginning in BEGINNINGS.items():
    content = st.binary(max_size=64).map(beginning.__add__)
    schemathesis.openapi.media_type(media_type, content)
