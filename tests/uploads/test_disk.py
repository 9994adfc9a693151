"""A disk that is full, or writes less than it was given: 507, and other uploads succeed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.disk import fill
from tests.support import MP4_HEAD, Answer, Server, file_part, form, read_answer, wait_for

MIB = 1024 * 1024
CONTENTS = [MP4_HEAD + bytes([65 + i]) * (MIB + 1001 * i) for i in range(5)]
NO_SPACE = {"error": "Not enough disk space for this upload", "code": "insufficient_storage"}
DATABASE_FULL = {"error": "The database's disk is full", "code": "database_full"}


@pytest.fixture(scope="module")
def faulty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("disk"))
    server.wsgi = "tests.faults:app"
    yield server.start()
    server.stop()


@pytest.fixture
def server(faulty_server: Server) -> Iterator[Server]:
    """A server with the faults that a request names; descriptors are compared after each test."""
    assert faulty_server.token
    with faulty_server.same_descriptors():
        yield faulty_server


@pytest.fixture
def full_server(small_disk: Path, own_server: Server) -> Iterator[Server]:
    """A server, not started, that is stopped before its disk is taken away."""
    yield own_server
    own_server.stop()


def body(contents: list[bytes], name: str = "clip") -> bytes:
    return form(*(file_part(content, f"{name}{i}.mp4") for i, content in enumerate(contents)))


def in_pieces(whole: bytes) -> Iterator[bytes]:
    """Split a body, to be sent chunked, so that the server cannot know its size beforehand."""
    return (whole[start : start + 100_000] for start in range(0, len(whole), 100_000))


@contextmanager
def nothing_kept(server: Server) -> Iterator[None]:
    files, jobs = set(server.uploads()), server.rows("SELECT id FROM job")
    yield
    server.check_sound(allowed_5xx=(507,))
    assert set(server.uploads()) == files
    assert server.rows("SELECT id FROM job") == jobs


@contextmanager
def another_upload(server: Server) -> Iterator[None]:
    """Another client's upload, begun before what happens inside; it must succeed afterwards."""
    whole, before = body(CONTENTS[:2]), len(server.uploads())
    with server.begin_upload(len(whole)) as sock:
        sock.sendall(whole[:MIB])
        wait_for(lambda: len(server.uploads()) > before, what="its .part file")
        yield
        sock.sendall(whole[MIB:])
        accepted = read_answer(sock)
    check_kept(server, accepted, CONTENTS[:2])


def check_kept(server: Server, accepted: Answer, contents: list[bytes]) -> None:
    assert accepted.status == 202, accepted.body
    assert server.get(accepted.json["statusUrl"], server.token).json["status"] == "queued"
    assert server.stored(accepted.json["jobId"]) == contents


def check_507(server: Server, faults: str, error: dict[str, str]) -> None:
    """Fail unless `faults` end an upload with 507, and the same upload succeeds without them."""
    with nothing_kept(server):
        answer = server.post(body(CONTENTS), {"X-Fault": faults})
        assert (answer.status, answer.json) == (507, error)
    check_kept(server, server.post(body(CONTENTS)), CONTENTS)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param("open:1:ENOSPC", id="opening"),
        pytest.param("open:3:ENOSPC", id="opening the third"),
        pytest.param("write:1:ENOSPC", id="first write"),
        pytest.param("write:4:ENOSPC", id="in the middle of the body"),
        pytest.param("write:4:EDQUOT", id="quota"),
        pytest.param("write:4:EFBIG", id="file system's limit"),
        pytest.param("fdatasync:1:ENOSPC", id="sync"),
        pytest.param("fdatasync:5:EDQUOT", id="sync of the last"),
        pytest.param("rename:1:ENOSPC", id="rename"),
        pytest.param("rename:4:ENOSPC", id="rename of the fourth"),
        pytest.param("fsync:1:ENOSPC", id="sync of the folder"),
    ],
)
def test_a_full_disk_is_a_507_at_every_step(server: Server, faults: str):
    check_507(server, faults, NO_SPACE)


