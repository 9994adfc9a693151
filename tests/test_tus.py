"""tus over the sockets of a server: connections that are cut off, hang or are killed."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.nginx import Nginx
from tests.support import Server, wait_for
from tests.tus import Uploads, video

SEED = random.SystemRandom().getrandbits(32)
CUTS = 1000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tus")
    server = Server(folder, TRUSTED_PROXIES="1", UPLOAD_LIFETIME="3600").start()
    yield server
    server.stop()


@pytest.fixture
def uploads(shared: Server) -> Uploads:
    return Uploads(shared)


def parts_of(server: Server) -> dict[str, Path]:
    return {name: path for name, path in server.uploads().items() if name.endswith(".part")}


def stored(server: Server, upload_id: str) -> bytes:
    [path] = [path for name, path in server.uploads().items() if name.startswith(upload_id)]
    return path.read_bytes()


def test_offsets_are_exact_over_a_thousand_cuts(uploads):
    """A request that was cut off may still be on its way when the next one is answered."""
    print("seed", SEED)
    chance, cuts = random.Random(SEED), 0
    while cuts < CUTS:
        content = video(300_000, cuts)
        path, offset, furthest = uploads.begin(len(content)), 0, 0
        while len(content) - offset > 5_000:
            sent = chance.randrange(6_000)
            uploads.cut_off(path, offset, content[offset:], sent)
            furthest = max(furthest, offset + sent)
            found = uploads.offset(path)
            assert offset <= found <= furthest
            offset, cuts = found, cuts + 1
        uploads.go_on(path, content)
        assert stored(uploads.server, path.rpartition("/")[2]) == content


def test_what_was_acknowledged_survives_a_kill(own_server):
    uploads = Uploads(own_server.start())
    content = video(40 * 1024 * 1024)
    path = uploads.begin(len(content))
    with closing(uploads.open_patch(path, 0, len(content))) as sock:
        sock.sendall(content[: 20 * 1024 * 1024])
        wait_for(lambda: own_server.rows("SELECT received FROM upload") > [(0,)])
        own_server.kill()
    own_server.start()
    offset = uploads.offset(path)
    assert 16 * 1024 * 1024 <= offset <= 20 * 1024 * 1024
    assert uploads.patch(path, offset, content[offset:]).status == 204
    assert stored(own_server, path.rpartition("/")[2]) == content
    assert uploads.post_job(videos=[path.rpartition("/")[2]]).status == 202


def test_a_start_spares_unfinished_uploads(own_server):
    uploads = Uploads(own_server.start())
    path = uploads.begin(1000)
    uploads.cut_off(path, 0, video(1000), 500)
    wait_for(lambda: uploads.offset(path) == 500)
    (own_server.upload_dir / ("x" * 22 + ".part")).write_bytes(b"of nobody")
    own_server.kill()
    own_server.start()
    assert len(parts_of(own_server)) == 1
    assert uploads.patch(path, 500, video(1000)[500:]).status == 204


def test_the_next_request_takes_over_from_one_that_hangs(uploads):
    content = video(5000)
    path = uploads.begin(len(content))
    with closing(uploads.open_patch(path, 0, len(content))) as silent:
        silent.sendall(content[:1000])  # and no more, but the connection stays
        wait_for(lambda: os.path.exists(_part(uploads, path)))
        assert uploads.offset(path) == 0
        other = bytes(reversed(content[28:]))
        assert uploads.patch(path, 0, content[:28] + other[:500]).status == 204
        silent.sendall(content[1000:])
        assert uploads.answer_of(silent).status == 423
    assert uploads.offset(path) == 528
    assert _part(uploads, path).read_bytes() == content[:28] + other[:500]


def _part(uploads: Uploads, path: str) -> Path:
    return uploads.server.upload_dir / f"{path.rpartition('/')[2]}.part"


def test_a_stopped_process_that_goes_on_changes_nothing(own_server):
    """Two web processes: one stops in the middle of a request, the other goes on with it."""
    uploads = Uploads(own_server.start())
    content = video(200_000)
    path = uploads.begin(len(content))
    with closing(uploads.open_patch(path, 0, len(content))) as hanging:
        hanging.sendall(content[:100_000])
        wait_for(lambda: _part(uploads, path).exists() and _part(uploads, path).stat().st_size)
        stopped = _holder(own_server, _part(uploads, path))
        os.kill(stopped, signal.SIGSTOP)
        try:
            hanging.sendall(bytes(100_000))
            uploads.go_on(path, content)
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert uploads.answer_of(hanging).status in (410, 423)
    assert stored(own_server, path.rpartition("/")[2]) == content


def _holder(server: Server, path: Path) -> int:
    """Return the process that has a file open."""
    for pid in server.workers():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if os.readlink(descriptor) == str(path):
                    return pid
    raise AssertionError(f"nobody has {path}")


def test_a_token_is_asked_for_before_a_body_is_read(uploads):
    answer = uploads.server.request(
        "PATCH", "/api/uploads/x", headers={"Content-Length": str(10**9), "Tus-Resumable": "1.0.0"}
    )
    assert answer.status == 401


def test_chunked_bodies_are_appended_too(uploads):
    content = video(5000)
    path = uploads.begin(len(content))
    answer = uploads.patch(path, 0, iter([content[:1000], content[1000:]]))
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, "5000")
    other = uploads.begin(1000)
    assert uploads.patch(other, 0, iter([content[:900], content[900:1001]])).status == 413


@pytest.mark.tools
def test_uploads_pass_through_nginx(shared, tmp_path):
    nginx = Nginx(tmp_path, shared.port).start()
    try:
        through, content = Uploads(shared), video(300_000)
        direct, shared.port = shared.port, nginx.port
        path = through.begin(len(content))
        with closing(through.open_patch(path, 0, len(content))) as sock:
            sock.sendall(content[:200_000])
            wait_for(lambda: _part(through, path).exists() and _part(through, path).stat().st_size)
        wait_for(lambda: through.offset(path) > 0)
        through.go_on(path, content)
        shared.port = direct
        assert stored(shared, path.rpartition("/")[2]) == content
    finally:
        shared.port = direct
        nginx.stop()


def test_an_address_has_the_prefix_of_a_proxy(uploads):
    forwarded = {"X-Forwarded-Prefix": "/video", "X-Forwarded-Proto": "https"}
    headers = {**uploads.headers, "Upload-Length": "9", **forwarded}
    answer = uploads.server.request("POST", "/api/uploads", headers=headers)
    assert answer.headers["Location"].startswith("/video/api/uploads/")
