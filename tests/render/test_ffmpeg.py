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

from jobserver.jobs.lease import HEARTBEAT_S
from jobserver.render import Cancelled, EngineError, ffmpeg
from jobserver.render.errors import DiskFull, TooBig, TooSlow
from jobserver.render.ffmpeg import GRACE_S, Access, Limits
from jobserver.render.settings import MIB, default_ffmpeg

LIMITS = Limits(wall_s=30, stall_s=30, memory=512 * MIB, file_bytes=MIB)
ENDLESS = [
    *(default_ffmpeg(), "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25"),
    *("-progress", "pipe:1", "-stats_period", "0.1", "-f", "null", "-"),
]
NOTHING = Access([])
LANDLOCK = ctypes.CDLL(None).syscall(444, None, 0, 1)  # its version; below 1: none
FILES, TCP = LANDLOCK >= 1, LANDLOCK >= 4  # what this kernel can deny


def sh(script, *paths):
    return ["/bin/bash", "-c", script, "sh", *map(str, paths)]


def ignore(line):
    return True


OTHERS = set()  # children that other tests share, such as a server


def children():
    """Return the pids of our living children that were begun by the test."""
    tasks = Path("/proc/self/task").glob("*/children")
    found = [int(pid) for task in tasks for pid in task.read_text().split()]
    return [pid for pid in found if pid not in OTHERS]


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture(autouse=True)
def nothing_is_left():
    """After every test: no child, no thread, no descriptor more than before."""

    def state():
        return children(), threading.active_count(), len(os.listdir("/proc/self/fd"))

    OTHERS.clear()
    OTHERS.update(children())
    before = state()
    yield
    assert state() == before


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr(ffmpeg, "GRACE_S", 0.3)


def on_first_progress(act):
    """Return an on_line that acts once, when ffmpeg itself (not its launcher) has begun."""
    done = []

    def on_line(line):
        if not done:
            done.append(act())
        return True

    return on_line


def test_a_cancel_ends_it_within_its_grace():
    cancel = threading.Event()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, on_first_progress(cancel.set), cancel)
    assert time.monotonic() - started < 5


def test_what_ignores_a_cancel_has_gone_within_five_seconds_of_a_heartbeat():
    assert GRACE_S + ffmpeg._TICK_S + HEARTBEAT_S < 5


def test_a_cancel_set_before_the_start_counts():
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, ignore, cancel)


def test_a_decoder_that_hangs_meets_the_stall_clock_then_kill(short_grace):
    def freeze():
        os.kill(children()[0], signal.SIGSTOP)

    limits = Limits(30, stall_s=0.5, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow) as caught:
        ffmpeg.run(ENDLESS, limits, NOTHING, on_first_progress(freeze))
    assert "no progress" in caught.value.detail


def test_lines_that_show_no_progress_do_not_rewind_the_stall_clock():
    limits = Limits(30, stall_s=0.5, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow):
        ffmpeg.run(ENDLESS, limits, NOTHING, lambda line: False)


def test_a_file_that_changes_is_a_sign_of_life(tmp_path):
    """As when ffmpeg moves gigabytes to put the index first, which it does in silence."""
    out = tmp_path / "out"
    silent = [*(default_ffmpeg(), "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i"),
              *("testsrc2=s=64x64:r=10:d=2.2", "-flush_packets", "1", "-f", "rawvideo"),
              *("-y", f"file:{out}")]  # fmt: skip
    limits = Limits(30, stall_s=1, memory=512 * MIB, file_bytes=MIB)
    assert ffmpeg.run(silent, limits, Access([], [out]), ignore).status == 0


def test_a_file_that_changes_no_more_is_none(tmp_path, short_grace):
    out = tmp_path / "out"
    command = sh('echo x > "$1"; exec tail -f /dev/null', out)
    limits = Limits(30, stall_s=0.5, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow, match="took too long"):
        ffmpeg.run(command, limits, Access([], [out]), ignore)


def test_the_wall_clock_ends_what_makes_progress_for_ever():
    limits = Limits(0.7, stall_s=30, memory=512 * MIB, file_bytes=MIB)
    with pytest.raises(TooSlow) as caught:
        ffmpeg.run(ENDLESS, limits, NOTHING, ignore)
    assert "not done" in caught.value.detail


def test_term_that_is_ignored_is_followed_by_kill_to_the_group(short_grace):
    limits = Limits(0.5, 30, 512 * MIB, MIB)
    script = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
    pids = []
    with pytest.raises(TooSlow):
        ffmpeg.run(sh(script), limits, NOTHING, lambda line: pids.append(int(line or 0)) is None)
    wait_until_gone(pids[0])


def wait_until_gone(pid, within=5.0):
    """Wait until no process (but a zombie) has this number."""
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


def test_sigkill_of_ourselves_leaves_no_orphan():
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


def test_an_exception_of_the_caller_leaves_no_process():
    def fail(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, fail)


def test_both_pipes_are_drained_whatever_their_volume():
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


def test_the_environment_is_empty_and_the_arguments_hold_no_secret(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    seen = []

    def look():
        [pid] = children()
        seen.append(Path(f"/proc/{pid}/environ").read_bytes())
        seen.append(command_line(pid))

    cancel = threading.Event()

    with pytest.raises(Cancelled):
        ffmpeg.run(
            ENDLESS, LIMITS, NOTHING, on_first_progress(lambda: (look(), cancel.set())), cancel
        )
    assert seen[0] == b""
    assert seen[1].split(b"\0")[:-1] == [os.fsencode(word) for word in ENDLESS]


def test_it_leads_its_own_group():
    groups = []
    cancel = threading.Event()

    def look():
        groups.extend((pid, os.getpgid(pid)) for pid in children())
        cancel.set()

    with pytest.raises(Cancelled):
        ffmpeg.run(ENDLESS, LIMITS, NOTHING, on_first_progress(look), cancel)
    assert groups[0][0] == groups[0][1] != os.getpgrp()


def test_a_file_that_outgrows_its_limit_is_too_big(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TooBig):
        ffmpeg.run(
            sh('exec head -c 9000000 /dev/zero > "$1"', out), LIMITS, Access([], [out]), ignore
        )
    assert out.stat().st_size <= LIMITS.file_bytes


def test_memory_that_outgrows_its_limit_is_refused():
    ending = ffmpeg.run(sh("exec tail /dev/zero"), LIMITS, NOTHING, ignore)
    assert "memory exhausted" in ending.log


def test_a_full_disk_is_named_as_such():
    full = Path("/dev/full")
    command = [default_ffmpeg(), "-nostdin", "-y", "-f", "lavfi", "-i", "testsrc2=d=5",
               "-f", "rawvideo", f"file:{full}"]  # fmt: skip
    with pytest.raises(DiskFull):
        ffmpeg.run(command, LIMITS, Access([], [full]), ignore)


def test_a_kill_from_outside_may_be_retried():
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
    assert denied == FILES


@pytest.mark.parametrize("sandbox", [True, False])
def test_loopback_cannot_be_reached_where_the_kernel_can_deny_it(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = sh(f"exec 3<>/dev/tcp/127.0.0.1/{port}")
        ending = ffmpeg.run(command, LIMITS, Access([], sandbox=sandbox), ignore)
    assert (ending.status != 0) == (TCP and sandbox)


def test_many_threads_may_run_at_once():
    endings = []
    command = [
        default_ffmpeg(),
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=d=0.2",
        "-f",
        "null",
        "-",
    ]

    def one():
        endings.append(ffmpeg.run(command, LIMITS, NOTHING, ignore).status)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endings == [0] * 4
