import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobserver.render import Cancelled, EngineError, ffmpeg
from jobserver.render.errors import DiskFull, TooBig, TooSlow
from jobserver.render.ffmpeg import GRACE_S, Access, Limits
from jobserver.render.settings import MIB, default_ffmpeg
from jobserver.worker.heartbeat import HEARTBEAT_S

LIMITS = Limits(wall_s=30, stall_s=30, memory=512 * MIB, file_bytes=MIB)
ENDLESS = [
    *(default_ffmpeg(), "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25"),
    *("-progress", "pipe:1", "-stats_period", "0.1", "-f", "null", "-"),
]
NOTHING = Access([])
LANDLOCK_ABI = ctypes.CDLL(None).syscall(444, None, 0, 1)  # below 1: not supported
CAN_DENY_FILES, CAN_DENY_TCP = LANDLOCK_ABI >= 1, LANDLOCK_ABI >= 4


def sh(script, *paths):
    return ["/bin/bash", "-c", script, "sh", *map(str, paths)]


def ignore(line):
    return True


OTHERS = set()  # child processes started by other tests, such as a shared server


def children():
    """Return the pids of the running child processes that this test started."""
    tasks = Path("/proc/self/task").glob("*/children")
    found = [int(pid) for task in tasks for pid in task.read_text().split()]
    return [pid for pid in found if pid not in OTHERS]


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture(autouse=True)
def no_leaks():
    """After every test: no child process, thread or file descriptor is left."""

    def state():
        return children(), threading.active_count(), len(os.listdir("/proc/self/fd"))

    OTHERS.clear()
    OTHERS.update(children())
    before = state()
    yield
    for left, found in zip(state(), before, strict=True):  # others may end what they left
        assert left <= found, (state(), before)


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr(ffmpeg, "GRACE_S", 0.3)


def on_first_progress(act):
    """Return an on_line that calls `act` once, when ffmpeg itself (not its launcher) runs."""
    done = []

    def on_line(line):
        if not done:
            done.append(act())
        return True

    return on_line


def test_a_cancelled_ffmpeg_ends_within_the_grace_period():
    cancel = threading.Event()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, on_first_progress(cancel.set), cancel=cancel)
    assert time.monotonic() - started < 5


def test_an_ffmpeg_that_ignores_sigterm_is_killed_within_five_seconds_of_the_request():
    assert GRACE_S + ffmpeg._TICK_S + HEARTBEAT_S < 5


def test_a_cancel_that_is_set_before_the_start_is_respected():
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, ignore, cancel=cancel)


def test_a_decoder_that_hangs_is_killed_after_the_stall_timeout(short_grace):
    def freeze():
        os.kill(children()[0], signal.SIGSTOP)

    limits = Limits(wall_s=30, stall_s=0.5, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow) as caught:
        ffmpeg.run(ENDLESS, limits, NOTHING, on_first_progress(freeze))
    assert "no progress" in caught.value.detail


def test_lines_without_progress_do_not_restart_the_stall_timeout():
    limits = Limits(wall_s=30, stall_s=0.5, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow):
        ffmpeg.run(ENDLESS, limits, NOTHING, lambda line: False)


def test_an_output_that_grows_restarts_the_stall_timeout(tmp_path):
    """ffmpeg prints nothing while it rewrites a large file to move the index to the front."""
    out = tmp_path / "out"
    silent = [*(default_ffmpeg(), "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i"),
              *("testsrc2=s=64x64:r=10:d=2.2", "-flush_packets", "1", "-f", "rawvideo"),
              *("-y", f"file:{out}")]  # fmt: skip
    limits = Limits(wall_s=30, stall_s=1, memory=512 * MIB, file_bytes=MIB)
    assert ffmpeg.run(silent, limits, Access([], [out]), ignore).status == 0


def test_an_output_that_stops_growing_does_not(tmp_path, short_grace):
    out = tmp_path / "out"
    command = sh('echo x > "$1"; exec tail -f /dev/null', out)
    limits = Limits(wall_s=30, stall_s=0.5, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow, match="took too long"):
        ffmpeg.run(command, limits, Access([], [out]), ignore)


def test_endless_progress_is_stopped_by_the_total_timeout():
    limits = Limits(wall_s=0.7, stall_s=30, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow) as caught:
        ffmpeg.run(ENDLESS, limits, NOTHING, ignore)
    assert "not done" in caught.value.detail


def test_an_ignored_sigterm_is_followed_by_sigkill_to_the_process_group(short_grace):
    limits = Limits(wall_s=0.5, stall_s=30, memory=512 * MIB, file_bytes=MIB)
    script = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
    pids = []
    with pytest.raises(TooSlow):
        ffmpeg.run(sh(script), limits, NOTHING, lambda line: pids.append(int(line or 0)) is None)
    wait_until_gone(pids[0])


def wait_until_gone(pid, within=5.0):
    """Wait until the process has ended; a zombie counts as ended."""
    deadline = time.monotonic() + within
    stat = Path(f"/proc/{pid}/stat")
    while time.monotonic() < deadline:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] in "ZX":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        threading.Event().wait(0.02)
    pytest.fail(f"process {pid} is still there")


