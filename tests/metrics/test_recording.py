"""What is counted, over processes that end as they should and that are killed."""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobserver import metrics
from jobserver.render.errors import DamagedSound, EngineError

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    metrics.start(tmp_path)
    yield tmp_path
    metrics.stop()


def numbers(folder: Path) -> Numbers:
    text = metrics.exposition(folder, []).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def in_process(work: Callable[[], None]) -> int:
    """Run in a forked process; return how it ended."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(20)
    assert process.exitcode is not None
    return process.exitcode


def request(route: str | None = "/api/jobs/<job_id>", method: str = "GET") -> None:
    metrics.request_ended(method, route, status=200, seconds=0.02, received=3, sent=100)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


REQUESTS = (
    "jobserver_requests_total",
    (("method", "GET"), ("route", "/api/jobs/<job_id>"), ("status", "200")),
)


def test_nothing_is_counted_before_a_start(tmp_path: Path) -> None:
    request()
    with metrics.transfer("upload"):
        metrics.state_changed("file.completed")
    assert numbers(tmp_path) == {}


def test_requests_of_all_processes_are_added_up(folder: Path) -> None:
    request()
    for _ in range(3):
        assert in_process(request) == 0
    found = numbers(folder)
    assert found[REQUESTS] == 4
    assert found["jobserver_sent_bytes_total", ()] == 400
    assert found["jobserver_received_bytes_total", ()] == 12
    route = ("route", "/api/jobs/<job_id>")
    assert found["jobserver_request_seconds_count", (route,)] == 4
    assert found["jobserver_request_seconds_bucket", (("le", "0.01"), route)] == 0
    assert found["jobserver_request_seconds_bucket", (("le", "0.025"), route)] == 4


def test_no_counter_falls_when_a_process_is_killed_and_its_files_go(folder: Path) -> None:
    def work() -> None:
        request()
        with metrics.transfer("download"):
            die()

    request()
    for _ in range(3):
        assert in_process(work) == -signal.SIGKILL
    for _ in range(2):  # what has been added up is not added again
        found = numbers(folder)
        assert found[REQUESTS] == 4
        assert found["jobserver_request_seconds_sum", (REQUESTS[1][1],)] == pytest.approx(0.08)
        in_flight = "jobserver_transfers_in_flight", (("direction", "download"),)
        assert found.get(in_flight, 0) == 0
    assert len(list(folder.glob("*.alive"))) == 1  # this process's
    assert len(list(folder.glob("*.db"))) == 3 + 2


def test_what_is_in_flight_is_that_of_living_processes(folder: Path) -> None:
    key = "jobserver_transfers_in_flight", (("direction", "upload"),)
    with metrics.transfer("upload"), metrics.transfer("upload"):
        assert numbers(folder)[key] == 2
    assert numbers(folder)[key] == 0


def test_labels_have_few_values(folder: Path) -> None:
    for path in range(50):
        metrics.request_ended(f"X{path}", None, status=404, seconds=0.001, received=0, sent=10)
    found = {labels for name, labels in numbers(folder) if name == REQUESTS[0]}
    assert found == {(("method", "other"), ("route", "none"), ("status", "404"))}


def test_renders_are_counted_by_what_became_of_them(folder: Path) -> None:
    for kind in ("file.completed", "file.failed", "file.failed", "output.ready", "other.thing"):
        metrics.state_changed(kind)
    metrics.outputs_failed(2)
    metrics.outputs_failed(0)
    metrics.rendered(250, 2.5)
    metrics.render_failed(DamagedSound())
    metrics.render_failed(EngineError())
    metrics.lease_lost()
    found = numbers(folder)
    assert found["jobserver_files_total", (("state", "failed"),)] == 2
    assert found["jobserver_outputs_total", (("state", "ready"),)] == 1
    assert found["jobserver_outputs_total", (("state", "failed"),)] == 2
    assert found["jobserver_rendered_frames_total", ()] == 250
    assert found["jobserver_render_seconds_total", ()] == 2.5
    assert found["jobserver_render_failures_total", (("reason", "damaged_sound"),)] == 1
    assert found["jobserver_render_failures_total", (("reason", "engine_error"),)] == 1
    assert found["jobserver_lease_losses_total", ()] == 1


def test_a_process_that_finds_a_full_disk_works_on_and_counts_nothing(folder: Path) -> None:
    """The limit of a file's size stands for the disk: no byte of a file can be written."""

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        request()

    request()
    assert in_process(work) == 0
    assert numbers(folder)[REQUESTS] == 1


def test_all_labels_that_there_can_be_fit_into_the_space_that_was_taken(folder: Path) -> None:
    """Beyond it a file would grow through memory, and on a full disk end its process."""
    for route in range(60):
        for status in range(8):
            for method in ("GET", "POST"):
                metrics.request_ended(
                    *(method, f"/api/jobs/<job_id>/outputs/<output_id>/{route}"),
                    **{"status": 200 + status, "seconds": 0.001, "received": 0, "sent": 10},
                )
    sizes = {path.stat().st_size for path in folder.glob("*.db")}
    assert sizes == {1024 * 1024}
