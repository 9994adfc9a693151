"""The parser of uploads and the files it receives, without a server around them."""

import errno
import fcntl
import os
import random
import re
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from jobserver.errors import (
    BodyTooLarge,
    ClientGone,
    EmptyFile,
    FileTooLarge,
    InsufficientStorage,
    MalformedBody,
    NotAnMP4,
    NoVideos,
    TooManyFiles,
    UnexpectedPart,
    UploadError,
)
from jobserver.files.local import LocalStore
from jobserver.uploads import IncomingFile, StoredFile, UploadLimits, UploadParser, receive
from jobserver.uploads.limits import MAX_FIELD_SIZE
from jobserver.uploads.multipart import Files, Form
from tests.support import BOUNDARY, MP4_HEAD, field_part, file_part, form, part, wait_for

KIB = 1024
LIMITS = UploadLimits(max_file_size=64 * KIB, max_files=10)
# what web/errors.py answers with 400; BodyTooLarge and FileTooLarge are a 413
BAD_REQUEST = (
    NoVideos,
    NotAnMP4,
    EmptyFile,
    UnexpectedPart,
    MalformedBody,
    ClientGone,
    TooManyFiles,
)


class Pieces:
    """A stream whose read(size) returns between 1 and `size` bytes until the body ends."""

    def __init__(self, body: bytes, seed: int = 0, longest: int = 64) -> None:
        self.body = body
        self.at = 0
        self._random = random.Random(seed)
        self._longest = longest

    def read(self, size: int) -> bytes:
        length = min(size, self._random.choice((1, 2, 3, self._longest, 16 * self._longest)))
        piece = self.body[self.at : self.at + length]
        self.at += len(piece)
        return piece


class Request(NamedTuple):
    """What Flask's request has once it was parsed."""

    form: Form
    files: Files

    @property
    def videos(self) -> list[IncomingFile]:
        return self.of_field("videos")

    def of_field(self, name: str) -> list[IncomingFile]:
        return [file.incoming for file in self.files.getlist(name)]

    def close(self) -> None:
        """Do what Flask does at the end of every request."""
        for _, file in self.files.items(multi=True):
            file.close()


def parse(
    store: LocalStore,
    body: bytes | Pieces,
    boundary: bytes = BOUNDARY,
    *,
    length: int | None = None,
    limits: UploadLimits = LIMITS,
) -> Request:
    """Return the fields and the files of a body: bytes, or a stream."""
    stream = Pieces(body, longest=4 * KIB) if isinstance(body, bytes) else body
    options = {"boundary": boundary.decode("latin-1")}
    parser = UploadParser(store, limits)
    _, fields, files = parser.parse(stream, "multipart/form-data", length, options)
    return Request(fields, files)


def received_bytes(folder: Path, file: IncomingFile) -> bytes:
    """Return what a file holds that is not committed."""
    return (folder / f"{file.id}.part").read_bytes()


@pytest.fixture
def upload_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def store(upload_dir: Path) -> LocalStore:
    return store_in(upload_dir)


def store_in(upload_dir: Path, min_free_space: int = 0) -> LocalStore:
    return LocalStore(upload_dir, upload_dir, min_free_space)


@pytest.fixture
def refused(store: LocalStore, upload_dir: Path) -> Callable[..., Exception]:
    """Return the error that refuses a body, once no file of it is left."""

    def refusal(body, error=UploadError, **options) -> Exception:
        with pytest.raises(error) as raised:
            parse(options.pop("store", store), body, **options)
        assert list(upload_dir.iterdir()) == []
        return raised.value

    return refusal


@pytest.fixture
def accepted(store: LocalStore, upload_dir: Path) -> Callable[..., list[tuple[str, str, bytes]]]:
    """Return (name, stored name, bytes) of every file of a body that is accepted."""

    def acceptance(body) -> list[tuple[str, str, bytes]]:
        request = parse(store, body)
        with receive(request, store) as received:
            stored = received.files
        request.close()
        assert {path.name for path in upload_dir.iterdir()} == {file.stored_name for file in stored}
        return [
            (file.name, file.stored_name, (upload_dir / file.stored_name).read_bytes())
            for file in stored
        ]

    return acceptance


# -- bytes are the bytes sent -----------------------------------------------------------

boundaries = st.sampled_from([BOUNDARY, b"b", b"-", b"--", b"-" * 70, b"a-b--c"])


