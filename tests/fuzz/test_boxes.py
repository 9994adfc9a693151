"""MP4 boxes and the first bytes of uploads: any bytes are read, or refused with a sentence."""

import struct
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from jobserver.render.boxes import read_index
from jobserver.render.errors import MediaError
from jobserver.uploads.containers import CONTAINERS, container_of, start_size
from tests.fuzz import cases

KINDS = [
    *(b"ftyp", b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvhd", b"tkhd", b"mdhd", b"hdlr"),
    *(b"stts", b"elst", b"edts", b"mvex", b"trex", b"moof", b"traf", b"tfhd", b"trun", b"mfra"),
    *(b"tfra", b"sidx", b"mdat", b"free", b"uuid", b"stsd", b"dref"),
]
SIZES = st.sampled_from([0, 1, 7, 8, 16, 2**31, 2**32 - 1]) | st.integers(0, 200)


def box(kind: bytes, content: bytes, size: int | None = None, large: bool = False) -> bytes:
    """A box with its size, or with one that is wrong."""
    right = len(content) + (16 if large else 8)
    if large:
        return struct.pack(">I4sQ", 1, kind, right if size is None else size) + content
    return struct.pack(">I4s", right if size is None else size, kind) + content


leaves = st.binary(max_size=60)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(
        st.builds(
            box,
            st.sampled_from(KINDS),
            inner,
            st.none() | st.none() | st.none() | SIZES,
            st.booleans(),
        ),
        max_size=4,
    ).map(b"".join),
    max_leaves=25,
)
START = box(b"ftyp", b"isom\0\0\2\0isomiso2")


@cases(300)
@given(trees, st.booleans())
@example(b"", True)
@example(box(b"moov", box(b"trak", box(b"mdia", box(b"mdhd", bytes(4))))), True)
def test_any_boxes_are_read_or_refused_with_a_sentence(
    tmp_path: Path, content: bytes, begins: bool
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(START + content if begins else content)
    try:
        read_index(path)
    except MediaError as error:
        assert str(error).endswith(".")  # noqa: PT017


@cases(500)
@given(st.binary(max_size=80), st.booleans())
@example(b"\0\0\0\x08ftyp", True)
@example(b"\x1a\x45\xdf\xa3", False)
def test_any_first_bytes_are_of_a_known_container_or_of_none(start: bytes, whole: bool) -> None:
    found = container_of(start, whole)
    assert found in {None, "other", *CONTAINERS}
    assert start_size(start) >= 0
