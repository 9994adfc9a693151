"""Clients for benchmarks, and what processes used meanwhile."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.support import BOUNDARY, FORM_TYPE, MP4_HEAD, Server

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
PIECE = os.urandom(MIB)
WRK = ("wrk", "-t1", "-c8")


def cpu_seconds(*pids: int) -> float:
    """User and system CPU seconds of processes so far (proc_pid_stat(5), fields 14, 15)."""
    return sum(sum(_times(pid)[:2]) for pid in pids) / TICKS


def cpu_seconds_with_children(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended (fields 14 to 17)."""
    return sum(_times(pid)) / TICKS


def _times(pid: int) -> list[int]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return list(map(int, fields[11:15]))


def memory(pid: int) -> tuple[int, int]:
    """Return (resident now, highest resident so far) of a process in bytes (VmRSS, VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, highest = (re.search(rf"{name}:\s+(\d+) kB", status)[1] for name in ("VmRSS", "VmHWM"))
    return int(now) * 1024, int(highest) * 1024


def requests_per_second(server: Server, path: str, seconds: int = 3, **headers: str) -> float:
    """Ask for one path by wrk over 8 connections; return the rate. Headers by name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    words = [f"-H{name}: {value}" for name, value in (server.bearer(server.token) | named).items()]
    command = [*WRK, f"-d{seconds}s", *words, f"http://127.0.0.1:{server.port}{path}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def rate_and_cpu(
    server: Server, path: str, seconds: int = 3, **headers: str
) -> tuple[float, float]:
    """Return requests a second by wrk, and microseconds of the web workers' CPU for each."""
    before = cpu_seconds(*server.workers())
    rate = requests_per_second(server, path, seconds, **headers)
    return rate, (cpu_seconds(*server.workers()) - before) / (rate * seconds) * 1e6


def send_upload(port: int, size: int, token: str = "", path: str = "/api/jobs") -> bytes:
    """POST one video of `size` bytes (whole MiB) over a plain socket; return the answer."""
    act = b'--%s\r\nContent-Disposition: form-data; name="act"\r\n\r\nbput\r\n' % BOUNDARY
    head = b'%s--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s.mp4"\r\n\r\n' % (
        *((b"", BOUNDARY, b"videos") if token else (act, BOUNDARY, b"f")),
        os.urandom(8).hex().encode(),
    )
    tail = b"\r\n--" + BOUNDARY + b"--\r\n"
    first = MP4_HEAD + PIECE[len(MP4_HEAD) :]
    request = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {FORM_TYPE}\r\nContent-Length: {len(head) + size + len(tail)}\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", port), 120)) as sock:
        sock.sendall(request.encode() + head + first)
        for _ in range(size // MIB - 1):
            sock.sendall(PIECE)
        sock.sendall(tail)
        return sock.recv(65536)


def send_at_once(count: int, send: Callable[[], bytes]) -> None:
    """Send so many uploads at once; fail unless all are taken."""
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: send(), range(count)))
    assert all(re.match(rb"HTTP/1\.1 20[0-2] ", answer) for answer in answers), answers


def get(server: Server, path: str) -> bytes:
    """Return the bytes of a GET request with a good token."""
    authorization = f"Authorization: Bearer {server.token}"
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n\r\n".encode()


def latencies(port: int, request: bytes, go_on: Callable[[], bool]) -> list[float]:
    """Return how long each answer took, seconds, one after the other on one connection."""
    times = []
    with closing(socket.create_connection(("127.0.0.1", port))) as sock:
        while go_on():
            start = time.perf_counter()
            sock.sendall(request)
            read_answer(sock)
            times.append(time.perf_counter() - start)
    return times


def read_answer(sock: socket.socket) -> bytes:
    """Read one answer that says its length and is a 200."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(65536)
        assert piece, "the server has closed the connection"
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200"), answer
    head, _, body = answer.partition(b"\r\n\r\n")
    left = int(re.search(rb"Content-Length: (\d+)", head)[1]) - len(body)
    return body + sock.recv(left, socket.MSG_WAITALL) if left else body