def test_a_short_write_is_continued(server: Server):
    answer = server.post(body(CONTENTS), {"X-Fault": "write:1:SHORT,write:2:SHORT,write:5:SHORT"})
    check_kept(server, answer, CONTENTS)
    server.check_sound(allowed_5xx=(507,))


def test_a_short_write_before_a_full_disk_is_a_507(server: Server):
    check_507(server, "write:1:SHORT,write:2:ENOSPC", NO_SPACE)


def test_bytes_that_a_write_reported_and_that_are_missing_are_a_507(server: Server):
    check_507(server, "write:1:LOST", NO_SPACE)


@pytest.mark.parametrize("faults", ["write:4:ENOSPC", "rename:4:ENOSPC", "begin:1:FULL"])
def test_the_upload_of_another_client_succeeds(server: Server, faults: str):
    with another_upload(server):
        # long names: their rows need pages that the database does not have
        refused = server.post(body(CONTENTS * 2, "é" * 250), {"X-Fault": faults})
        assert refused.status == 507
    server.check_sound(allowed_5xx=(507,))


def test_a_full_database_is_a_507_and_can_still_be_read(server: Server):
    accepted = server.upload(CONTENTS[0])
    names = "é" * 250
    with nothing_kept(server):
        answer = server.post(body(CONTENTS * 2, names), {"X-Fault": "begin:1:FULL"})
        assert (answer.status, answer.json) == (507, DATABASE_FULL)
        check_kept(server, accepted, CONTENTS[:1])
        assert server.get("/api/jobs", server.token).json[0]["id"] == accepted.json["jobId"]
    check_kept(server, server.post(body(CONTENTS * 2, names)), CONTENTS * 2)


@pytest.mark.tools
def test_an_upload_that_fills_a_real_disk_is_a_507_and_a_smaller_one_still_fits(
    full_server: Server, small_disk: Path
):
    full_server.upload_dir = small_disk
    full_server.settings["UPLOAD_DIR"] = str(small_disk)
    server = full_server.start()
    too_large = MP4_HEAD + bytes(5 * MIB)
    assert server.token
    with nothing_kept(server), server.same_descriptors():
        with server.begin_upload(len(too_large)) as sock:  # and no byte of its body
            refused = read_answer(sock)
            assert (refused.status, refused.json) == (507, NO_SPACE)
        chunked = server.post(in_pieces(body([too_large])))
        assert (chunked.status, chunked.json) == (507, NO_SPACE)
        several = server.post(in_pieces(body(CONTENTS)))  # four of five fit
        assert (several.status, several.json) == (507, NO_SPACE)
    check_kept(server, server.upload(*CONTENTS[:3]), CONTENTS[:3])
    with nothing_kept(server):
        assert server.upload(CONTENTS[0]).status == 507
    check_kept(server, server.upload(MP4_HEAD), [MP4_HEAD])
    server.check_sound(allowed_5xx=(507,))


@pytest.mark.tools
def test_a_database_on_a_disk_that_is_full_refuses_jobs_can_be_read_and_recovers(
    full_server: Server, small_disk: Path
):
    full_server.database = small_disk / "db.sqlite3"
    full_server.settings["DATABASE"] = str(full_server.database)
    server = full_server.start()
    accepted = [server.upload(MP4_HEAD)]
    filler = small_disk / "filler"
    fill(filler)
    # what was written to the log before is written over first, so some may still fit
    for _ in range(200):
        answer = server.post(body([MP4_HEAD] * 10, "é" * 250))
        if answer.status != 202:
            break
        accepted.append(answer)
    assert (answer.status, answer.json) == (507, DATABASE_FULL)
    server.check_sound(allowed_5xx=(507,))
    assert len(server.rows("SELECT id FROM job")) == len(accepted)
    for job in accepted:
        assert server.get(job.json["statusUrl"], server.token).json["status"] == "queued"
    listed = server.get("/api/jobs", server.token).json
    assert [job["id"] for job in listed] == [job.json["jobId"] for job in accepted][:-51:-1]
    filler.unlink()
    check_kept(server, server.upload(*CONTENTS), CONTENTS)
    server.check_sound(allowed_5xx=(507,))