@st.composite
def bodies(draw):
    """A boundary, the contents of some files, fields, and the body that says so."""
    boundary = draw(boundaries)
    delimiter = b"\r\n--" + boundary
    tokens = st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"-", b"--", b"\r\n--", b"--" + boundary, boundary, b"\0", b"\xff"]
        + [delimiter[:cut] for cut in range(2, len(delimiter))]
    )
    payloads = st.lists(tokens | st.binary(max_size=40), min_size=1, max_size=12).map(b"".join)
    parts = draw(st.lists(st.tuples(st.booleans(), payloads), min_size=1, max_size=5))
    assume(all(payload and delimiter not in payload for _, payload in parts))
    body = b""
    for is_file, payload in parts:
        name = b'name="videos"; filename="a.mp4"' if is_file else b'name="note"'
        kind = b"\r\nContent-Type: video/mp4" if is_file else b""
        body += b"--" + boundary + b"\r\nContent-Disposition: form-data; " + name + kind
        body += b"\r\n\r\n" + payload + b"\r\n"
    files = [payload for is_file, payload in parts if is_file]
    fields = [payload for is_file, payload in parts if not is_file]
    return boundary, files, fields, body + b"--" + boundary + b"--\r\n"


def check_bytes_are_the_bytes_sent(folder: Path, sent, seed: int, longest: int) -> None:
    boundary, contents, notes, body = sent
    stream = Pieces(body, seed, longest)
    request = parse(store_in(folder), stream, boundary, length=len(body))
    assert [received_bytes(folder, file) for file in request.videos] == contents
    assert [file.size for file in request.videos] == [len(content) for content in contents]
    assert request.form.getlist("note") == [note.decode("utf-8", "replace") for note in notes]
    request.close()
    assert list(folder.iterdir()) == []


cuts = {"seed": st.integers(0, 2**32), "longest": st.sampled_from([1, 7, 64, 1000])}
usual = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@settings(usual, max_examples=500)
@given(sent=bodies(), **cuts)
def test_stored_bytes_are_the_bytes_sent(upload_dir, sent, seed, longest):
    check_bytes_are_the_bytes_sent(upload_dir, sent, seed, longest)


@pytest.mark.slow
@settings(usual, max_examples=20_000)
@given(sent=bodies(), **cuts)
def test_stored_bytes_are_the_bytes_sent_in_20_000_cases(upload_dir, sent, seed, longest):
    check_bytes_are_the_bytes_sent(upload_dir, sent, seed, longest)


@st.composite
def broken_bodies(draw):
    """A body with its end cut off, or with some bytes changed, inserted and removed."""
    boundary, _, _, body = draw(bodies())
    if draw(st.booleans()):
        return boundary, body[: draw(st.integers(0, len(body)))]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        removed = draw(st.sampled_from([0, 1, 2, 20]))
        added = st.sampled_from(
            [b"", b"\r", b"\n", b"\r\n", b"--", b'"', b"\0", b"\\", b";", b"%0"]
        )
        body = body[:at] + draw(added | st.binary(max_size=4)) + body[at + removed :]
    return boundary, body


def check_broken_body(folder: Path, broken, length: int | None, seed: int, longest: int) -> None:
    boundary, body = broken
    with suppress(BodyTooLarge, *BAD_REQUEST):  # nothing else may be raised
        request = parse(store_in(folder), Pieces(body, seed, longest), boundary, length=length)
        names = [file.stored_name for file in request.videos]
        assert len(list(folder.iterdir())) == len(names)
        assert all(re.fullmatch(r"\w{22}\.[A-Za-z0-9]{1,10}", name, re.A) for name in names)
        request.close()
    assert list(folder.iterdir()) == []


@settings(usual, max_examples=500)
@given(broken=broken_bodies(), length=st.none() | st.integers(0, 2000), **cuts)
@example(broken=(b"b", b""), length=None, seed=0, longest=1)
@example(broken=(b"b", b"--b--"), length=None, seed=0, longest=1)
def test_a_broken_body_is_parsed_or_refused_and_leaves_no_file(
    upload_dir, broken, length, seed, longest
):
    check_broken_body(upload_dir, broken, length, seed, longest)


@pytest.mark.slow
@settings(usual, max_examples=20_000)
@given(broken=broken_bodies(), length=st.none() | st.integers(0, 2000), **cuts)
def test_20_000_broken_bodies_are_parsed_or_refused_and_leave_no_file(
    upload_dir, broken, length, seed, longest
):
    check_broken_body(upload_dir, broken, length, seed, longest)


