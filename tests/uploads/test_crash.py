"""SIGKILL of the whole server at each step of an upload; then it is started again."""

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support import (
    MP4_HEAD,
    Answer,
    Server,
    file_part,
    form,
    process_state,
    read_answer,
    wait_for,
)

MIB = 1024 * 1024
# five files, none of which ends where a read or a disk block ends
CONTENTS = [MP4_HEAD + bytes([65 + i]) * (MIB + 1001 * i) for i in range(5)]
FIELDS = ("videos", "videos", "videos", "hooks", "endings")  # of these: a brief has parts, too


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is killed and started again by every test."""
    server = Server(tmp_path_factory.mktemp("crash"))
    server.wsgi = "tests.faults:app"
    yield server.start()
    server.stop()


@pytest.fixture
def second_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """Another server, not started, on the same database and folders."""
    shared = {name: server.settings[name] for name in ("DATABASE", "UPLOAD_DIR", "OUTPUT_DIR")}
    second = Server(tmp_path, **shared)
    second.database, second.upload_dir = server.database, server.upload_dir
    yield second
    second.stop()


def body(contents: list[bytes]) -> bytes:
    named = enumerate(zip(contents, FIELDS, strict=False))
    return form(*(file_part(each, f"{i}.mp4", field=field) for i, (each, field) in named))


def crash(server: Server, step: str) -> None:
    """Upload CONTENTS to a server that kills itself and its workers at `step`."""
    with all_ended(server), pytest.raises((ConnectionError, http.client.HTTPException)):
        server.post(body(CONTENTS), {"X-Fault": f"{step}:KILL"})


def kill(server: Server) -> None:
    with all_ended(server):
        os.killpg(server.process.pid, signal.SIGKILL)


@contextmanager
def all_ended(server: Server) -> Iterator[None]:
    """Wait until the server and every worker that it had before has ended; zombies have."""
    workers = server.workers()
    yield
    assert server.process.wait(10) == -signal.SIGKILL
    wait_for(
        lambda: all(process_state(pid) in "ZX" for pid in workers), what="the end of the workers"
    )


def new_files(server: Server, before: set[str]) -> tuple[int, int]:
    """Return how many `.part` and how many renamed files were added since `before`."""
    new = set(server.uploads()) - before
    parts = sum(name.endswith(".part") for name in new)
    return parts, len(new) - parts


def check_kept(server: Server, accepted: Answer, contents: list[bytes]) -> None:
    """Fail unless the job of a 202 is there, queued, with every byte."""
    assert accepted.status == 202
    shown = server.get(accepted.json["statusUrl"], server.token).json
    assert shown["status"] == "queued"
    for role in ("files", "assets"):
        ids = [file["id"] for file in accepted.json.get(role, ())]
        assert [file["id"] for file in shown[role]] == ids
    assert sorted(server.stored(accepted.json["jobId"])) == sorted(contents)


@pytest.mark.parametrize(
    ("step", "left"),
    [
        pytest.param("write:1", (1, 0), id="part open"),
        pytest.param("write:2", (1, 0), id="in the middle of a file"),
        pytest.param("open:3", (2, 0), id="in the middle of the body"),
        pytest.param("fdatasync:1", (5, 0), id="received, not synced"),
        pytest.param("rename:1", (5, 0), id="synced, not renamed"),
        pytest.param("rename:4", (2, 3), id="third of five renamed"),
        pytest.param("fsync:1", (0, 5), id="all renamed, folder not synced"),
        pytest.param("commit:1", (0, 5), id="all renamed, not committed"),
    ],
)
def test_a_crash_before_the_commit_leaves_nothing(server: Server, step: str, left: tuple[int, int]):
    earlier = server.upload(CONTENTS[0])
    jobs, files = server.rows("SELECT id FROM job"), set(server.uploads())
    crash(server, step)
    assert new_files(server, files) == left  # it was killed where this test says
    server.start()
    server.check_sound()
    assert server.rows("SELECT id FROM job") == jobs
    assert set(server.uploads()) == files
    check_kept(server, earlier, [CONTENTS[0]])


def test_a_crash_after_the_commit_loses_nothing_although_it_was_not_answered(server: Server):
    before = set(server.rows("SELECT id FROM job"))
    crash(server, "committed:1")
    server.start()
    server.check_sound()
    ((job_id,),) = set(server.rows("SELECT id FROM job")) - before
    assert sorted(server.stored(job_id)) == sorted(CONTENTS)
    shown = server.get(f"/api/jobs/{job_id}", server.token).json
    assert shown["status"] == "queued"
    shown_files = [*shown["files"], *shown["assets"]]
    assert [file["size"] for file in shown_files] == [len(content) for content in CONTENTS]


def test_a_crash_after_the_answer_loses_nothing(server: Server):
    accepted = server.post(body(CONTENTS))
    kill(server)
    server.start()
    server.check_sound()
    check_kept(server, accepted, CONTENTS)


def test_a_crash_during_many_uploads_loses_no_accepted_job_and_keeps_no_partial_one(server: Server):
    accepted: list[tuple[Answer, bytes]] = []
    before = len(server.rows("SELECT id FROM job"))
    uploaders = 6

    def upload_until_the_crash(number: int) -> None:
        with suppress(OSError, http.client.HTTPException):
            for count in range(1000):
                content = MP4_HEAD + b"%d,%d;" % (number, count) * 30_000
                accepted.append((server.post(body([content])), content))

    threads = [threading.Thread(target=upload_until_the_crash, args=(n,)) for n in range(uploaders)]
    assert server.token  # signed in once, not by each thread
    for thread in threads:
        thread.start()
    wait_for(lambda: len(accepted) >= 30, 30, "30 answers")
    kill(server)
    for thread in threads:
        thread.join()
    server.start()
    server.check_sound()
    for answer, content in accepted:
        assert server.stored(answer.json["jobId"]) == [content]
    # at most one job of each uploader was committed and not answered
    jobs = len(server.rows("SELECT id FROM job")) - before
    assert len(accepted) <= jobs <= len(accepted) + uploaders


def test_a_second_server_keeps_the_part_files_of_an_upload_in_progress(
    server: Server, second_server: Server
):
    whole = body(CONTENTS)
    before = set(server.uploads())
    with server.begin_upload(len(whole)) as sock:
        sock.sendall(whole[: 2 * MIB + 5])
        wait_for(lambda: new_files(server, before) == (2, 0), what="two .part files")
        in_progress = set(server.uploads())
        second_server.start()
        assert set(server.uploads()) == in_progress
        sock.sendall(whole[2 * MIB + 5 :])
        accepted = read_answer(sock)
    check_kept(server, accepted, CONTENTS)
    check_kept(second_server, accepted, CONTENTS)
    server.check_sound()
    second_server.check_sound()


def test_a_second_server_keeps_renamed_files_whose_rows_are_not_committed_yet(
    server: Server, second_server: Server
):
    before = set(server.uploads())
    answers: list[Answer] = []
    faults = {"X-Fault": "commit:1:STOP"}
    upload = threading.Thread(target=lambda: answers.append(server.post(body(CONTENTS), faults)))
    upload.start()
    (stopped,) = wait_for(
        lambda: [pid for pid in server.workers() if process_state(pid) == "T"],
        what="a worker that stops",
    )
    try:
        assert new_files(server, before) == (0, 5)
        second_server.launch()  # while the other one holds the database's write lock
        wait_for(lambda: "Listening at" in second_server.log(), 20, second_server.log())
        assert new_files(server, before) == (0, 5)
    finally:
        os.kill(stopped, signal.SIGCONT)
        upload.join()
    check_kept(server, answers[0], CONTENTS)
    server.check_sound()
