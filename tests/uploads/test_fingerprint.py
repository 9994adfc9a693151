"""The fingerprint of a form says whether the same was asked for, however it was sent."""

from io import BytesIO

import pytest

from jobserver.files.store import Receiver
from jobserver.uploads import Fingerprint, Nowhere, UploadLimits, UploadParser, of_json
from tests.support import BOUNDARY, MP4_HEAD, field_part, file_part, form, part

A, B = MP4_HEAD + b"a" * 5000, MP4_HEAD + b"b" * 5000


def fingerprint(body: bytes, boundary: bytes = BOUNDARY, store: Receiver | None = None) -> str:
    limits = UploadLimits(max_file_size=1 << 20, max_files=10)
    found = Fingerprint()
    parser = UploadParser(store or Nowhere(), limits, fingerprint=found)
    options = {"boundary": boundary.decode()}
    parser.parse(BytesIO(body), "multipart/form-data", len(body), options)
    return found.hexdigest()


SENT = form(file_part(A, "a.mp4"), file_part(B, "b.mp4"), field_part("seed", "7"))


def test_another_boundary_and_another_sequence_of_fields_are_the_same() -> None:
    assert fingerprint(SENT.replace(BOUNDARY, b"other"), b"other") == fingerprint(SENT)
    moved = form(field_part("seed", "7"), file_part(A, "a.mp4"), file_part(B, "b.mp4"))
    assert fingerprint(moved) == fingerprint(SENT)
    retyped = form(file_part(A, "a.mp4", None), file_part(B, "b.mp4"), field_part("seed", "7"))
    assert fingerprint(retyped) == fingerprint(SENT)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([file_part(A, "a.mp4"), file_part(B, "b.mp4")], id="a field less"),
        pytest.param(
            [file_part(A, "a.mp4"), file_part(B, "b.mp4"), field_part("seed", "8")],
            id="another value",
        ),
        pytest.param(
            [file_part(A, "a.mp4"), file_part(B, "b.mp4"), field_part("title", "7")],
            id="another field",
        ),
        pytest.param(
            [file_part(B, "b.mp4"), file_part(A, "a.mp4"), field_part("seed", "7")],
            id="another sequence of videos",
        ),
        pytest.param(
            [file_part(A, "c.mp4"), file_part(B, "b.mp4"), field_part("seed", "7")],
            id="another name",
        ),
        pytest.param(
            [file_part(A[:-1] + b"x", "a.mp4"), file_part(B, "b.mp4"), field_part("seed", "7")],
            id="another byte",
        ),
        pytest.param(
            [file_part(A, "a.mp4"), file_part(B, "b.mp4", field="hooks"), field_part("seed", "7")],
            id="another field of a file",
        ),
        pytest.param(
            [file_part(A, "a.mp4"), file_part(B, "b.mp4"), field_part("seed", "7\x00")],
            id="a byte more",
        ),
    ],
)
def test_whatever_a_job_depends_on_makes_another(parts: list[bytes]) -> None:
    assert fingerprint(form(*parts)) != fingerprint(SENT)


def test_parts_cannot_be_cut_elsewhere() -> None:
    one = form(file_part(A, "a.mp4"), field_part("a", "b"), field_part("c", "d"))
    other = form(file_part(A, "a.mp4"), field_part("a", "bc"), field_part("", "d"))
    with pytest.raises(Exception, match="videos"):  # a part without a name has no place
        fingerprint(other)
    names = form(file_part(A, "a.mp4"), field_part("ab", ""), field_part("c", "d"))
    assert fingerprint(names) != fingerprint(one)


def test_a_part_that_is_not_ascii_is_hashed_as_it_came() -> None:
    name = part("ü".encode(), 'Content-Disposition: form-data; name="tïtle"')
    assert fingerprint(form(file_part(A, "ä.mp4"), name)) != fingerprint(
        form(file_part(A, "a.mp4"), name)
    )


def test_the_sequence_of_keys_of_an_object_is_no_part_of_it() -> None:
    assert of_json({"a": 1, "b": [2]}) == of_json({"b": [2], "a": 1})
    assert of_json({"a": [1, 2]}) != of_json({"a": [2, 1]})