def test_a_body_may_be_cut_between_any_two_bytes(store, upload_dir):
    content = MP4_HEAD + b"\r\n--" + BOUNDARY[:-1] + b"\r\n-\r\r\n"
    body = form(file_part(content), field_part("variations", "3"))
    for cut in range(len(body)):
        stream = iter((body[:cut], body[cut:])) if cut else iter((body,))
        pieces = type("Cut", (), {"read": lambda self, size, s=stream: next(s, b"")})()
        request = parse(store, pieces, length=len(body))
        assert [received_bytes(upload_dir, file) for file in request.videos] == [content]
        assert request.form["variations"] == "3"
        request.close()


def test_a_body_cut_anywhere_is_refused_and_leaves_no_file(refused):
    body = form(file_part(b"content"), field_part("variations", "3"))
    for end in range(len(body) - len(b"\r\n")):  # the last line break may be missing
        assert isinstance(refused(body[:end]), BAD_REQUEST), end
        assert isinstance(refused(body[:end], length=len(body)), BAD_REQUEST), end


def test_what_comes_after_the_closing_boundary_is_read_but_not_kept(accepted):
    [(_, _, content)] = accepted(form(file_part(b"content")) + b"epilogue" * 100)
    assert content == b"content"


def test_another_content_type_is_not_read(store):
    stream = Pieces(b"variations=3")
    parser = UploadParser(store, LIMITS)
    parsed = parser.parse(stream, "application/x-www-form-urlencoded", 12, {})
    assert parsed == (stream, {}, {})
    assert stream.at == 0


# -- names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("C:\\fakepath\\a.mp4", "a.mp4"),
        ("a\0b.mp4", "a\ufffdb.mp4"),  # no text of PostgreSQL holds a NUL
        ("....", "...."),
        ("-i.mp4", "-i.mp4"),
        ("a\u202e4pm.exe", "a\u202e4pm.exe"),
        ("e\u0301.mp4", "e\u0301.mp4"),
        ("über 日本 🎬.mp4", "über 日本 🎬.mp4"),
        ("a%0d%0aX.mp4", "a%0d%0aX.mp4"),
        ("a%0D%0AX.mp4", "a\r\nX.mp4"),  # how browsers send a line break
        ("a%22b.mp4", 'a"b.mp4'),
        ('a\\"b.mp4', 'a"b.mp4'),
        ("%s%n%d.mp4", "%s%n%d.mp4"),
        ("x.PART", "x.PART"),
        ("a.mp4/", "a.mp4/"),
        ("/dev/null", "/dev/null"),
        (".database", ".database"),
    ],
)
def test_a_hostile_name_is_shown_as_sent_and_never_a_path(accepted, sent, shown):
    [(name, stored, content)] = accepted(form(file_part(b"content", sent)))
    assert name == shown
    assert content == b"content"
    assert stored[:22].isalnum()
    assert stored[22] == "."
    assert stored[23:].isalnum()
    assert not stored.lower().endswith(".part")


def test_a_name_of_300_characters_is_cut_to_255(accepted):
    [(name, stored, _)] = accepted(form(file_part(b"content", "é" * 300 + ".mp4")))
    assert name == "é" * 255
    assert stored.endswith(".mp4")


def test_a_file_whose_name_is_not_closed_is_refused_beside_a_good_one(accepted):
    headers = 'Content-Disposition: form-data; name="videos"; filename="half.mp4'
    half = part(b"content", f"{headers}\r\nContent-Type: video/mp4")
    with pytest.raises(UnexpectedPart):
        accepted(form(file_part(b"good"), half))


