"""The whole contract with curl: against gunicorn itself, and again through nginx."""

import hashlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from email.parser import Parser
from itertools import chain, repeat
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.nginx import Nginx
from tests.support import (
    BOUNDARY,
    FORM_TYPE,
    MP4_HEAD,
    PASSWORD,
    Answer,
    Server,
    field_part,
    file_part,
    form,
    read_answer,
)
from tests.test_nginx import head

pytestmark = pytest.mark.tools

MIB = 1024 * 1024
LARGEST = 500 * MIB
FILE_TOO_LARGE = {"error": "File too large (at most 500 MB)", "code": "file_too_large"}
INVALID_TOKEN = {"error": "Invalid or expired token", "code": "invalid_token"}
BEGINNING = file_part(MP4_HEAD).removesuffix(b"\r\n")  # of a form with one large file


class Site(NamedTuple):
    """A server, and the port at which this test asks for it."""

    server: Server
    port: int
    folder: Path  # for what curl sends and receives

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def curl(self, *words: str | Path, path: str = "/api/jobs") -> Answer:
        """Run curl as a person would; return the last answer it received.

        curl's exit status is not looked at: it may be refused while it still sends, and what
        counts is the answer that it shows.
        """
        headers, body = self.folder / "headers", self.folder / "body"
        body.unlink(missing_ok=True)
        command = ["curl", "-sS", "--max-time", "60", "-D", headers, "-o", body, *words]
        done = subprocess.run(
            [*command, self.url + path], capture_output=True, text=True, timeout=90
        )
        blocks = [block for block in headers.read_text().split("\n\n") if block.strip()]
        assert blocks, done.stderr  # no answer at all
        status_line, _, rest = blocks[-1].partition("\n")
        message = Parser(http.client.HTTPMessage).parsestr(rest)
        content = body.read_bytes() if body.exists() else b""
        return Answer(int(status_line.split()[1]), message, content)

    def upload(self, *words: str | Path, token: str | None = None) -> Answer:
        return self.curl("-H", f"Authorization: Bearer {token or self.server.token}", *words)

    def ask(self, path: str, *words: str) -> Answer:
        bearer = f"Authorization: Bearer {self.server.token}"
        return self.curl("-H", bearer, *words, path=path)

    def send(self, size: int, token: str) -> tuple[Answer, bool]:
        """POST a form of `size` bytes of file as http.client does: all of it, then look.

        Return the answer, and whether everything could be sent before it was looked for.
        """
        whole = True
        body_size = len(BEGINNING) + size - len(MP4_HEAD) + len(b"\r\n" + form())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.putrequest("POST", "/api/jobs")
            connection.putheader("Authorization", f"Bearer {token}")
            connection.putheader("Content-Type", FORM_TYPE)
            connection.putheader("Content-Length", str(body_size))
            connection.endheaders()
            try:
                for piece in chain([BEGINNING], zeros(size - len(MP4_HEAD)), [b"\r\n" + form()]):
                    connection.send(piece)
            except ConnectionError:
                whole = False
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read()), whole


def zeros(size: int) -> Iterator[bytes]:
    yield from repeat(bytes(MIB), size // MIB)
    yield bytes(size % MIB)


def sparse(path: Path, size: int) -> Path:
    """Make a file of `size` bytes that begins as an MP4 and uses one block of the disk."""
    with path.open("wb") as file:
        file.write(MP4_HEAD)
        file.truncate(size)
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(params=["gunicorn", "nginx"])
def site(
    request: pytest.FixtureRequest, gunicorn: Server, nginx: Nginx, tmp_path: Path
) -> Iterator[Site]:
    """The server the client talks to; after each test its files are checked and removed."""
    assert gunicorn.token
    port = {"gunicorn": gunicorn.port, "nginx": nginx.port}[request.param]
    yield Site(gunicorn, port, tmp_path)
    gunicorn.check_sound()
    for path in tmp_path.iterdir():  # pytest keeps this folder for a while
        path.unlink()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A small file that begins as an MP4."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(MP4_HEAD + bytes(range(256)) * 400)
    return path


@pytest.fixture
def largest(tmp_path: Path) -> Path:
    return sparse(tmp_path / "largest.mp4", LARGEST)


@pytest.fixture
def too_large(tmp_path: Path) -> Path:
    return sparse(tmp_path / "too large.mp4", LARGEST + 1)


# -- signing in, health -------------------------------------------------------------


def test_the_password_is_exchanged_for_a_token(site: Site):
    answer = site.curl("-d", json.dumps({"password": PASSWORD}), path="/api/auth")
    assert (answer.status, answer.json["expiresIn"]) == (200, 86400)
    listed = site.curl("-H", f"authorization: bearer {answer.json['token']}")
    assert listed.status == 200


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("", 400, "Password required"),
        ("no json", 400, "Password required"),
        ('{"password": ""}', 400, "Password required"),
        ('{"password": 1}', 400, "Password required"),
        ('{"password": "wrong"}', 401, "Invalid password"),
    ],
)
def test_a_body_without_the_password_is_refused(site: Site, body: str, status: int, error: str):
    answer = site.curl("-d", body, path="/api/auth")
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.headers["Content-Type"] == "application/json"


