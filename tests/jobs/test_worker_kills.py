"""SIGKILL and SIGSTOP of a worker at each step of a claim, and of ffmpeg: all ends well."""

import os
import signal
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.support import Site, Worker, processes_naming, wait_for

StartWorker = Callable[..., Worker]

STEPS = ("claimed", "probing", "rendering", "written", "renaming", "renamed", "committed")
SLOW = {"ENCODER_PRESET": "placebo"}


def rendering(site: Site) -> list[int]:
    """Return the processes that are ffmpeg by now and write videos into the site's OUTPUT_DIR."""
    others = {*processes_naming("launch.py"), *processes_naming(".webp")}  # which end at once
    return [pid for pid in processes_naming(site.output_dir) if pid not in others]


def two_groups(site: Site, step: str, clip: bytes, long_clip: bytes) -> tuple[str, int]:
    """Queue a job that passes every step twice; ffmpeg is busy for long where that matters."""
    if step == "rendering":
        return site.upload(long_clip, variations="2"), 2
    return site.upload(clip, variations="6"), 6


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_is_followed_by_one_that_completes_the_file(
    site: Site, start_worker: StartWorker, clip: bytes, long_clip: bytes, step: str
):
    job_id, variations = two_groups(site, step, clip, long_clip)
    killed = start_worker(f"{step}:KILL", LEASE_S="0.5", **(SLOW if step == "rendering" else {}))
    assert killed.process.wait(30) == -signal.SIGKILL, killed.log()
    wait_for(lambda: not processes_naming(site.server.folder), 5, "the end of its ffmpeg")
    start_worker()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, variations)


@pytest.mark.parametrize("step", ["renaming", "committed"])
def test_what_a_worker_killed_with_its_last_group_left_is_swept_by_the_next(
    site: Site, start_worker: StartWorker, clip: bytes, step: str
):
    job_id = site.upload(clip, variations="2")
    killed = start_worker(f"{step}:KILL")
    assert killed.process.wait(30) == -signal.SIGKILL, killed.log()
    assert site.found() > set(site.listed())
    if step == "renaming":  # nobody renders it any more
        assert site.order(job_id, "cancel").status_code == 200
    start_worker()
    site.wait_until(job_id, "cancelled" if step == "renaming" else "completed")
    site.check_sound()


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_stopped_past_its_lease_harms_nothing_when_it_goes_on(
    site: Site, start_worker: StartWorker, clip: bytes, long_clip: bytes, step: str
):
    job_id = site.upload(long_clip if step == "rendering" else clip, variations="2")
    slow = SLOW if step == "rendering" else {}
    # its heart does not beat before it stops, or it might stop with the database locked
    stopped = start_worker(f"{step}:STOP", LEASE_S="0.5", HEARTBEAT_S="2", **slow)
    wait_for(stopped.is_stopped, 30, stopped.log())
    other = start_worker(LOCK_S="0.2")
    if step in ("renaming", "renamed"):  # in its transaction, so the other one has to wait
        wait_for(lambda: "locked" in other.log() or other.process.poll(), 30, other.log())
    else:
        site.wait_until(job_id, "completed")
    stopped.go_on()
    site.wait_until(job_id, "completed")
    assert stopped.stop() == 0, stopped.log()
    site.check_completed(job_id, 2)


@pytest.mark.parametrize("both", [False, True], ids=["ffmpeg alone", "ffmpeg and worker"])
def test_a_killed_ffmpeg_costs_an_attempt_and_nothing_more(
    site: Site, start_worker: StartWorker, long_clip: bytes, both: bool
):
    job_id = site.upload(long_clip, variations="2")
    worker = start_worker(ENCODER_PRESET="medium", LEASE_S="1")
    for pid in wait_for(lambda: rendering(site), 20, "an ffmpeg"):
        os.kill(pid, signal.SIGKILL)
    if both:
        worker.kill()
        start_worker()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 2)
    assert both or "killed from outside" in worker.log()


def test_a_file_that_ends_its_workers_fails_after_three_of_them(
    site: Site, start_worker: StartWorker, clip: bytes
):
    poison, good = site.upload(clip), site.upload(clip)
    for _ in range(3):
        # only the poisoned job is there for these, so the other is never their victim
        site.order(good, "cancel")
        killed = start_worker("probing:KILL", LEASE_S="0.2")
        assert killed.process.wait(30) == -signal.SIGKILL, killed.log()
    site.order(good, "retry")
    start_worker()
    site.wait_until(good, "completed")
    (file,) = site.wait_until(poison, "failed")["files"]
    assert file["error"] == "This video could not be rendered; 3 attempts failed."
    site.check_completed(good, 5)


@pytest.mark.parametrize("step", ["claimed", "written"])
def test_a_worker_that_lost_its_file_disturbs_nobody_who_holds_it(
    site: Site, start_worker: StartWorker, clip: bytes, step: str
):
    job_id = site.upload(clip, variations="2")
    late = start_worker(f"{step}:STOP", LEASE_S="60", HEARTBEAT_S="2")
    wait_for(late.is_stopped, 30, late.log())
    with closing(site.connect()) as db:  # a minute passes
        db.execute("UPDATE job_file SET lease_until = lease_until - 60")
    holder = start_worker("written:STOP", LEASE_S="60", HEARTBEAT_S="2")
    wait_for(holder.is_stopped, 30, holder.log())
    before = site.rows("SELECT * FROM job_file")
    late.go_on()
    assert late.stop() == 0, late.log()
    assert (site.listed(), site.rows("SELECT * FROM job_file")) == ({}, before)
    holder.go_on()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 2)
    assert site.rows("SELECT token FROM job_file") == [(3,)]  # two claims and one end
