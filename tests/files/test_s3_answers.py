"""What a store answers when something is wrong, over HTTP, with boto3 in between.

The answers are those that AWS documents; the server is a script of them.
"""

import errno
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobserver.errors import StoreUnreachable
from jobserver.files.s3.cleanup import Ages
from jobserver.files.s3.store import Bucket, S3Store
from jobserver.files.scratch import Scratch
from tests.files.contract import placed, received

KEY = "uploads/a.mp4"


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]


class ScriptedStore:
    """Answers each request as `answer` says: status, body and headers; keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], tuple[int, str, dict[str, str]]] = lambda _: (200, "", {})
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers)
                script.requests.append(request)
                status, body, said = script.answer(request)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **said}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body.encode())

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def always(self, status: int, code: str, more: str = "") -> None:
        body = f"<Error><Code>{code}</Code><Message>Some words.</Message>{more}</Error>"
        self.answer = lambda _: (status, body, {"Content-Type": "application/xml"})

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedStore]:
    script = ScriptedStore()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL_S3": script.url,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    thread = threading.Thread(target=script.server.serve_forever, args=(0.01,))
    thread.start()
    yield script
    script.server.shutdown()
    thread.join()
    script.server.server_close()


@pytest.fixture
def store(script: ScriptedStore, tmp_path: Path) -> S3Store:
    return S3Store(Bucket("media", "jobs", None), Scratch(tmp_path, 1), Ages(3600, 7200))


@pytest.mark.parametrize(
    ("status", "code", "more", "sentence"),
    [
        (404, "NoSuchBucket", "", "there is no bucket media"),
        (403, "AccessDenied", "", "the store does not permit GetObject in the bucket media"),
        (403, "InvalidAccessKeyId", "", "the store does not accept the credentials"),
        (403, "SignatureDoesNotMatch", "", "the store does not accept the credentials"),
        (400, "ExpiredToken", "", "the credentials for the store have expired"),
        (403, "RequestTimeTooSkewed", "", "differ by more than 15 minutes"),
        (
            *(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            "the bucket media is in another region (eu-west-1): set AWS_DEFAULT_REGION",
        ),
        (503, "SlowDown", "", "the store answers GetObject with SlowDown (Some words.)"),
        (500, "InternalError", "", "the store answers GetObject with InternalError (Some words.)"),
    ],
)
def test_a_store_that_refuses_is_one_sentence_for_the_operator(
    store: S3Store, script: ScriptedStore, status: int, code: str, more: str, sentence: str
) -> None:
    script.always(status, code, more)
    with pytest.raises(StoreUnreachable) as raised:
        store.roots[0].owner()
    assert str(raised.value).startswith("STORAGE_URL cannot be used: ")
    assert sentence in str(raised.value)


@pytest.mark.parametrize("code", ["XMinioStorageFull", "QuotaExceeded"])
def test_a_full_store_is_a_full_disk(
    store: S3Store, script: ScriptedStore, tmp_path: Path, code: str
) -> None:
    script.always(403, code)
    (tmp_path / "1.mp4").write_bytes(b"x")
    for call in (lambda: received(store, b"x"), lambda: store.put(tmp_path / "1.mp4", KEY)):
        with pytest.raises(OSError, match="No space left") as raised:
            call()
        assert raised.value.errno == errno.ENOSPC


def test_the_store_is_asked_once_in_two_seconds_whatever_it_answers(
    store: S3Store, script: ScriptedStore
) -> None:
    script.always(403, "AccessDenied")
    for _ in range(20):
        with pytest.raises(StoreUnreachable):
            store.is_writable()
    assert len(script.requests) == 1
    store.roots[0]._asked_at -= 2
    script.answer = lambda _: (200, "database", {})
    assert [store.roots[0].owner() for _ in range(20)] == ["database"] * 20
    assert len(script.requests) == 2


def test_a_database_that_was_faster_keeps_its_mark(store: S3Store, script: ScriptedStore) -> None:
    script.always(412, "PreconditionFailed")
    store.roots[0].mark("slower", only_new=True)
    (request,) = script.requests
    assert (request.method, request.path) == ("PUT", "/media/jobs/.database")
    assert request.headers["if-none-match"] == "*"
    with pytest.raises(StoreUnreachable):
        store.roots[0].mark("adopted")
    assert "if-none-match" not in script.requests[-1].headers


def begun(request: Request) -> tuple[int, str, dict[str, str]]:
    """Answer an upload in parts."""
    if request.path.endswith("?uploads"):
        return 200, "<R><UploadId>one</UploadId></R>", {}
    return 200, "", {"ETag": '"etag"', "x-amz-checksum-crc32": "AAAAAA=="}


@pytest.mark.parametrize(("mode", "sent"), [("when_supported", True), ("when_required", False)])
def test_each_part_carries_its_crc_32_unless_boto_is_set_otherwise(
    store: S3Store,
    script: ScriptedStore,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    sent: bool,
) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", mode)
    script.answer = begun
    received(store, b"123456789")
    part = script.requests[-1]
    assert part.method == "PUT"
    assert "partNumber=1" in part.path
    # CRC-32 of "123456789" is cbf43926: https://reveng.sourceforge.io/crc-catalogue/17plus.htm
    assert part.headers.get("x-amz-checksum-crc32") == ("y/Q5Jg==" if sent else None)


def test_a_part_that_was_damaged_on_its_way_ends_the_upload(
    store: S3Store, script: ScriptedStore
) -> None:
    def refuse(request: Request) -> tuple[int, str, dict[str, str]]:
        if "partNumber" in request.path:
            return 400, "<Error><Code>BadDigest</Code><Message>No.</Message></Error>", {}
        return begun(request)

    script.answer = refuse
    incoming = store.receive("a.mp4")
    incoming.write(b"content")
    with pytest.raises(StoreUnreachable, match="BadDigest"):
        incoming.finish()
    incoming.discard()
    assert script.methods()[-1] == "DELETE"


def test_nothing_is_sent_before_the_first_full_part(store: S3Store, script: ScriptedStore) -> None:
    incoming = store.receive("a.mp4")
    incoming.write(b"x" * 1000)
    incoming.discard()
    assert script.requests == []


def test_many_objects_are_deleted_with_one_request_where_the_store_knows_it(
    store: S3Store, script: ScriptedStore, tmp_path: Path
) -> None:
    (tmp_path / "x").touch()
    staged = [store.put(tmp_path / "x", placed(store, f"{n}.mp4")) for n in range(5)]
    script.requests.clear()
    script.answer = lambda _: (200, "<DeleteResult/>", {})
    store.withdraw(staged)
    assert [(each.method, each.path) for each in script.requests] == [("POST", "/media?delete")]


def test_what_could_not_be_deleted_together_is_deleted_one_by_one(
    store: S3Store, script: ScriptedStore, tmp_path: Path
) -> None:
    (tmp_path / "x").touch()
    staged = [store.put(tmp_path / "x", placed(store, f"{n}.mp4")) for n in range(3)]
    script.requests.clear()
    failed = "<DeleteResult><Error><Key>a</Key><Code>InternalError</Code></Error></DeleteResult>"
    script.answer = lambda request: (200, failed if request.method == "POST" else "", {})
    store.withdraw(staged)
    assert script.methods() == ["POST", "DELETE", "DELETE", "DELETE"]


def test_a_download_that_breaks_goes_on_where_it_broke(
    store: S3Store, script: ScriptedStore
) -> None:
    content = "0123456789" * 1000

    def break_often(request: Request) -> tuple[int, str, dict[str, str]]:
        said = {"Last-Modified": "Tue, 01 Dec 2026 00:00:00 GMT"}
        if request.method == "HEAD":
            return 200, "", {**said, "Content-Length": str(len(content))}
        start = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
        rest = content[start:]
        # says all and sends a part: the connection ends early
        return 206, rest[:3000], {**said, "Content-Length": str(len(rest)), "Connection": "close"}

    script.answer = break_often
    with store.open(KEY) as file:
        assert file.read() == content.encode()
    ranges = [request.headers.get("range") for request in script.requests]
    assert ranges == [None, "bytes=0-", "bytes=3000-", "bytes=6000-", "bytes=9000-"]


def test_a_download_that_always_breaks_ends(store: S3Store, script: ScriptedStore) -> None:
    def break_always(request: Request) -> tuple[int, str, dict[str, str]]:
        said = {"Last-Modified": "Tue, 01 Dec 2026 00:00:00 GMT", "Content-Length": "1000"}
        return 200, "", {**said, "Connection": "close"}

    script.answer = break_always
    with store.open(KEY) as file, pytest.raises(StoreUnreachable):
        file.read()
    assert len(script.requests) <= 6