def test_a_name_that_is_no_utf_8_is_shown_with_replacement_characters(accepted):
    body = form(file_part(b"content", "NAME")).replace(b"NAME", b"\xff\xc3.mp4")
    [(name, stored, _)] = accepted(body)
    assert name == "\ufffd\ufffd.mp4"
    assert stored.endswith(".mp4")


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ("filename*=UTF-8''%0d%0aX", "\r\nX"),
        ("filename*=UTF-8''%e2%82%ac.mp4", "€.mp4"),
        ("filename=\"plain.mp4\"; filename*=UTF-8''star.mp4", "plain.mp4"),
        ("filename*=UTF-8''star.mp4; filename=\"plain.mp4\"", "plain.mp4"),
        ("filename=bare.mp4", "bare.mp4"),
        ("filename*=UTF-8''..%2f..%2fx", "../../x"),
    ],
)
def test_every_way_to_give_a_name_is_understood(accepted, parameters, shown):
    headers = f'Content-Disposition: form-data; name="videos"; {parameters}'
    body = form(part(b"content", f"{headers}\r\nContent-Type: video/mp4"))
    [(name, stored, _)] = accepted(body)
    assert name == shown
    assert "/" not in stored


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.MP4", ".MP4"),
        ("a.tar.gz", ".gz"),
        ("a.m4v", ".m4v"),
        ("none", ".mp4"),
        ("a.", ".mp4"),
        ("a.mp4 ", ".mp4"),
        ("a.mp4\n", ".mp4"),
        ("a.part", ".mp4"),
        ("a.pArT", ".mp4"),
        ("a.ünï", ".mp4"),
        ("a.٣", ".mp4"),
        ("a.elevenchars", ".mp4"),
    ],
)
def test_the_extension_is_kept_when_it_is_harmless(accepted, name, extension):
    [(_, stored, _)] = accepted(form(file_part(b"content", name.replace("\n", "%0A"))))
    assert stored[22:] == extension


# -- what is refused, and where ---------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (form(part(b"x", 'Content-Disposition: form-data; filename="a.mp4"')), "field 'videos'"),
        (form(part(b"x", "Content-Disposition: form-data")), "field 'videos'"),
        (form(file_part(b"x", field="file")), "field 'videos'"),
        (form(file_part(b"x"), file_part(b"5", "v", "text/plain", "variations")), "'videos'"),
        (form(file_part(b"")), "A video file is empty"),
        (form(file_part(b"", "")), "No video files uploaded"),
        (form(file_part(b"x", type_="text/plain")), "Only MP4 files are accepted"),
        (form(file_part(b"x", type_="video/mp4x")), "Only MP4 files are accepted"),
        (form(file_part(b"x", type_="")), "Only MP4 files are accepted"),
        (form(part(b"x", "Content-Type: video/mp4")), "malformed"),
        (form(part(b"x", "Content-Disposition: attachment; name=videos")), "malformed"),
        (form(part(b"x", "no header at all")), "malformed"),
        (b"", "malformed"),
        (b"not multipart", "malformed"),
        (b"--" + BOUNDARY + b"\n\n", "malformed"),
        (b"x" + form(file_part(b"x")), "malformed"),
        (file_part(b"whole")[:-2] + b"\r\n--" + BOUNDARY + b"++", "malformed"),
        (file_part(b"whole") + file_part(b"whole"), "malformed"),
    ],
)
def test_a_body_with_no_place_for_it_is_a_400_and_leaves_no_file(refused, body, message):
    error = refused(body)
    assert isinstance(error, BAD_REQUEST)
    assert message in str(error)


def test_every_boundary_that_cannot_be_one_is_a_400(store):
    for boundary in (b"", b"a\nb", b"\xff" * 10):
        with pytest.raises(MalformedBody):
            parse(store, form(file_part(b"x")), boundary)


def test_files_before_the_refused_part_are_removed(refused):
    files = [file_part(b"whole" * 100) for _ in range(9)]
    refused(form(*files, file_part(b"x", type_="image/png")), NotAnMP4)


def test_the_11th_file_is_refused_at_its_header_and_the_ten_before_it_are_removed(refused):
    ten = b"".join(file_part(b"whole") for _ in range(10))
    header = file_part(b"")[: -len(b"\r\n")]
    stream = Pieces(ten + header + b"never read" * 10_000, longest=1)
    error = refused(stream, TooManyFiles)
    assert str(error) == "Too many files (at most 10)"
    assert stream.at <= len(ten + header) + 16


def test_a_file_of_another_type_is_refused_at_its_header(refused):
    header = file_part(b"", type_="text/plain")[: -len(b"\r\n")]
    stream = Pieces(header + b"never read" * 10_000, longest=1)
    refused(stream, NotAnMP4)
    assert stream.at <= len(header) + 16


def test_a_file_of_the_greatest_size_is_accepted_and_refused_at_the_byte_after_it(
    accepted, refused
):
    content = random.Random(5).randbytes(64 * KIB)
    assert [file[2] for file in accepted(form(file_part(content), file_part(content)))] == [
        content,
        content,
    ]


