"""What receiving costs: CPU of the processes that receive, beside a copy loop, nginx, copyparty."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.load import MIB, cpu_seconds, memory, send_at_once, send_upload
from benchmarks.report import Row, at_most, in_turns
from benchmarks.servers import copy_loop, copyparty, nginx, running

FILE_SIZE = 256 * MIB


def receiving() -> Iterator[Row]:
    """One upload, and eight at once."""
    with (
        running() as ours,
        tempfile.TemporaryDirectory() as name,
        copy_loop(Path(name)) as (loop_port, loop),
        running("benchmarks.floor:constant", token_of=ours) as behind,
        nginx(Path(name), to_file(behind.port)) as (nginx_port, nginx_pid),
        copyparty(make(Path(name) / "copyparty")) as (party_port, party),
    ):

        def cost(count: int, pids: list[int], send: Callable[[], bytes]) -> Callable[[], float]:
            def per_gb() -> float:
                before = cpu_seconds(*pids)
                send_at_once(count, send)
                used = cpu_seconds(*pids) - before
                for path in [*ours.uploads().values(), *Path(name).glob("copyparty/*.mp4")]:
                    path.unlink()
                return used / (count * FILE_SIZE) * 1e9

            return per_gb

        def send_ours() -> bytes:
            return send_upload(ours.port, FILE_SIZE, ours.token)

        loop_, nginx_, party_ = (
            lambda port=port: send_upload(port, FILE_SIZE, path="/")
            for port in (loop_port, nginx_port, party_port)
        )
        one, eight, loops, nginxes, one_party, eight_party = in_turns(
            cost(1, ours.workers(), send_ours),
            cost(8, ours.workers(), send_ours),
            cost(1, [loop], loop_),
            cost(1, [nginx_pid], nginx_),
            cost(1, [party], party_),
            cost(8, [party], party_),
        )
    unit = "CPU s/GB"
    yield Row("receive one upload", unit, one, loops, "a loop of recv and write", None)
    yield Row("receive one upload", unit, one, nginxes, "nginx, body to a file, no sync", None)
    yield Row("receive one upload", unit, one, one_party, "copyparty", at_most(1))
    yield Row("receive eight at once", unit, eight, one, "one of ours", at_most(1.5))
    yield Row("receive eight at once", unit, eight, eight_party, "copyparty", at_most(1))


def make(folder: Path) -> Path:
    """Make a folder and return it."""
    folder.mkdir()
    return folder


def to_file(port: int) -> str:
    """Return nginx's words for: write the body to a file, ask another server without it."""
    return (
        "location / { client_body_in_file_only clean; proxy_pass_request_body off;"
        ' proxy_set_header Content-Length "";'
        f" proxy_pass http://127.0.0.1:{port}/received; }}"
    )


def peak_memory(uploads: int = 8) -> Iterator[Row]:
    """Memory of one web worker above idle while it receives many files at once."""
    with running(worker_count=1) as ours:
        send_upload(ours.port, MIB, ours.token)
        [worker] = ours.workers()
        idle = memory(worker)[0]
        send_at_once(uploads, lambda: send_upload(ours.port, FILE_SIZE, ours.token))
        above = memory(worker)[1] - idle
    what = f"memory of {uploads} uploads at once"
    yield Row(what, "MiB above idle", [above / MIB], [64], "what is allowed", at_most(1))


ALL = (receiving, peak_memory)
