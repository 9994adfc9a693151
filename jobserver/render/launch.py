"""Run as a script: apply resource limits and the sandbox to this process, then exec ffmpeg.

`Popen(preexec_fn=...)` runs Python code between fork and exec, which can deadlock in a process
with threads, and `setpriv` is not installed on every machine. So ffmpeg is started by a short
Python process without threads, which limits itself and then replaces itself. The limits never
apply to the parent, and ffmpeg never runs without them.

    python -I -S launch.py SANDBOX_SPEC /path/ffmpeg ARGS...

SANDBOX_SPEC is a JSON object. `parent`: pid that must be the parent of this process. `limits`:
name of an RLIMIT -> value. `reads`, `writes`: the only files that ffmpeg may open, besides
programs and libraries; `reads` of null turns the sandbox off. Files in `writes` are created or
truncated.

On Linux the kernel kills ffmpeg when the thread that started this script ends, even by SIGKILL
(PR_SET_PDEATHSIG survives exec). Other systems lack this protection, and the sandbox.

Sources: prctl(2), setrlimit(2), landlock(7).
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE, READ, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
PROGRAMS = ("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
EXIT_NOT_STARTED = 127


def main(sandbox_spec: str, *command: str) -> None:
    """Apply the sandbox spec, then exec the command with an empty environment; never returns."""
    spec = json.loads(sandbox_spec)
    if sys.platform == "linux":
        die_with_parent(spec["parent"])
    for name, value in spec["limits"].items():
        lower_rlimit(getattr(resource, name), value)
    # Python ignores both signals; ffmpeg would inherit that and not stop at RLIMIT_FSIZE.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for path in spec["writes"]:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    if sys.platform == "linux" and spec["reads"] is not None:
        restrict([command[0], *spec["reads"]], spec["writes"])
    os.execve(command[0], command, {})  # noqa: S606  a list, no shell


def die_with_parent(parent: int) -> None:
    """Make the kernel kill this process when its parent ends; exit if it has already ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(report_not_started("the parent process has ended"))


def lower_rlimit(kind: int, value: int) -> None:
    """Set the hard and the soft limit to `value`, or keep the hard limit if that is lower."""
    hard = resource.getrlimit(kind)[1]
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (lowest, lowest))


def restrict(reads: list[str], writes: list[str]) -> None:
    """Deny access to all other files and to TCP, as far as the kernel supports it.

    Uses Landlock: Linux 5.13 for files, 6.7 for TCP. Older kernels run without it; the resource
    limits, `-protocol_whitelist` and `-f` do not depend on it. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return
    attr = ruleset_attr(abi)
    ruleset = libc.syscall(CREATE_RULESET, attr, len(attr), 0)
    handled = struct.unpack("=Q", attr[:8])[0]
    for path in (*PROGRAMS, *reads):
        allow(libc, ruleset, path, handled & (EXECUTE | READ | READ_DIR))
    for path in (*DEVICES, *writes):
        allow(libc, ruleset, path, handled & (READ | WRITE | TRUNCATE))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self failed")


def ruleset_attr(abi: int) -> bytes:
    """Return a struct landlock_ruleset_attr that handles every right of this Landlock ABI.

    A handled right is denied unless a rule allows it.
    """
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)  # number of file rights
    files, ports, scopes = (1 << rights) - 1, 0b11, 0b11
    if abi < 4:
        return struct.pack("=Q", files)
    return struct.pack("=QQ", files, ports) + (struct.pack("=Q", scopes) if abi >= 6 else b"")


def allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Allow `rights` on a file, or on a directory and everything below it, if it exists."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= ~READ_DIR
    libc.syscall(ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, fd), 0)
    os.close(fd)


def report_not_started(reason: str) -> int:
    """Write to stderr why ffmpeg was not started; return the exit status for that."""
    sys.stderr.write(f"launch: {reason}\n")
    return EXIT_NOT_STARTED


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(report_not_started(str(error)))