def test_repeated_wrong_passwords_have_to_wait(site: Site):
    words = ["-d", '{"password": "wrong"}']
    answers = [site.curl(*words, path="/api/auth") for _ in range(8)]
    assert answers[-1].status == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert set(answers[-1].json) == {"error", "code"}


def test_health_needs_no_token(site: Site):
    answer = site.curl(path="/api/health")
    assert (answer.status, answer.json["status"], answer.json["volumeMounted"]) == (200, "ok", True)
    keys = {"status", "timestamp", "volumeMounted", "pythonVersion", "version", "uptime"}
    assert set(answer.json) == keys | {"worker", "freeBytes"}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "Authorization required"),
        (["-H", "Authorization: Basic dTpw"], "Authorization required"),
        (["-H", "Authorization: Bearer wrong"], "Invalid or expired token"),
        (["-H", "Authorization: Bearer " + "x" * 10 * 1024], "Invalid or expired token"),
    ],
    ids=["none", "basic", "wrong", "10 KB"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_without_a_valid_token_is_refused(
    site: Site, words: list[str], error: str, method: str
):
    answer = site.curl("-X", method, *words)
    assert (answer.status, answer.json["error"]) == (401, error)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


# -- uploading, status, list ----------------------------------------------------------


def test_an_upload_is_accepted_shown_and_listed(site: Site, clip: Path):
    accepted = site.upload(
        "-F", f"videos=@{clip};type=video/mp4", "-F", "variations=3", "-F", f"videos=@{clip}"
    )
    assert accepted.status == 202
    job_id, size = accepted.json["jobId"], clip.stat().st_size
    assert accepted.headers["Location"] == accepted.json["statusUrl"] == f"/api/jobs/{job_id}"
    ids = [file.pop("id") for file in accepted.json["files"]]
    assert len(set(ids)) == 2
    assert accepted.json == accepted.json | {
        "jobId": job_id,
        "status": "queued",
        "files": [{"id": file_id, "name": "clip.mp4", "size": size} for file_id in ids],
        "variationsPerVideo": 3,
        "totalVariations": 6,
        "statusUrl": f"/api/jobs/{job_id}",
    }
    shown = site.ask(f"/api/jobs/{job_id}")
    assert shown.status == 200
    files = [{**file, "status": "queued"} for file in accepted.json["files"]]
    assert [file | sent for file, sent in zip(shown.json["files"], files, strict=True)] == (
        shown.json["files"]
    )
    assert shown.json == shown.json | {
        "jobId": job_id,
        "status": "queued",
        "totalVideos": 2,
        "totalVariations": 6,
        "error": None,
    }
    assert shown.json["createdAt"] < shown.json["expiresAt"]
    [listed] = site.ask("/api/jobs?limit=1").json
    assert listed == listed | {
        "id": job_id,
        "status": "queued",
        "totalVideos": 2,
        "totalVariations": 6,
        "createdAt": shown.json["createdAt"],
    }
    assert site.server.stored(job_id) == [clip.read_bytes()] * 2


def test_a_status_that_is_known_is_not_sent_again(site: Site, clip: Path):
    url = site.upload("-F", f"videos=@{clip}").json["statusUrl"]
    etag = site.ask(url).headers["ETag"]
    again = site.ask(url, "-H", f"If-None-Match: {etag}")
    assert (again.status, again.body) == (304, b"")


def test_the_list_has_pages(site: Site, clip: Path):
    ids = [site.upload("-F", f"videos=@{clip}").json["jobId"] for _ in range(3)][::-1]
    first = site.ask("/api/jobs?limit=2")
    assert [job["id"] for job in first.json] == ids[:2]
    assert first.headers["Link"].endswith('; rel="next"')
    second = site.ask(first.headers["Link"].partition(">")[0].removeprefix("<"))
    assert second.json[0]["id"] == ids[2]


@pytest.mark.parametrize(
    ("variations", "taken"), [("0", 1), ("1", 1), ("20", 20), ("99", 20), ("many", 5), (None, 5)]
)
def test_variations_are_clamped(site: Site, clip: Path, variations: str | None, taken: int):
    words = [] if variations is None else ["-F", f"variations={variations}"]
    accepted = site.upload(*words, "-F", f"videos=@{clip}")
    assert (accepted.status, accepted.json["variationsPerVideo"]) == (202, taken)


def test_ten_files_are_accepted(site: Site, clip: Path):
    accepted = site.upload(*["-F", f"videos=@{clip}"] * 10)
    assert (accepted.status, len(accepted.json["files"])) == (202, 10)


def test_a_chunked_upload_is_accepted(site: Site, clip: Path):
    accepted = site.upload("-H", "Transfer-Encoding: chunked", "-F", f"videos=@{clip}")
    assert accepted.status == 202
    assert site.server.stored(accepted.json["jobId"]) == [clip.read_bytes()]


def test_octet_stream_is_accepted_when_it_begins_as_an_mp4(site: Site, clip: Path):
    accepted = site.upload("-F", f"videos=@{clip};type=application/octet-stream")
    assert accepted.status == 202


def test_a_declared_mp4_is_accepted_whatever_is_in_it(site: Site, tmp_path: Path):
    (tmp_path / "zeros").write_bytes(bytes(1024))
    accepted = site.upload("-F", f"videos=@{tmp_path / 'zeros'};type=video/mp4")
    assert accepted.status == 202


# -- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-F", "videos=@{clip}"] * 11, "Too many files (at most 10)"),
        (["-F", "videos=@{clip};type=text/plain"], "Only MP4 files are accepted"),
        (["-F", "videos=@{text};type=application/octet-stream"], "Only MP4 files are accepted"),
        (
            ["-F", "videos=@{clip}", "-F", "videos=@{clip};type=image/gif"],
            "Only MP4 files are accepted",
        ),
        (["-F", "variations=3"], "No video files uploaded"),
        (["-X", "POST"], "No video files uploaded"),
        (["-d", "videos=1"], "No video files uploaded"),
        (["-F", "videos=text"], "No video files uploaded"),
        (["-F", "other=@{clip}"], "Send video files in the form field 'videos'"),
        (["-F", "videos=@{empty};type=video/mp4"], "A video file is empty"),
        (
            ["-H", f"Content-Type: {FORM_TYPE}", "--data-binary", "@{cut}"],
            "The multipart body is malformed or incomplete",
        ),
    ],
    ids=[
        "eleven files",
        "text/plain",
        "no ftyp",
        "second no mp4",
        "no file",
        "no body",
        "no multipart",
        "text field",
        "other field",
        "empty file",
        "cut",
    ],
)
def test_a_form_that_is_no_upload_is_a_400(site: Site, clip: Path, words: list[str], error: str):
    paths = {name: site.folder / name for name in ("text", "empty", "cut")}
    paths["text"].write_text("no MP4, but long enough to be one")
    paths["empty"].touch()
    paths["cut"].write_bytes(form(file_part(MP4_HEAD)).removesuffix(b"--" + BOUNDARY + b"--\r\n"))
    before = set(site.server.uploads())
    answer = site.upload(*(word.format(clip=clip, **paths) for word in words))
    assert (answer.status, answer.json["error"]) == (400, error)
    assert set(site.server.uploads()) == before


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/api/jobs/unknown", 404, "Job not found"),
        ("GET", "/api/jobs?limit=0", 400, "limit must be a whole number of at least 1"),
        ("GET", "/api/jobs?before=unknown", 400, "before must be the id of a job"),
        ("GET", "/nowhere", 404, None),
        ("PUT", "/api/jobs", 405, None),
        ("GET", "/api/auth", 405, None),
    ],
)
def test_an_error_is_one_sentence_as_json(
    site: Site, method: str, path: str, status: int, error: str | None
):
    answer = site.ask(path, "-X", method)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-ID"]
    assert set(answer.json) == {"error", "code"}
    assert error in (answer.json["error"], None)


