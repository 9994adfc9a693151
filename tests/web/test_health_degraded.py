"""What waits for the operator is said: by health, by the job and by the list of jobs."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobserver.db import claiming, exclusive
from jobserver.jobs import queue, workers
from jobserver.jobs.workers import WaitsFor, Worker
from jobserver.worker.heartbeat import Heartbeat
from tests.db.damage import remove_database
from tests.disk import fill, mounted
from tests.support import MP4_HEAD, Site, file_part, wait_for

pytestmark = pytest.mark.both_databases

NO_WORKER = {
    "code": "no_worker",
    "message": "No worker is running; the job waits until one is started",
}


@pytest.fixture
def worker(site: Site) -> Iterator[Heartbeat]:
    """The heartbeat of a worker with three threads that claim nothing."""
    heartbeat = Heartbeat(site.server.place, threads=3)
    with heartbeat.running():
        wait_for(lambda: site.rows("SELECT 1 FROM worker"), what="its first heartbeat")
        yield heartbeat


def health(site: Site) -> Any:
    """The answer of a 200, which took less than half a second."""
    start = time.monotonic()
    answer = site.client.get("/api/health")
    assert time.monotonic() - start < 0.5
    assert answer.status_code == 200, answer.json
    return answer.json


def codes(site: Site) -> list[str]:
    """Why health says that it is degraded; none when it says ok."""
    answer = health(site)
    assert answer["status"] == ("degraded" if "reasons" in answer else "ok")
    return [reason["code"] for reason in answer.get("reasons", [])]


def listed(site: Site) -> dict[str, Any]:
    """What each job in the list waits for."""
    jobs = site.client.get("/api/jobs", headers=site.headers).json
    return {job["id"]: job["waitsFor"] for job in jobs}


def renew(site: Site, name: str, at: float, waits_for: WaitsFor | None = None) -> None:
    worker = Worker(name, f"host:{name}", threads=1, started_at=at, waits_for=waits_for)
    with closing(site.connect()) as db, claiming(db):
        workers.renew(db, worker, at)


# -- workers ------------------------------------------------------------------------------


def test_without_a_worker_an_idle_server_is_ok(site: Site) -> None:
    answer = health(site)
    assert (answer["status"], "reasons" in answer) == ("ok", False)
    assert answer["worker"] == {"count": 0, "lastSeen": None}


def test_files_that_wait_without_a_worker_degrade_it_and_the_job_says_why(site: Site) -> None:
    job_id = site.upload(MP4_HEAD)
    answer = health(site)
    assert answer["status"] == "degraded"
    assert answer["reasons"] == [
        {"code": "no_worker", "message": "Videos wait and no worker is running"}
    ]
    assert site.show(job_id)["waitsFor"] == NO_WORKER
    assert listed(site) == {job_id: NO_WORKER}


def test_a_worker_that_lives_makes_it_ok_again(site: Site, worker: Heartbeat) -> None:
    job_id = site.upload(MP4_HEAD)
    answer = health(site)
    assert (answer["status"], answer["worker"]["count"]) == ("ok", 1)
    seen = datetime.fromisoformat(answer["worker"]["lastSeen"])
    assert 0 <= (datetime.now(UTC) - seen).total_seconds() < 30
    assert site.show(job_id)["waitsFor"] is None
    assert listed(site) == {job_id: None}


def test_a_worker_that_was_seen_half_a_minute_ago_is_dead(site: Site) -> None:
    job_id = site.upload(MP4_HEAD)
    renew(site, "a", time.time() - workers.ALIVE_S)
    answer = health(site)
    assert (codes(site), answer["worker"]["count"]) == (["no_worker"], 0)
    assert answer["worker"]["lastSeen"] is not None
    assert site.show(job_id)["waitsFor"] == NO_WORKER


def test_a_job_that_has_ended_waits_for_nothing(site: Site) -> None:
    job_id = site.upload(MP4_HEAD)
    site.post_action(job_id, "cancel")
    assert site.show(job_id)["waitsFor"] is None
    assert listed(site) == {job_id: None}
    assert codes(site) == []


def test_a_job_that_is_being_rendered_does_not_wait_whatever_others_wait_for(site: Site) -> None:
    rendered, waiting = site.upload(MP4_HEAD), site.upload(MP4_HEAD)
    renew(site, "a", time.time(), "disk_space")
    with closing(site.connect()) as db, claiming(db):
        assert queue.claim(db, "host:a", 30, time.time())
    assert site.show(rendered)["waitsFor"] is None
    assert site.show(waiting)["waitsFor"]["code"] == "disk_space"
    assert {job_id: reason and reason["code"] for job_id, reason in listed(site).items()} == {
        rendered: None,
        waiting: "disk_space",
    }


@pytest.mark.parametrize("reason", ["disk_space", "storage_unavailable"])
def test_what_all_workers_wait_for_degrades_it_while_files_wait(
    site: Site, reason: WaitsFor
) -> None:
    renew(site, "a", time.time(), reason)
    assert codes(site) == []
    job_id = site.upload(MP4_HEAD)
    assert codes(site) == [reason]
    assert site.show(job_id)["waitsFor"]["code"] == reason
    renew(site, "b", time.time())  # this one can render
    assert codes(site) == []
    assert site.show(job_id)["waitsFor"] is None


def test_the_estimate_counts_the_threads_of_workers_that_live(
    site: Site, worker: Heartbeat
) -> None:
    job_id = site.upload(MP4_HEAD, variations="6")
    file_id = site.show(job_id)["files"][0]["id"]
    add_output(site, file_id, seconds=10)
    assert site.show(job_id)["etaSeconds"] == 20  # 6 of 10 s each, 3 at once
    renew(site, "another", time.time())
    assert site.show(job_id)["etaSeconds"] == 15


def test_there_is_no_estimate_while_no_worker_lives(site: Site) -> None:
    job_id = site.upload(MP4_HEAD, variations="6")
    add_output(site, site.show(job_id)["files"][0]["id"], seconds=10)
    assert site.show(job_id)["etaSeconds"] is None
    renew(site, "a", time.time())
    assert site.show(job_id)["etaSeconds"] == 60


def add_output(site: Site, file_id: str, seconds: float) -> None:
    """List an output that took so long: it is what the estimate goes by."""
    with closing(site.connect()) as db, exclusive(db, "publish"):
        db.write(
            """INSERT INTO output
                   (id, file_id, number, name, size, sha256, parameters, seconds, created_at)
               VALUES ('x', :file_id, 1, 'x', 1, '', '{}', :seconds, 1)""",
            {"file_id": file_id, "seconds": seconds},
        )


def test_health_is_quick_with_20_000_files_in_the_queue(site: Site) -> None:
    site.upload(MP4_HEAD)
    rows = [{"n": f"{n:022}"} for n in range(20_000)]
    with closing(site.connect()) as db, exclusive(db, "quota"):
        db.write_many(
            "INSERT INTO job (id, variations_per_video, created_at) VALUES (:n, 1, 1)", rows
        )
        db.write_many(
            """INSERT INTO job_file (id, job_id, position, name, stored_name, size)
               VALUES (:n, :n, 0, 'a', :n, 1)""",
            rows,
        )
    assert codes(site) == ["no_worker"]


# -- space --------------------------------------------------------------------------------


@pytest.fixture
def inodeless(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB without room for another name."""
    with mounted(tmp_path / "inodeless", 4, inodes=8) as folder:
        yield folder


