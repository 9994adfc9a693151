"""Run as a script: tie the hands of this process, then become ffmpeg.

`Popen(preexec_fn=...)` runs Python between fork and exec, which may deadlock in a process
with threads, and `setpriv` is not on every machine; Python is, as it runs us. So ffmpeg is
started by a short Python that has no threads: it limits itself and replaces itself. The
parent is never at risk, and not one instruction of ffmpeg runs without the limits.

    python -I -S launch.py '{"parent": pid, "limits": {...}, ...}' /path/ffmpeg ARGS...

The JSON object: `parent`, the pid that must still be ours; `limits`, name of an RLIMIT ->
value; `reads` and `writes`, the only files ffmpeg may open beside programs and libraries
(null: no sandbox). On Linux the kernel kills ffmpeg when the thread that started us ends
(PR_SET_PDEATHSIG survives exec), even if that end was a SIGKILL. Elsewhere that one
protection is missing.

Sources: prctl(2), setrlimit(2), landlock(7).
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from typing import Any

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE, READ, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
PROGRAMS = ("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
CANNOT = 127


def main(order: str, *command: str) -> None:
    """Obey the order, then exec the command with an empty environment; never returns."""
    wish = json.loads(order)
    if sys.platform == "linux":
        die_with(wish["parent"])
    for name, value in wish["limits"].items():
        limit(getattr(resource, name), value)
    # Python ignores these two, ffmpeg would inherit that and outlive its limits.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for path in wish["writes"]:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o666))
    if sys.platform == "linux" and wish["reads"] is not None:
        confine([command[0], *wish["reads"]], wish["writes"])
    os.execve(command[0], command, {})  # noqa: S606  a list, no shell


def die_with(parent: int) -> None:
    """Ask the kernel to kill us when our parent goes; leave if it has gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(refuse("the parent has gone"))


def limit(kind: int, value: int) -> None:
    """Lower one limit, hard and soft; one that is lower already stays."""
    hard = resource.getrlimit(kind)[1]
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (lowest, lowest))


def confine(reads: list[str], writes: list[str]) -> None:
    """Let this process open nothing else, nor any TCP port, where the kernel offers that.

    Landlock, Linux 5.13 (files) and 6.7 (TCP). Older kernels go without: the other limits,
    `-protocol_whitelist` and `-f mov` do not depend on it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return
    attr = ruleset(abi)
    rules = libc.syscall(CREATE_RULESET, attr, len(attr), 0)
    handled = struct.unpack("=Q", attr[:8])[0]
    for path in (*PROGRAMS, *reads):
        allow(libc, rules, path, handled & (EXECUTE | READ | READ_DIR))
    for path in (*DEVICES, *writes):
        allow(libc, rules, path, handled & (READ | WRITE | TRUNCATE))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(RESTRICT_SELF, rules, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self failed")


def ruleset(abi: int) -> bytes:
    """Return struct landlock_ruleset_attr: deny every right this kernel's ABI knows."""
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)
    files, ports, scopes = (1 << rights) - 1, 0b11, 0b11
    if abi < 4:
        return struct.pack("=Q", files)
    return struct.pack("=QQ", files, ports) + (struct.pack("=Q", scopes) if abi >= 6 else b"")


def allow(libc: Any, rules: int, path: str, rights: int) -> None:
    """Grant rights on a file or a tree; what does not exist needs none."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= ~READ_DIR
    libc.syscall(ADD_RULE, rules, 1, struct.pack("=Qi", rights, fd), 0)
    os.close(fd)


def refuse(reason: str) -> int:
    """Say on stderr why ffmpeg was not started; return the exit status that means this."""
    sys.stderr.write(f"launch: {reason}\n")
    return CANNOT


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(refuse(str(error)))