# -- 500 MiB ------------------------------------------------------------------------------


def test_a_file_of_500_mib_is_accepted(site: Site, largest: Path):
    accepted = site.upload("-F", f"videos=@{largest}")
    assert accepted.status == 202
    ((name,),) = site.server.rows(
        "SELECT stored_name FROM job_file WHERE job_id = ?", accepted.json["jobId"]
    )
    stored = site.server.uploads()[name]
    assert stored.stat().st_size == LARGEST
    assert sha256(stored) == sha256(largest)
    stored.unlink()  # half a gigabyte less to keep; a sparse file is as good as it from here on
    sparse(stored, LARGEST)


def test_a_byte_more_is_a_413_that_curl_reads(site: Site, too_large: Path):
    before = set(site.server.uploads())
    answer = site.upload("-F", f"videos=@{too_large}")
    assert (answer.status, answer.json) == (413, FILE_TOO_LARGE)
    assert set(site.server.uploads()) == before


def test_a_byte_more_is_a_413_that_http_client_reads(site: Site):
    before = set(site.server.uploads())
    answer, _ = site.send(LARGEST + 1, site.server.token)
    assert (answer.status, answer.json) == (413, FILE_TOO_LARGE)
    assert set(site.server.uploads()) == before


def test_a_bad_token_with_500_mib_is_a_401_that_curl_reads(site: Site, largest: Path):
    start, before = time.monotonic(), set(site.server.uploads())
    answer = site.upload("-F", f"videos=@{largest}", token="wrong")
    assert (answer.status, answer.json) == (401, INVALID_TOKEN)
    assert time.monotonic() - start < 10
    assert set(site.server.uploads()) == before


