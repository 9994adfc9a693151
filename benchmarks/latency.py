"""How long a status call may take while the machine is busy."""

import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.load import MIB, get, latencies, send_upload
from benchmarks.rendering import GRAIN, make_clip
from benchmarks.report import Row, at_most
from benchmarks.servers import running, running_worker
from benchmarks.status import for_seconds
from tests.support import MP4_HEAD

ROUNDS, UPLOADS, FILE_SIZE = 3, 4, 500 * MIB
ALLOWED_MS = 30.0


def status_under_load() -> Iterator[Row]:
    """The slowest status calls while four uploads and a render run, and while nothing does."""
    busy, quiet = [], []
    with tempfile.TemporaryDirectory() as name, running() as ours:
        clip = make_clip(Path(name) / "clip.mp4", GRAIN, seconds=60).read_bytes()
        request = get(ours, ours.upload(MP4_HEAD).json["statusUrl"])
        for _ in range(ROUNDS):
            quiet.append(p99_ms(latencies(ours.port, request, for_seconds(3))))
            rendered = ours.upload(clip, variations="10").json
            with running_worker(ours), ThreadPoolExecutor(UPLOADS) as pool:
                sent = [pool.submit(send_upload, ours.port, FILE_SIZE, ours.token)
                        for _ in range(UPLOADS)]  # fmt: skip
                times = latencies(ours.port, request, partial(any_runs, sent))
                busy.append(p99_ms(times))
                assert all(b" 202 " in each.result()[:20] for each in sent)
                shown = ours.get(rendered["statusUrl"], ours.token).json
                assert shown["status"] == "processing", "the render has ended before the uploads"
            ours.request("POST", f"{rendered['statusUrl']}/cancel", headers=ours.bearer(ours.token))
    what = f"p99 of status during a render and {UPLOADS} uploads"
    yield Row(what, "ms", busy, [ALLOWED_MS] * ROUNDS, "what is allowed", at_most(1))
    yield Row(what, "ms", busy, quiet, "nothing runs")


def any_runs(futures: list[Future[bytes]]) -> bool:
    """Return whether one has not ended."""
    return not all(each.done() for each in futures)


def p99_ms(times: list[float]) -> float:
    """Return the 99th percentile in milliseconds."""
    return statistics.quantiles(times, n=100)[98] * 1000


ALL = (status_under_load,)