def test_the_byte_after_the_greatest_size_ends_the_upload(refused):
    whole = file_part(b"whole")
    start = file_part(b"")[: -len(b"\r\n")]
    stream = Pieces(whole + start + b"x" * 200 * KIB, longest=1)
    error = refused(stream, FileTooLarge)
    assert str(error) == "File too large (at most 64 KB)"
    assert stream.at <= len(whole + start) + 64 * KIB + 16


@pytest.mark.parametrize("type_", [None, "application/octet-stream"])
@pytest.mark.parametrize("content", [MP4_HEAD + b"rest", MP4_HEAD[:8]])
def test_an_undeclared_type_is_accepted_when_the_content_starts_as_an_mp4(accepted, content, type_):
    [(_, _, stored)] = accepted(Pieces(form(file_part(content, type_=type_)), longest=1))
    assert stored == content


@pytest.mark.parametrize(
    "content", [b"\0" * 100, b"ftypisom" * 10, b"\0\0\0", b"\0\0\0\x18fty", b"x"]
)
def test_an_undeclared_type_with_other_content_is_refused(refused, content):
    for type_ in (None, "application/octet-stream"):
        refused(form(file_part(content, type_=type_)), NotAnMP4)


def test_an_undeclared_type_is_refused_at_its_eighth_byte(refused):
    start = file_part(b"", type_=None)[: -len(b"\r\n")]
    stream = Pieces(start + b"\0" * 10_000, longest=1)
    refused(stream, NotAnMP4)
    assert stream.at <= len(start) + 8 + 16


def test_a_declared_mp4_may_begin_without_a_file_type(accepted):
    [(_, _, content)] = accepted(form(file_part(b"\0" * KIB)))
    assert content == b"\0" * KIB


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("preamble", MalformedBody),
        ("header", MalformedBody),
        ("epilogue", MalformedBody),
        ("boundary", MalformedBody),
        ("field", BodyTooLarge),
    ],
)
def test_600_kb_around_the_files_are_refused_early(refused, where, kind):
    filling = b"y" * 600 * KIB
    whole = file_part(b"whole")
    body = {
        "preamble": b"\r\n" + filling + b"\r\n" + form(whole),
        "header": whole + b"--" + BOUNDARY + b"\r\nX-Filling: " + filling,
        "epilogue": form(whole) + filling,
        "boundary": whole + b"--" + BOUNDARY + filling,
        "field": whole + part(filling, 'Content-Disposition: form-data; name="variations"'),
    }[where]
    stream = Pieces(body, longest=64)
    refused(stream, kind)
    assert stream.at < 64 * KIB


def test_many_headers_of_one_part_are_refused(refused):
    lines = "".join(f"X-{i}: {'y' * 4000}\r\n" for i in range(150))
    body = form(part(b"x", f'{lines}Content-Disposition: form-data; name="variations"'))
    refused(body, MalformedBody)


def test_1001_parts_are_refused_early(refused):
    stream = Pieces(form(file_part(b"x"), *(field_part("f", "v") for _ in range(1000))))
    error = refused(stream, UnexpectedPart)
    assert "at most 50" in str(error)
    assert stream.at < 20 * KIB


def test_fifty_fields_beside_ten_files_are_accepted(store):
    fields = [field_part("f", str(i)) for i in range(50)]
    request = parse(store, form(*fields, *[file_part(b"x")] * 10))
    assert request.form.getlist("f") == [str(i) for i in range(50)]
    assert len(request.videos) == 10
    request.close()


def test_a_body_shorter_than_its_content_length_is_a_client_gone(refused):
    body = form(file_part(b"content"))
    refused(body, ClientGone, length=len(body) + 1)


# -- disk -----------------------------------------------------------------------------


def test_space_that_is_used_up_in_mid_body_is_noticed_at_the_end_of_a_file(refused, upload_dir):
    full = store_in(upload_dir, min_free_space=2**62)
    refused(form(file_part(b"x")), InsufficientStorage, store=full)


