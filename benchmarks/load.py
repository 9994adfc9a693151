"""Clients for benchmarks, and what a server's processes used meanwhile."""

import multiprocessing
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.support import BOUNDARY, Server

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
PIECE = os.urandom(MIB)


def cpu_seconds(server: Server) -> float:
    """User and system CPU seconds of all workers so far (proc_pid_stat(5), fields 14, 15)."""
    return sum(_ticks(pid) for pid in server.workers()) / TICKS


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(pid: int) -> tuple[int, int]:
    """Return (resident now, highest resident so far) of a process in bytes (VmRSS, VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, highest = (re.search(rf"{name}:\s+(\d+) kB", status)[1] for name in ("VmRSS", "VmHWM"))
    return int(now) * 1024, int(highest) * 1024


def send_upload(server: Server, size: int) -> bytes:
    """POST one file of `size` bytes (whole MiB) over a plain socket; return the answer."""
    head = (
        b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="videos"; '
        b'filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
    )
    tail = b"\r\n--" + BOUNDARY + b"--\r\n"
    with closing(server.begin_upload(len(head) + size + len(tail))) as sock:
        sock.settimeout(120)
        sock.sendall(head)
        for _ in range(size // MIB):
            sock.sendall(PIECE)
        sock.sendall(tail)
        return sock.recv(65536)


def get(server: Server, path: str) -> bytes:
    """Return the bytes of a GET request with a good token."""
    authorization = f"Authorization: Bearer {server.token}"
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n\r\n".encode()


def requests_per_second(port: int, request: bytes, seconds: float, clients: int = 2) -> float:
    """Repeat a request from `clients` processes with 4 kept-alive connections each."""
    with multiprocessing.get_context("fork").Pool(clients) as pool:
        return sum(pool.starmap(_repeat, [(port, request, seconds)] * clients)) / seconds


def latencies(port: int, request: bytes, go_on: Callable[[], bool]) -> list[float]:
    """Return how long each answer took, seconds, one after the other on one connection."""
    times = []
    with closing(socket.create_connection(("127.0.0.1", port))) as sock:
        length = _answer_length(sock, request)
        while go_on():
            start = time.perf_counter()
            sock.sendall(request)
            _receive(sock, length)
            times.append(time.perf_counter() - start)
    return times


def _repeat(port: int, request: bytes, seconds: float) -> int:
    """Keep one request on the way on each of 4 connections; return how many were answered."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    length = _answer_length(sockets[0], request)
    for sock in sockets:
        sock.sendall(request)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for sock in sockets:
            _receive(sock, length)
            sock.sendall(request)
        count += len(sockets)
    return count


def _answer_length(sock: socket.socket, request: bytes) -> int:
    """Ask once; return the bytes of the whole answer, the same for every repetition."""
    sock.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    rest = int(re.search(rb"Content-Length: (\d+)", head)[1]) - len(body)
    sock.recv(rest, socket.MSG_WAITALL)
    return len(answer) + rest


def _receive(sock: socket.socket, length: int) -> None:
    answer = sock.recv(length, socket.MSG_WAITALL)
    assert answer.startswith(b"HTTP/1.1 200"), answer