def test_a_bad_token_with_500_mib_is_a_401_also_when_curl_does_not_ask_first(
    site: Site, largest: Path
):
    """curl usually sends `Expect: 100-continue` and waits; without it, it begins at once."""
    start, before = time.monotonic(), set(site.server.uploads())
    answer = site.upload("-H", "Expect:", "-F", f"videos=@{largest}", token="wrong")
    assert (answer.status, answer.json) == (401, INVALID_TOKEN)
    assert time.monotonic() - start < 10
    assert set(site.server.uploads()) == before


@pytest.mark.parametrize(
    ("site", "size"), [("gunicorn", 64 * MIB), ("nginx", LARGEST)], indirect=["site"]
)
def test_a_bad_token_is_a_401_that_http_client_reads(site: Site, size: int):
    """It sends everything before it reads; nginx waits for that, gunicorn for less."""
    start, before = time.monotonic(), set(site.server.uploads())
    answer, whole = site.send(size, "wrong")
    assert (answer.status, answer.json) == (401, INVALID_TOKEN)
    assert whole
    assert time.monotonic() - start < 10
    assert set(site.server.uploads()) == before


def test_a_bad_token_with_500_mib_is_a_401_that_a_raw_socket_reads_at_once(site: Site):
    """Read after the headers, before more than a little of the body is sent."""
    request = head(
        "POST",
        "/api/jobs",
        Authorization="Bearer wrong",
        Content_Type=FORM_TYPE,
        Content_Length=LARGEST,
    )
    before = set(site.server.uploads())
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)) as connection:
        connection.connect()
        connection.sock.sendall(request + BEGINNING)
        answer = read_answer(connection.sock)
        with suppress(ConnectionError):
            connection.sock.sendall(bytes(MIB))
    assert (answer.status, answer.json) == (401, INVALID_TOKEN)
    assert set(site.server.uploads()) == before


def test_a_size_above_everything_is_a_413_before_a_byte_of_it(site: Site):
    """The body is never sent, so the answer can only rest on the headers."""
    before = set(site.server.uploads())
    answer = site.upload("-H", f"Content-Length: {10**11}", "-H", f"Content-Type: {FORM_TYPE}",
                         "-H", "Expect:", "--data-binary", "--" + BOUNDARY.decode())  # fmt: skip
    assert answer.status == 413
    assert answer.json == {
        "error": "Request too large (at most 16201 MB)",
        "code": "body_too_large",
    }
    assert set(site.server.uploads()) == before


def test_a_long_field_is_a_413(site: Site, tmp_path: Path, clip: Path):
    (tmp_path / "form").write_bytes(form(field_part("variations", "1" * 20_000)))
    answer = site.upload(
        "-H", f"Content-Type: {FORM_TYPE}", "--data-binary", f"@{tmp_path / 'form'}"
    )
    assert answer.status == 413
    assert answer.json == {
        "error": "A form field is too large (at most 16384 bytes)",
        "code": "body_too_large",
    }
