"""The system calls of one upload and their sequence, as strace records them."""

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support import MP4_HEAD, PROJECT, Server, wait_for

pytestmark = pytest.mark.tools

# "?": a call that some processors' kernels do not have
CALLS = "?open,openat,?creat,?rename,?renameat,renameat2,fsync,fdatasync,sendto,write,pwrite64"
MIB = 1024 * 1024
CONTENTS = [MP4_HEAD + bytes(MIB + 77), MP4_HEAD + bytes(10), MP4_HEAD + bytes(2 * MIB)]


class Call(NamedTuple):
    thread: str
    name: str
    arguments: str  # with the paths of descriptors


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server, not started."""
    server = Server(tmp_path_factory.mktemp("durability"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def lines(server: Server) -> list[str]:
    """strace's lines on a server's whole life, in which it accepted one upload."""
    path = server.folder / "strace"
    strace = ["strace", "-f", "-y", "-s", "64", "-o", str(path), "-e", f"trace={CALLS}"]
    # -DD: strace is a grandchild, so that the process started is gunicorn's
    server.start(*strace, "-DD")
    accepted = server.upload(*CONTENTS)
    assert accepted.status == 202
    assert server.stored(accepted.json["jobId"]) == CONTENTS
    server.stop()
    end = re.compile(rf"^{server.process.pid} +\+\+\+ exited", re.M)
    wait_for(lambda: end.search(path.read_text()), what="the end of the record")
    return path.read_text().splitlines()


@pytest.fixture(scope="module")
def record(lines: list[str]) -> list[Call]:
    """The calls by their beginnings; `<... resumed>` is the end of one that is listed already."""
    begun = (re.match(r"(\d+) +(\w+)\((.*)", line) for line in lines)
    return [Call(*found.groups()) for found in begun if found]


def upload_steps(record: list[Call]) -> list[str]:
    """Return the steps of the thread that answered 202, from its first `.part` file on."""
    (thread,) = {call.thread for call in record if "HTTP/1.1 202" in call.arguments}
    steps = [step for call in record if call.thread == thread and (step := step_of(call))]
    return steps[steps.index("open part") :]


def step_of(call: Call) -> str | None:
    """Return which step of the upload a call is, or None."""
    patterns = {
        "open part": r"openat\(.*\.part\".*O_CREAT",
        "write part": r"write\(\d+<.*\.part>",
        "sync part": r"f(data)?sync\(\d+<.*\.part>",
        "rename part": r"rename\w*\(.*\.part\".*\.mp4\"",
        "sync folder": r"f(data)?sync\(\d+<.*/uploads>",
        "write database": r"pwrite64\(\d+<.*/db\.sqlite3(-wal)?>",
        "sync database": r"f(data)?sync\(\d+<.*/db\.sqlite3(-wal)?>",
        "answer": r"(sendto|write)\(\d+<(socket|TCP).*HTTP/1\.1 202",
    }
    text = f"{call.name}({call.arguments}"
    return next((step for step, pattern in patterns.items() if re.match(pattern, text)), None)


def test_an_upload_is_synced_renamed_and_committed_before_it_is_answered(record: list[Call]):
    """In one thread a call begins after the one before it has ended."""
    steps = [step for step in upload_steps(record) if step not in ("open part", "write part")]
    files = len(CONTENTS)
    assert steps[: 2 * files + 1] == ["sync part", "rename part"] * files + ["sync folder"]
    rest = steps[2 * files + 1 :]
    assert set(rest[:-2]) <= {"write database", "sync database"}
    assert rest[-3:] == ["write database", "sync database", "answer"]


def test_no_byte_of_a_file_is_written_after_its_sync(record: list[Call]):
    steps = upload_steps(record)
    assert steps.count("open part") == len(CONTENTS)
    last_write = max(i for i, step in enumerate(steps) if step == "write part")
    assert last_write < steps.index("sync part")


def test_every_sync_and_rename_succeeded(lines: list[str]):
    ended = [line for line in lines if re.search(r"\b(fsync|fdatasync|rename\w*)\b.*\) += ", line)]
    assert len(ended) >= 2 * len(CONTENTS) + 2
    assert [line for line in ended if not line.endswith("= 0")] == []


@pytest.mark.parametrize("folder", ["uploads", "outputs"])
def test_the_owner_file_of_a_new_folder_is_durable_before_an_upload_is_received(
    server: Server, record: list[Call], folder: str
):
    patterns = [
        rf"f(data)?sync\(\d+<.*/{folder}/\.database\.\w+>",
        rf"rename\w*\(.*/{folder}/\.database\.\w+\".*/{folder}/\.database\"",
        rf"f(data)?sync\(\d+<.*/{folder}>",
        rf"f(data)?sync\(\d+<{re.escape(str(server.folder))}>",
        r"openat\(.*\.part\".*O_CREAT",
    ]
    calls = (f"{call.name}({call.arguments}" for call in record)
    for pattern in patterns:  # each is found behind the one before it
        assert any(re.match(pattern, call) for call in calls), pattern


def test_nothing_is_opened_in_a_temporary_folder(server: Server, record: list[Call]):
    opened = [
        found[1]
        for call in record
        if call.name in ("open", "openat", "creat")
        and (found := re.search(r'"([^"]*)"', call.arguments))
    ]
    assert any(path.endswith(".part") for path in opened)
    temporary = (str(server.temporary), "/tmp/", "/var/tmp/", "/usr/tmp/")
    # what the tests themselves may have put below /tmp: data, code, interpreter
    data = (str(server.upload_dir), server.settings["OUTPUT_DIR"], str(server.database))
    allowed = (*data, str(PROJECT), sys.prefix, sys.base_prefix)
    inside = [path for path in opened if path.startswith(temporary)]
    assert {path for path in inside if not path.startswith(allowed)} <= {str(server.folder)}
