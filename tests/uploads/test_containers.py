"""What a video is, by its first bytes, and what a server that accepts more than MP4 takes."""

import pytest

from jobserver.errors import NotAccepted, NotAnMP4
from jobserver.render.containers import CONTAINERS as RENDERED
from jobserver.settings.values import CONTAINERS as SETTABLE
from jobserver.uploads.containers import CONTAINERS, OTHER, container_of, start_size
from jobserver.uploads.kinds import FIELDS, Beginning
from tests.support import MP4_HEAD

EBML = b"\x1a\x45\xdf\xa3"
STARTS = {
    "mp4": MP4_HEAD,
    "mov": b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
    "old mov": b"\0\0\0\x08wide\0\0\0\0mdat",
    "webm": EBML + b"\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webmB\x87\x81\4",
    "mkv": EBML + b"\xa3B\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x88matroskaB\x87\x81\4",
    "wide mkv": EBML + b"\1\0\0\0\0\0\0\x23B\x82\1\0\0\0\0\0\0\x08matroska",
    "picture": b"\0\0\0\x18ftypheic\0\0\0\0",
    "sound": b"\0\0\0\x18ftypM4A \0\0\0\0",
    "text": b"#EXTM3U\n#EXT-X-TARGETDURATION:9",
    "other ebml": EBML + b"\x88B\x82\x85other",
}
ALL = tuple(CONTAINERS)


def kind(name: str) -> str:
    return name.split()[-1] if name.split()[-1] in CONTAINERS else OTHER


def verdict(
    name: str, type_: str | None, accept: tuple[str, ...], field: str = "videos"
) -> str | None:
    """Return the sentence with which a whole file is refused, or None."""
    seen = Beginning(type_, accept=accept).followed_by(STARTS[name])._replace(whole=True)
    try:
        FIELDS[field].check(seen)
    except NotAccepted as error:
        return str(error)
    return None


def test_every_room_knows_the_same_containers() -> None:
    assert list(CONTAINERS) == list(SETTABLE) == list(RENDERED)


@pytest.mark.parametrize("name", STARTS)
def test_a_container_is_recognised_as_soon_as_it_can_be(name: str) -> None:
    start = STARTS[name][: start_size(STARTS[name])]
    found = [container_of(start[:size], whole=False) for size in range(len(start) + 1)]
    assert set(found[:8]) == {None}
    assert set(found) - {None} in ({kind(name)}, set())
    assert container_of(start, whole=True) == kind(name)


def test_ebml_that_does_not_say_what_it_is_is_waited_for_no_longer_than_needed() -> None:
    endless = Beginning(None, accept=ALL)
    for _ in range(100):
        endless = endless.followed_by(EBML + bytes(20))
    assert len(endless.start) == 128
    with pytest.raises(NotAnMP4):
        FIELDS["videos"].check(endless)


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("accept", [("mp4",), ("mov", "webm"), ("mp4", "mkv"), ALL])
def test_the_content_decides_whatever_accepted_type_is_declared(
    name: str, accept: tuple[str, ...]
) -> None:
    types = [None, "application/octet-stream", *(t for c in accept for t in CONTAINERS[c].types)]
    taken = {type_: verdict(name, type_, accept) is None for type_ in types}
    bare = taken.pop("video/mp4", None) if name in ("text", "old mov") else None
    assert bare in (None, True)  # declared as MP4 it may begin as it likes: the worker decides
    assert set(taken.values()) == {kind(name) in accept}


@pytest.mark.parametrize("type_", ["video/quicktime", "video/x-matroska", "video/webm", "text/css"])
def test_a_type_that_is_not_accepted_is_refused_before_the_content(type_: str) -> None:
    with pytest.raises(NotAnMP4, match="Only MP4 files are accepted"):
        FIELDS["videos"].check(Beginning(type_))


@pytest.mark.parametrize(
    ("accept", "sentence"),
    [
        (("mp4",), "Only MP4 files are accepted"),
        (("mp4", "mov"), "Only MP4 and MOV files are accepted"),
        (ALL, "Only MP4, MOV, WebM and MKV files are accepted"),
    ],
)
def test_the_sentence_names_what_is_accepted(accept: tuple[str, ...], sentence: str) -> None:
    assert verdict("picture", None, accept) == sentence
    formats = sentence.replace(" and ", ", ").removesuffix(" files are accepted")
    as_ending = f"{formats}, PNG, JPEG and WebP files are accepted"
    assert verdict("text", None, accept, "endings") == f"{as_ending} as endings"