def use_up_inodes(folder: Path) -> None:
    with suppress(OSError):
        for number in range(100):
            (folder / f"file{number}").touch()
    assert os.statvfs(folder).f_favail == 0


@pytest.mark.tools
def test_the_free_bytes_are_those_of_the_fuller_disk(tmp_path: Path, small_disk: Path) -> None:
    site = Site(tmp_path, OUTPUT_DIR=str(small_disk))
    assert health(site)["freeBytes"] == site.store.roots[1].free() < 4 * 1024 * 1024
    (small_disk / "filler").write_bytes(bytes(1024 * 1024))
    assert health(site)["freeBytes"] == site.store.roots[1].free() < 3 * 1024 * 1024


def test_less_than_min_free_space_degrades_it(site: Site) -> None:
    site.change_settings(min_free_space=2**62)
    answer = health(site)
    assert answer["status"] == "degraded"
    assert answer["reasons"] == [
        {
            "code": "disk_space",
            "message": "The disk is full for uploads, or for what workers render",
        }
    ]
    assert 0 < answer["freeBytes"] < 2**62
    assert site.post(file_part(MP4_HEAD)).status_code == 507


def beside(folder: Path, disk: Path, setting: str) -> Site:
    """Return a site of which this one thing lies on the disk, and all else in the folder."""
    if setting != "DATABASE":
        return Site(folder, **{setting: str(disk)})
    return Site(disk, UPLOAD_DIR=str(folder / "uploads"), OUTPUT_DIR=str(folder / "outputs"))


@pytest.mark.tools
@pytest.mark.parametrize("full", ["UPLOAD_DIR", "OUTPUT_DIR", "DATABASE"])
def test_no_byte_free_degrades_it_whatever_min_free_space_is(
    tmp_path: Path, small_disk: Path, full: str
) -> None:
    site = beside(tmp_path, small_disk, full)
    assert codes(site) == []
    fill(small_disk / "filler")
    assert codes(site) == ["disk_space"]
    (small_disk / "filler").unlink()
    assert codes(site) == []


@pytest.mark.tools
@pytest.mark.parametrize("setting", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_no_inode_free_degrades_it(tmp_path: Path, inodeless: Path, setting: str) -> None:
    site = Site(tmp_path, **{setting: str(inodeless)})
    assert codes(site) == []
    use_up_inodes(inodeless)
    assert health(site)["freeBytes"] > 1024 * 1024
    assert codes(site) == ["disk_space"]


@pytest.mark.tools
def test_a_job_waits_for_space_when_no_worker_can_write_that_it_lives(
    tmp_path: Path, small_disk: Path
) -> None:
    site = beside(tmp_path, small_disk, "DATABASE")
    job_id = site.upload(MP4_HEAD)
    assert site.show(job_id)["waitsFor"]["code"] == "no_worker"
    fill(small_disk / "filler")
    assert site.show(job_id)["waitsFor"]["code"] == "disk_space"
    assert set(codes(site)) == {"no_worker", "disk_space"}


# -- what is an error stays one -----------------------------------------------------------


def test_a_503_has_the_workers_and_the_free_bytes_too(site: Site, worker: Heartbeat) -> None:
    site.upload(MP4_HEAD)
    site.output_dir.rename(site.output_dir.with_name("away"))
    answer = site.client.get("/api/health")
    assert (answer.status_code, answer.json["status"]) == (503, "error")
    assert answer.json["worker"]["count"] == 1
    assert answer.json["freeBytes"] is None  # of which disk is not known
    assert "reasons" not in answer.json


@pytest.mark.sqlite_only  # tests/test_hosts.py has the other
def test_without_a_database_nothing_is_known_of_workers(site: Site) -> None:
    remove_database(site.server.database)
    answer = site.client.get("/api/health")
    assert (answer.status_code, answer.json["status"]) == (503, "error")
    assert answer.json["worker"] == {"count": None, "lastSeen": None}
    assert answer.json["freeBytes"] > 0
