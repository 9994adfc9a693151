"""The parser of uploads and the files it receives, without a server around them."""

import errno
import fcntl
import os
import random
import re
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge

from jobserver import errors
from jobserver.jobs import intake
from jobserver.jobs.intake import Limits, UploadParser
from tests.support import BOUNDARY, MP4_HEAD, field_part, file_part, form, part, wait_for

KIB = 1024


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


def limits(folder: Path, **changes) -> Limits:
    usual = Limits(folder, 64 * KIB, 10, 0, threading.BoundedSemaphore(2))
    return usual._replace(**changes)


def parse(limits: Limits, body, boundary: bytes = BOUNDARY, length: int | None = None):
    """Return the fields and the files of a body: bytes, or a stream."""
    stream = Pieces(body, longest=4 * KIB) if isinstance(body, bytes) else body
    options = {"boundary": boundary.decode("latin-1")}
    _, fields, files = UploadParser(limits).parse(stream, "multipart/form-data", length, options)
    return fields, files.getlist("videos")


def received_bytes(folder: Path, file: intake.ReceivedFile) -> bytes:
    """Return what an unsaved file holds."""
    return (folder / f"{file.id}.part").read_bytes()


@pytest.fixture
def upload_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def refused(upload_dir: Path) -> Callable[..., HTTPException]:
    """Return the error that refuses a body, once no file of it is left."""

    def refusal(body, error=HTTPException, length: int | None = None, **changes) -> HTTPException:
        with pytest.raises(error) as raised:
            parse(limits(upload_dir, **changes), body, length=length)
        assert list(upload_dir.iterdir()) == []
        return raised.value

    return refusal


