"""The worker class: slow headers, unread responses, and what serves in its place."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gunicorn
import pytest
from gunicorn.workers.gthread import ThreadWorker

from jobserver.serving import gunicorn_worker
from jobserver.serving.gunicorn_worker import (
    GUNICORN_MAJOR,
    BoundedThreadWorker,
    default_worker_class,
    missing_limits,
)
from tests.support import MP4_HEAD, PROJECT, Server, file_part, form, wait_for

KIB = 1024


@pytest.fixture
def disposable_server(tmp_path: Path) -> Iterator[Server]:
    """A server for one test that may leave its log or its threads in disorder."""
    server = Server(tmp_path, CLIENT_TIMEOUT="1", MAX_UPLOADS="1").start()
    yield server
    server.stop()


def test_silence_in_mid_header_on_every_thread_ends_and_is_no_traceback(disposable_server):
    with ExitStack() as stack:
        silent = []
        for _ in range(12 * disposable_server.worker_count):
            sock = stack.enter_context(disposable_server.connect(timeout=10))
            sock.sendall(b"GET /api/health HTTP/1.1\r\nHost: loc")
            silent.append(sock)
            time.sleep(0.05)  # ends at every phase of a clock that ticks once a second
        start = time.monotonic()
        assert disposable_server.get("/api/health").status == 200
        assert time.monotonic() - start < 3  # every thread may be waiting for its silence
        for sock in silent:
            assert b" 200 " not in sock.recv(100)
        disposable_server.check_sound()


def is_closed(sock: socket.socket, within_s: float) -> bool:
    sock.settimeout(within_s)
    try:
        return not sock.recv(100)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_header_of_one_byte_at_a_time_ends_in_bounded_time(disposable_server):
    with disposable_server.connect() as sock:
        start = time.monotonic()
        sock.sendall(b"GET /api/health HTTP/1.1\r\nX-Slow: ")
        while not is_closed(sock, within_s=0.3):  # the pace of this client
            assert time.monotonic() - start < 5
            sock.send(b"x")
    disposable_server.check_sound()


def test_a_client_that_never_reads_its_answers_frees_its_thread(disposable_server):
    """Answers fill the socket's buffers; then a write must not wait for ever."""
    server = disposable_server
    job = server.post(form(*[file_part(b"content", "🎬" * 255)] * 10)).json
    assert len(server.get(job["statusUrl"], server.token).body) > 10_000
    before = len(server.statuses())
    head = (f"GET {job['statusUrl']} HTTP/1.1", "Host: a", f"Authorization: Bearer {server.token}")
    request = "\r\n".join([*head, "", ""])
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", server.port))
        with pytest.raises(ConnectionError):  # the server closes what it cannot answer
            send_for_ever(sock, request.encode())
    assert len(server.statuses()) > before + 10
    server.check_sound()


def send_for_ever(sock: socket.socket, request: bytes) -> None:
    while True:
        sock.sendall(request)


# -- another worker class, another gunicorn -----------------------------------------------


def test_the_worker_class_is_written_for_the_gunicorn_that_is_installed() -> None:
    assert gunicorn.version_info[0] == GUNICORN_MAJOR
    assert default_worker_class() is BoundedThreadWorker
    assert missing_limits(BoundedThreadWorker) is None


def test_another_gunicorn_serves_with_its_own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_worker, "GUNICORN_MAJOR", GUNICORN_MAJOR + 1)
    assert default_worker_class() == "gthread"
    sentence = missing_limits(ThreadWorker)
    assert sentence is not None
    assert sentence.startswith(f"ThreadWorker of gunicorn {gunicorn.__version__} serves instead")


def serves_with(server: Server, arguments: str) -> list[str]:
    """Start with these arguments, serve health and an upload; return what jobserver logs."""
    assert server.init_db().returncode == 0
    server.settings["GUNICORN_CMD_ARGS"] = arguments
    server.launch()
    wait_for(lambda: "Listening at" in server.log() and len(server.workers()) > 0, 20, "a start")
    assert server.get("/api/health").status == 200
    job = server.upload(MP4_HEAD)
    assert job.status == 202
    assert server.get(job.json["statusUrl"], server.token).status == 200
    assert server.post(b"not a form").status == 400
    assert "Traceback" not in server.log()
    return [line for line in server.log().splitlines() if "jobserver: " in line]


def test_the_default_worker_class_has_nothing_to_say(own_server: Server) -> None:
    assert serves_with(own_server, "") == []


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("-k gthread", "ThreadWorker"),
        ("-k sync", "ThreadWorker"),  # gunicorn's choice where there are more threads than one
        ("-k sync --threads 1", "SyncWorker"),
    ],
)
def test_another_worker_class_serves_and_one_line_says_what_it_lacks(
    arguments: str, name: str, own_server: Server
) -> None:
    (line,) = serves_with(own_server, arguments)
    assert f"jobserver: {name} of gunicorn {gunicorn.__version__} serves instead of" in line
    assert "request headers have no time limit" in line


@pytest.mark.tools
def test_another_major_version_of_gunicorn_serves_and_one_line_says_what_it_lacks(
    tmp_path: Path, own_server: Server
) -> None:
    packages = tmp_path / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages]
    subprocess.run([*pip, f"gunicorn<{GUNICORN_MAJOR}"], check=True, timeout=300)
    own_server.settings["PYTHONPATH"] = f"{packages}:{PROJECT}"
    (line,) = serves_with(own_server, "")
    version = next(packages.glob("gunicorn-*.dist-info")).name.split("-")[1].split(".dist")[0]
    assert not version.startswith(f"{GUNICORN_MAJOR}.")
    assert f"jobserver: ThreadWorker of gunicorn {version} serves instead of" in line