def test_a_killed_parent_leaves_no_orphan():
    script = (
        "import sys; from jobserver.render import ffmpeg; import tests.render.test_ffmpeg as t;"
        "ffmpeg.run(t.ENDLESS, t.LIMITS, t.NOTHING, lambda line: print(*t.children(), flush=True)"
        " is None)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert b"testsrc2" in command_line(pid)
        parent.kill()
    wait_until_gone(pid)


def test_an_exception_in_on_line_leaves_no_process():
    def fail(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, fail)


def test_any_amount_of_output_on_both_pipes_is_read():
    script = (
        "for i in {1..20000}; do echo line $i; echo error $i >&2; done; head -c 2000000 /dev/zero;"
        "head -c 6000000 /dev/zero >&2; echo done >&2"
    )
    lines = []
    ending = ffmpeg.run(sh(script), LIMITS, NOTHING, lambda line: lines.append(line) is None)
    assert ending.status == 0
    assert lines == [b"line %d" % n for n in range(1, 20001)]
    assert ending.log.startswith("error 1\n")
    assert "error 20000\n" in ending.log
    assert ending.log.endswith("done\n")
    assert len(ending.log) < 5_000_000


def test_ffmpeg_gets_an_empty_environment_and_only_its_own_arguments(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    seen = []

    def look():
        [pid] = children()
        seen.append(Path(f"/proc/{pid}/environ").read_bytes())
        seen.append(command_line(pid))

    cancel = threading.Event()

    on_line = on_first_progress(lambda: (look(), cancel.set()))
    with pytest.raises(Cancelled):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, on_line, cancel=cancel)
    assert seen[0] == b""
    assert seen[1].split(b"\0")[:-1] == [os.fsencode(word) for word in ENDLESS]


def test_ffmpeg_leads_its_own_process_group():
    groups = []
    cancel = threading.Event()

    def look():
        groups.extend((pid, os.getpgid(pid)) for pid in children())
        cancel.set()

    with pytest.raises(Cancelled):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, on_first_progress(look), cancel=cancel)
    assert groups[0][0] == groups[0][1] != os.getpgrp()


def test_an_output_beyond_its_size_limit_is_too_big(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TooBig):
        ffmpeg.run(
            sh('exec head -c 9000000 /dev/zero > "$1"', out), LIMITS, Access([], [out]), ignore
        )
    assert out.stat().st_size <= LIMITS.file_bytes


def test_memory_beyond_the_limit_is_refused():
    ending = ffmpeg.run(sh("exec tail /dev/zero"), LIMITS, NOTHING, ignore)
    assert "memory exhausted" in ending.log


def test_a_full_disk_raises_disk_full():
    full = Path("/dev/full")
    command = [default_ffmpeg(), "-nostdin", "-y", "-f", "lavfi", "-i", "testsrc2=d=5",
               "-f", "rawvideo", f"file:{full}"]  # fmt: skip
    with pytest.raises(DiskFull):
        ffmpeg.run(command, LIMITS, Access([], [full]), ignore)


def test_a_sigkill_from_outside_is_an_engine_error():
    with pytest.raises(EngineError, match="killed"):
        ffmpeg.run(sh("kill -KILL $$"), LIMITS, NOTHING, ignore)


def test_an_ffmpeg_that_does_not_exist_is_an_engine_error():
    with pytest.raises(EngineError, match="could not be started"):
        ffmpeg.run(["/nonexistent/ffmpeg"], LIMITS, NOTHING, ignore)


def test_no_other_file_can_be_read_or_written_where_the_kernel_can_deny_it(tmp_path):
    allowed, secret, out = tmp_path / "allowed", tmp_path / "secret", tmp_path / "out"
    allowed.write_text("yes\n")
    secret.write_text("no\n")
    script = 'cat "$1"; cat "$2"; echo x > "$2"; echo x > "$3"; rm "$1"; ls "${2%/*}"'
    lines = []
    ffmpeg.run(
        sh(script, allowed, secret, out),
        LIMITS,
        Access([allowed], [out]),
        lambda line: lines.append(line) is None,
    )
    assert (lines[0], out.read_text()) == (b"yes", "x\n")
    denied = (lines[1:], secret.read_text(), allowed.exists()) == ([], "no\n", True)
    assert denied == CAN_DENY_FILES


@pytest.mark.parametrize("sandbox", [True, False])
def test_loopback_cannot_be_reached_where_the_kernel_can_deny_it(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = sh(f"exec 3<>/dev/tcp/127.0.0.1/{port}")
        ending = ffmpeg.run(command, LIMITS, Access([], sandbox=sandbox), ignore)
    assert (ending.status != 0) == (CAN_DENY_TCP and sandbox)


def test_several_threads_can_run_ffmpeg_at_once():
    endings = []
    command = [default_ffmpeg(), "-v", "error", *("-f", "lavfi", "-i", "testsrc2=d=0.2"),
               *("-f", "null", "-")]  # fmt: skip

    def one():
        endings.append(ffmpeg.run(command, LIMITS, NOTHING, ignore).status)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endings == [0] * 4