@pytest.fixture
def accepted(upload_dir: Path) -> Callable[..., list[tuple[str, str, bytes]]]:
    """Return (name, stored name, bytes) of every file of a body that is accepted."""

    def acceptance(body, **changes) -> list[tuple[str, str, bytes]]:
        given = limits(upload_dir, **changes)
        _, files = parse(given, body)
        with intake.received(given, files) as uploads:
            pass
        for file in files:
            file.close()
        assert {path.name for path in upload_dir.iterdir()} == {
            upload.stored_name for upload in uploads
        }
        return [
            (upload.name, upload.stored_name, (upload_dir / upload.stored_name).read_bytes())
            for upload in uploads
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
    fields, files = parse(limits(folder), stream, boundary, len(body))
    assert [received_bytes(folder, file) for file in files] == contents
    assert [file.size for file in files] == [len(content) for content in contents]
    assert fields.getlist("note") == [note.decode("utf-8", "replace") for note in notes]
    for file in files:
        file.close()
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
    parser = UploadParser(limits(folder))
    options = {"boundary": boundary.decode("latin-1")}
    with suppress(BadRequest, RequestEntityTooLarge):  # nothing else may be raised
        stream = Pieces(body, seed, longest)
        _, _, files = parser.parse(stream, "multipart/form-data", length, options)
        received = files.getlist("videos")
        assert len(list(folder.iterdir())) == len(received)
        names = [intake._upload(file).stored_name for file in received]
        assert all(re.fullmatch(r"\w{22}\.[A-Za-z0-9]{1,10}", name, re.A) for name in names)
        for file in received:
            file.close()
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


def test_a_body_may_be_cut_between_any_two_bytes(upload_dir):
    content = MP4_HEAD + b"\r\n--" + BOUNDARY[:-1] + b"\r\n-\r\r\n"
    body = form(file_part(content), field_part("variations", "3"))
    given = limits(upload_dir)
    for cut in range(len(body)):
        stream = iter((body[:cut], body[cut:])) if cut else iter((body,))
        pieces = type("Cut", (), {"read": lambda self, size, s=stream: next(s, b"")})()
        fields, [file] = parse(given, pieces, length=len(body))
        assert received_bytes(upload_dir, file) == content
        assert fields["variations"] == "3"
        file.close()


def test_a_body_cut_anywhere_is_refused_and_leaves_no_file(refused):
    body = form(file_part(b"content"), field_part("variations", "3"))
    for end in range(len(body) - len(b"\r\n")):  # the last line break may be missing
        assert refused(body[:end]).code == 400, end
        assert refused(body[:end], length=len(body)).code == 400, end


def test_what_comes_after_the_closing_boundary_is_read_but_not_kept(accepted):
    [(_, _, content)] = accepted(form(file_part(b"content")) + b"epilogue" * 100)
    assert content == b"content"


def test_another_content_type_is_not_read(upload_dir):
    stream = Pieces(b"variations=3")
    parser = UploadParser(limits(upload_dir))
    parsed = parser.parse(stream, "application/x-www-form-urlencoded", 12, {})
    assert parsed == (stream, {}, {})
    assert stream.at == 0


# -- names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("C:\\fakepath\\a.mp4", "a.mp4"),
        ("a\0b.mp4", "a\0b.mp4"),
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
    with pytest.raises(errors.UnexpectedPart):
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
    assert error.code == 400
    assert message in error.description


def test_every_boundary_that_cannot_be_one_is_a_400(upload_dir):
    for boundary in (b"", b"a\nb", b"\xff" * 10):
        with pytest.raises(errors.MalformedBody):
            parse(limits(upload_dir), form(file_part(b"x")), boundary)


def test_files_before_the_refused_part_are_removed(refused):
    files = [file_part(b"whole" * 100) for _ in range(9)]
    refused(form(*files, file_part(b"x", type_="image/png")), errors.NotAnMP4)


def test_the_11th_file_is_refused_at_its_header_and_the_ten_before_it_are_removed(refused):
    ten = b"".join(file_part(b"whole") for _ in range(10))
    header = file_part(b"")[: -len(b"\r\n")]
    stream = Pieces(ten + header + b"never read" * 10_000, longest=1)
    error = refused(stream, errors.TooManyFiles)
    assert error.code == 400
    assert error.description == "Too many files (at most 10)"
    assert stream.at <= len(ten + header) + 16


def test_a_file_of_another_type_is_refused_at_its_header(refused):
    header = file_part(b"", type_="text/plain")[: -len(b"\r\n")]
    stream = Pieces(header + b"never read" * 10_000, longest=1)
    refused(stream, errors.NotAnMP4)
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
    error = refused(stream, errors.FileTooLarge, max_file_size=64 * KIB)
    assert error.code == 413
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
        refused(form(file_part(content, type_=type_)), errors.NotAnMP4)


def test_an_undeclared_type_is_refused_at_its_eighth_byte(refused):
    start = file_part(b"", type_=None)[: -len(b"\r\n")]
    stream = Pieces(start + b"\0" * 10_000, longest=1)
    refused(stream, errors.NotAnMP4)
    assert stream.at <= len(start) + 8 + 16


def test_a_declared_mp4_is_not_judged_by_its_content(accepted):
    [(_, _, content)] = accepted(form(file_part(b"\0" * KIB)))
    assert content == b"\0" * KIB


@pytest.mark.parametrize(
    ("where", "code"),
    [("preamble", 400), ("header", 400), ("epilogue", 400), ("boundary", 400), ("field", 413)],
)
def test_600_kb_around_the_files_are_refused_early(refused, where, code):
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
    error = refused(stream)
    assert error.code == code
    assert stream.at < 64 * KIB


def test_many_headers_of_one_part_are_refused(refused):
    lines = "".join(f"X-{i}: {'y' * 4000}\r\n" for i in range(150))
    body = form(part(b"x", f'{lines}Content-Disposition: form-data; name="variations"'))
    assert refused(body, errors.MalformedBody).code == 400


def test_1001_parts_are_refused_early(refused):
    stream = Pieces(form(file_part(b"x"), *(field_part("f", "v") for _ in range(1000))))
    error = refused(stream, errors.UnexpectedPart)
    assert error.code == 400
    assert "at most 50" in error.description
    assert stream.at < 20 * KIB


def test_fifty_fields_beside_ten_files_are_accepted(upload_dir):
    fields = [field_part("f", str(i)) for i in range(50)]
    form_, files = parse(limits(upload_dir), form(*fields, *[file_part(b"x")] * 10))
    assert form_.getlist("f") == [str(i) for i in range(50)]
    assert len(files) == 10


def test_a_body_shorter_than_its_content_length_is_a_client_gone(refused):
    body = form(file_part(b"content"))
    error = refused(body, errors.ClientGone, length=len(body) + 1)
    assert error.code == 400


# -- disk -----------------------------------------------------------------------------


def test_a_body_that_would_use_the_space_kept_free_is_refused_before_it_is_read(upload_dir):
    disk = os.statvfs(upload_dir)
    given = limits(upload_dir, min_free_space=disk.f_blocks * disk.f_frsize + 1)
    with pytest.raises(errors.InsufficientStorage), intake.admitted(given, 1, lambda _: False):
        pytest.fail("admitted")
    with pytest.raises(errors.InsufficientStorage), intake.admitted(given, None, lambda _: False):
        pytest.fail("admitted")


def test_space_that_goes_in_mid_body_is_noticed_at_the_end_of_a_file(refused):
    refused(form(file_part(b"x")), errors.InsufficientStorage, min_free_space=2**62)


def test_a_file_size_limit_of_the_process_ends_the_upload_and_leaves_no_file(upload_dir):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            parse(limits(upload_dir), form(file_part(b"x" * 20_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)
    assert raised.value.errno == errno.EFBIG
    assert raised.value.errno in errors.NO_SPACE
    assert list(upload_dir.iterdir()) == []


# -- admission --------------------------------------------------------------------------


def test_a_content_length_above_every_accepted_body_is_refused(upload_dir):
    given = limits(upload_dir)
    with intake.admitted(given, given.max_body_size, lambda _: True):
        pass
    with (
        pytest.raises(errors.BodyTooLarge) as raised,
        intake.admitted(given, given.max_body_size + 1, lambda _: True),
    ):
        pytest.fail("admitted")
    assert raised.value.code == 413


def test_the_largest_possible_upload_is_below_the_limit_of_the_body(upload_dir):
    given = limits(upload_dir, max_file_size=KIB, max_files=3)
    files = [file_part(b"x" * KIB, "n" * 4000) for _ in range(3)]
    fields = [field_part("f", "v" * intake.MAX_FIELD_SIZE) for _ in range(3)]
    assert len(form(*files, *fields)) < given.max_body_size


def test_uploads_have_slots_and_give_them_back(upload_dir):
    given = limits(upload_dir)
    with intake.admitted(given, 1, lambda _: True), intake.admitted(given, 1, lambda _: True):
        with pytest.raises(errors.Busy) as raised, intake.admitted(given, 1, lambda _: True):
            pytest.fail("admitted")
        assert raised.value.code == 503
        assert raised.value.get_response().headers["Retry-After"] == "5"
    with pytest.raises(ZeroDivisionError), intake.admitted(given, 1, lambda _: True):
        raise ZeroDivisionError
    with intake.admitted(given, 1, lambda _: True), intake.admitted(given, 1, lambda _: True):
        pass


# -- received files -----------------------------------------------------------------------


def test_a_file_in_reception_is_a_locked_part_of_mode_0600(upload_dir):
    _, [file] = parse(limits(upload_dir), form(file_part(b"content")))
    [path] = upload_dir.iterdir()
    assert path.name == f"{file.id}.part"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.close()
    assert not path.exists()


def test_a_saved_file_stays_locked_and_stays_after_close(upload_dir):
    given = limits(upload_dir)
    _, files = parse(given, form(file_part(b"content")))
    with intake.received(given, files) as [upload]:
        path = upload_dir / upload.stored_name
        with path.open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    files[0].close()
    files[0].close()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert other.read() == b"content"


def _fail_beside(folder: Path, names: set[str]) -> None:
    assert {path.name for path in folder.iterdir()} == names
    raise InterruptedError


def test_received_files_are_removed_when_what_follows_fails(upload_dir):
    given = limits(upload_dir)
    _, files = parse(given, form(file_part(b"one"), file_part(b"two"), file_part(b"three")))
    with pytest.raises(InterruptedError), intake.received(given, files) as uploads:
        _fail_beside(upload_dir, {upload.stored_name for upload in uploads})
    for file in files:
        file.close()
    assert list(upload_dir.iterdir()) == []


def test_uploads_come_in_the_order_of_the_body_with_their_sizes(upload_dir):
    given = limits(upload_dir)
    contents = [b"x" * size for size in (3, 1, 2)]
    names = ["c.mp4", "a.mov", "b.mp4"]
    parts = [file_part(*pair) for pair in zip(contents, names, strict=True)]
    _, files = parse(given, form(*parts))
    with intake.received(given, files) as uploads:
        assert [(upload.name, upload.size) for upload in uploads] == [
            ("c.mp4", 3),
            ("a.mov", 1),
            ("b.mp4", 2),
        ]
        assert [upload.id for upload in uploads] == [file.id for file in files]


def test_no_file_is_a_400(upload_dir):
    given = limits(upload_dir)
    with pytest.raises(errors.NoVideos), intake.received(given, []):
        pytest.fail("received")


def test_a_sweep_that_takes_the_part_between_creating_and_locking_costs_only_a_name(
    upload_dir, monkeypatch
):
    """The race itself, made to happen: the first lock finds its file unlinked."""
    stolen = []
    lock = fcntl.flock

    def flock_after_a_sweep(file, how):
        if not stolen:
            stolen.extend(upload_dir.iterdir())
            stolen[0].unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", flock_after_a_sweep)
    _, [file] = parse(limits(upload_dir), form(file_part(b"content")))
    assert received_bytes(upload_dir, file) == b"content"
    assert f"{file.id}.part" != stolen[0].name
    file.close()


def test_descriptors_are_given_back_after_refusals(upload_dir, refused):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        refused(form(*[file_part(b"x")] * 11))
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, 2, "the descriptors")
