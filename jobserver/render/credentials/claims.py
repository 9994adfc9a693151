"""What the Content Credentials of a file claim: who made them, and whether of AI.

Source: C2PA Technical Specification 2.1: 11.1 (manifest stores), 10 (claims: claim_generator_info,
before version 2 claim_generator), 18.15 (actions: digitalSourceType); the values are terms of
https://cv.iptc.org/newscodes/digitalsourcetype/.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jobserver.render.credentials import cbor
from jobserver.render.credentials.carriers import manifest_store
from jobserver.render.credentials.jumbf import Box, Store

MADE_BY_AI = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
MAX_GENERATOR = 100  # characters that are kept of a name
_MAX_CBOR = 1024**2  # bytes of one claim or assertion


class Credentials(NamedTuple):
    """What a file's Content Credentials claim.

    generator: the software that made the latest claim, None where it cannot be read. made_by_ai:
    whether an action, of that claim or of one of what it was made from, says so.
    """

    generator: str | None
    made_by_ai: bool


def read_credentials(path: Path) -> Credentials | None:
    """Return what a file's Content Credentials claim; None where it carries none that can be read.

    Nothing is verified, and whatever is malformed is passed over. Raises OSError.
    """
    try:
        content = manifest_store(path)
        return None if content is None else _read(Store(content))
    except (ValueError, struct.error):
        return None


def _read(store: Store) -> Credentials | None:
    manifests = [
        parts
        for label, inside in store.superboxes(store.top())
        if label == "c2pa"
        for _, parts in store.superboxes(iter(inside))
    ]
    if not manifests:
        return None
    found = [_read_manifest(store, parts) for parts in manifests]
    return Credentials(found[-1].generator, any(each.made_by_ai for each in found))


def _read_manifest(store: Store, parts: Sequence[Box]) -> Credentials:
    """Return what one manifest claims; what cannot be read of it is left out."""
    generator, made_by_ai = None, False
    for label, inside in store.superboxes(iter(parts)):
        if label.startswith("c2pa.claim"):
            generator = _generator(_values(store, inside))
        elif label == "c2pa.assertions":
            made_by_ai = any(
                _says_ai(value)
                for name, assertion in store.superboxes(iter(inside))
                if name.startswith("c2pa.actions")
                for value in _values(store, assertion)
            )
    return Credentials(generator, made_by_ai)


def _values(store: Store, boxes: Sequence[Box]) -> Iterator[Mapping[Any, Any]]:
    """Yield the maps in boxes of CBOR that can be decoded."""
    for box in boxes:
        if box.kind != b"cbor" or box.end - box.start > _MAX_CBOR:
            continue
        try:
            value = cbor.decode(store.content(box))
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def _generator(claims: Iterator[Mapping[Any, Any]]) -> str | None:
    """Return name and version of the software that made a claim."""
    for claim in claims:
        info = claim.get("claim_generator_info")
        info = info[0] if isinstance(info, list) and info else info
        if isinstance(info, dict) and isinstance(info.get("name"), str):
            version = info.get("version")
            named = f"{info['name']} {version}" if isinstance(version, str) else info["name"]
        else:
            named = claim.get("claim_generator")
        if isinstance(named, str) and (plain := _plain(named)):
            return plain
    return None


def _plain(text: str) -> str:
    """Return a name as one line of a bounded length."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text[: 4 * MAX_GENERATOR])
    return " ".join(shown.split())[:MAX_GENERATOR].strip()


def _says_ai(assertion: Mapping[Any, Any]) -> bool:
    actions = assertion.get("actions")
    kinds = (
        action.get("digitalSourceType")
        for action in (actions if isinstance(actions, list) else ())
        if isinstance(action, dict)
    )
    return any(isinstance(kind, str) and kind.rpartition("/")[2] in MADE_BY_AI for kind in kinds)