def test_a_file_size_limit_of_the_process_ends_the_upload_and_leaves_no_file(store, upload_dir):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            parse(store, form(file_part(b"x" * 20_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert raised.value.errno == errno.EFBIG
    assert list(upload_dir.iterdir()) == []


def test_the_largest_possible_upload_is_below_the_limit_of_the_body():
    limits = UploadLimits(max_file_size=KIB, max_files=3)
    files = [file_part(b"x" * KIB, "n" * 4000) for _ in range(3)]
    fields = [field_part("f", "v" * MAX_FIELD_SIZE) for _ in range(3)]
    assert len(form(*files, *fields)) < limits.max_body_size


# -- a request from its body to its end --------------------------------------------------------


def test_a_file_in_reception_is_a_locked_part_of_mode_0600(store, upload_dir):
    request = parse(store, form(file_part(b"content")))
    [file], [path] = request.videos, upload_dir.iterdir()
    assert path.name == f"{file.id}.part"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    request.close()
    assert not path.exists()


def test_a_durable_file_stays_locked_until_the_request_is_closed_and_stays_after_it(
    store, upload_dir
):
    request = parse(store, form(file_part(b"content")))
    with receive(request, store) as received:
        path = upload_dir / received.files[0].stored_name
        with path.open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    request.close()
    request.close()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert other.read() == b"content"


def _fail_beside(folder: Path, names: set[str]) -> None:
    assert {path.name for path in folder.iterdir()} == names
    raise InterruptedError


def test_durable_files_are_removed_when_what_follows_fails(store, upload_dir):
    request = parse(store, form(file_part(b"one"), file_part(b"two"), file_part(b"three")))
    with pytest.raises(InterruptedError), receive(request, store) as received:
        _fail_beside(upload_dir, {file.stored_name for file in received.files})
    request.close()
    assert list(upload_dir.iterdir()) == []


@pytest.mark.parametrize("step", ["fdatasync", "rename", "fsync"])
def test_no_file_is_left_when_one_of_several_cannot_be_made_durable(
    store, upload_dir, monkeypatch, step
):
    request = parse(store, form(file_part(b"one"), file_part(b"two"), file_part(b"three")))
    call, calls = getattr(os, step), []

    def fail_late(*args):
        calls.append(args)
        if len(calls) == (1 if step == "fsync" else 3):
            raise OSError(errno.ENOSPC, "No space left on device")
        call(*args)

    monkeypatch.setattr(os, step, fail_late)
    with pytest.raises(OSError, match="No space left"), receive(request, store):
        pytest.fail("received")
    request.close()
    assert list(upload_dir.iterdir()) == []


def test_files_come_in_the_order_of_the_body_with_their_sizes_beside_the_fields(store):
    contents = [b"x" * size for size in (3, 1, 2)]
    names = ["c.mp4", "a.mov", "b.mp4"]
    parts = [file_part(*pair) for pair in zip(contents, names, strict=True)]
    request = parse(store, form(field_part("variations", "3"), *parts))
    with receive(request, store) as received:
        assert received.files == [
            StoredFile(request.videos[0].id, "c.mp4", request.videos[0].stored_name, 3),
            StoredFile(request.videos[1].id, "a.mov", request.videos[1].stored_name, 1),
            StoredFile(request.videos[2].id, "b.mp4", request.videos[2].stored_name, 2),
        ]
        assert received.fields.get("variations") == "3"
    request.close()


# -- the other file fields ------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
MP3 = b"ID3\4" + bytes(100)


def asset(field: str, content: bytes, name: str = "a", type_: str = "image/png") -> bytes:
    return file_part(content, name, type_, field)


def test_files_of_every_field_are_durable_videos_first_each_in_its_sequence(store, upload_dir):
    body = form(
        asset("music", MP3, "song.mp3", "audio/mpeg"),
        asset("endings", PNG, "end.png"),
        asset("hooks", MP4_HEAD + b"b", "b.mp4", "video/mp4"),
        field_part("brief", "{}"),
        file_part(MP4_HEAD),
        asset("hooks", MP4_HEAD + b"a", "a.mp4", "video/mp4"),
        asset("overlays", PNG, "logo.png"),
        asset("endings", MP4_HEAD, "end.mp4", "application/octet-stream"),
    )
    request = parse(store, body, length=len(body))
    with receive(request, store) as received:
        assert [(file.field, file.name) for file in received.files] == [
            ("videos", "clip.mp4"),
            ("hooks", "b.mp4"),
            ("hooks", "a.mp4"),
            ("endings", "end.png"),
            ("endings", "end.mp4"),
            ("overlays", "logo.png"),
            ("music", "song.mp3"),
        ]
    request.close()
    contents = [(upload_dir / file.stored_name).read_bytes() for file in received.files]
    assert contents == [MP4_HEAD, MP4_HEAD + b"b", MP4_HEAD + b"a", PNG, MP4_HEAD, PNG, MP3]
    assert len(list(upload_dir.iterdir())) == 7


@pytest.mark.parametrize(
    ("refused_part", "sentence"),
    [
        (asset("overlays", b"<svg>" * 9), "Only PNG, JPEG and WebP files are accepted as overlays"),
        (asset("overlays", b"<svg"), "Only PNG, JPEG and WebP files are accepted as overlays"),
        (asset("music", PNG), "Only M4A, MP3, WAV, FLAC and OGG files are accepted as music"),
        (asset("hooks", PNG), "Only MP4 files are accepted"),
        (
            asset("endings", MP3, type_="video/mp4x"),
            "Only MP4, PNG, JPEG and WebP files are accepted as endings",
        ),
        (asset("hooks", b"", "a.mp4", "video/mp4"), "A file in 'hooks' is empty"),
        (asset("stickers", PNG), "Send video files in the form field 'videos'"),
    ],
)
def test_a_part_that_its_field_does_not_take_is_refused_with_all_others(
    refused, refused_part, sentence
):
    body = form(file_part(MP4_HEAD), asset("overlays", PNG), refused_part)
    assert str(refused(body)) == sentence


@pytest.mark.parametrize("field", ["hooks", "endings", "overlays", "music"])
def test_the_eleventh_file_of_a_field_is_refused_at_its_header(refused, field):
    content = {"hooks": MP4_HEAD, "music": MP3}.get(field, PNG)
    type_ = "video/mp4" if field == "hooks" else "image/png"
    body = form(file_part(MP4_HEAD), *[asset(field, content, type_=type_)] * 11)
    cut = body[: body.rindex(content) - 2]  # the last part's header is not even whole
    assert str(refused(body, TooManyFiles)) == f"Too many {field} (at most 10)"
    assert isinstance(refused(cut, UploadError), MalformedBody)


def test_a_still_may_be_larger_than_a_video_and_at_most_20_mib(store, refused):
    small = UploadLimits(max_file_size=KIB, max_files=1)
    most = 20 * KIB * KIB
    for field in ("overlays", "endings"):
        still = PNG + bytes(most - len(PNG))
        body = form(file_part(MP4_HEAD), asset(field, still))
        parse(store, Pieces(body, longest=1 << 20), limits=small).close()
        body = form(file_part(MP4_HEAD), asset(field, still + b"x"))
        error = refused(Pieces(body, longest=1 << 20), FileTooLarge, limits=small)
        assert str(error) == "File too large (at most 20 MB)"


@pytest.mark.parametrize("field", ["hooks", "endings", "overlays", "music"])
def test_a_file_field_that_nobody_has_filled_counts_as_not_sent(store, upload_dir, field):
    """As a browser sends it of an `<input type=file>` without a file."""
    nothing = asset(field, b"", "", "application/octet-stream")
    request = parse(store, form(nothing, file_part(MP4_HEAD), nothing))
    assert request.of_field(field) == []
    with receive(request, store) as received:
        assert [file.field for file in received.files] == ["videos"]
    request.close()
    assert len(list(upload_dir.iterdir())) == 1


def test_empty_file_fields_count_as_fields(refused):
    nothing = asset("hooks", b"", "", "application/octet-stream")
    error = refused(form(file_part(MP4_HEAD), *[nothing] * 60, field_part("a", "b")))
    assert str(error) == "Too many form fields (at most 50)"


def test_a_brief_may_be_longer_than_other_fields_and_at_most_64_kib(store, refused):
    request = parse(store, form(file_part(MP4_HEAD), field_part("brief", "x" * 64 * KIB)))
    assert len(request.form["brief"]) == 64 * KIB
    request.close()
    for name, most in (("brief", 65536), ("title", 16384)):
        body = form(file_part(MP4_HEAD), field_part(name, "x" * (most + 1)))
        sentence = f"A form field is too large (at most {most} bytes)"
        assert str(refused(body, BodyTooLarge)) == sentence


def test_no_file_is_a_400(store):
    request = parse(store, form(field_part("variations", "3")))
    with pytest.raises(NoVideos), receive(request, store):
        pytest.fail("received")


def test_descriptors_are_given_back_after_refusals(refused):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        refused(form(*[file_part(b"x")] * 11))
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, 2, "the descriptors")
