"""What schemathesis sends as files: they begin as their field's do, so that a form may be accepted.

Loaded by schemathesis (SCHEMATHESIS_HOOKS), in its own process.
"""

import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies as st

# Ids that exist, by the names of parameters in paths.
IDS: dict[str, list[str]] = json.loads(os.environ["FUZZ_IDS"])

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

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_generate_path_parameters(
    context: Any, strategy: "st.SearchStrategy[dict[str, Any]]"
) -> "st.SearchStrategy[dict[str, Any]]":
    """Ask for what exists as often as for what does not; delete nothing of it."""
    if context.operation.method == "delete":
        return strategy

    def known(parameters: Any) -> "st.SearchStrategy[Any]":
        if not parameters or not isinstance(parameters, dict):  # none, or wrong on purpose
            return st.just(parameters)
        choices = {
            name: st.sampled_from(IDS.get(name, [value])) for name, value in parameters.items()
        }
        return st.one_of(st.just(parameters), st.fixed_dictionaries(choices))

    return strategy.flatmap(known)
