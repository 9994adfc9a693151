"""SIGKILL and SIGSTOP of a worker at each step of a claim, and of ffmpeg: nothing is lost."""

import os
import signal
from contextlib import closing

import pytest

from jobserver.db import exclusive
from tests.support import Site, processes_naming, wait_for
from tests.worker.claims import GAVE_UP, StartWorker

SLOW = {"ENCODER_PRESET": "placebo"}
# what a worker that is killed in its first group leaves: was the source probed, how many of the
# five outputs have their final names, how many are listed
LEFT = {
    "claimed": (False, 0, 0),
    "probing": (False, 0, 0),
    "rendering": (True, 0, 0),
    "written": (True, 0, 0),
    "renaming": (True, 1, 0),
    "renamed": (True, 5, 0),
    "committed": (True, 5, 5),
}


def render_processes(site: Site) -> list[int]:
    """Return the ffmpeg processes that write videos into the site's OUTPUT_DIR."""
    # the launcher becomes ffmpeg; neither the source's thumbnail nor a check has a graph
    graphs, launchers = processes_naming("-filter_complex"), processes_naming("launch.py")
    writers = processes_naming(site.output_dir)
    return [pid for pid in writers if pid in graphs and pid not in launchers]


def left(site: Site) -> tuple[bool, int, int]:
    """Describe what is there, as in LEFT."""
    ((sha256,),) = site.rows("SELECT sha256 FROM job_file")
    return sha256 is not None, len(list(site.output_dir.glob("*/*.mp4"))), len(site.listed())


def upload_two_groups(site: Site, step: str, clip: bytes, long_clip: bytes) -> tuple[str, int]:
    """Queue a job that passes every step twice; return its id and how many variations it has.

    At the step `rendering` it is one group, with which ffmpeg is busy for long.
    """
    if step == "rendering":
        return site.upload(long_clip, variations="2"), 2
    return site.upload(clip, variations="6"), 6


@pytest.mark.parametrize("step", LEFT)
def test_a_worker_killed_at_any_step_is_followed_by_one_that_completes_the_file(
    site: Site, start_worker: StartWorker, clip: bytes, long_clip: bytes, step: str
):
    job_id, variations = upload_two_groups(site, step, clip, long_clip)
    killed = start_worker(f"{step}:KILL", LEASE_S="0.5", **(SLOW if step == "rendering" else {}))
    assert killed.process.wait(30) == -signal.SIGKILL, killed.log()
    assert left(site) == LEFT[step]  # it was killed where this test says
    wait_for(lambda: not processes_naming(site.server.folder), 5, "the end of its ffmpeg")
    start_worker()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, variations)


@pytest.mark.parametrize("step", ["renaming", "committed"])
def test_what_a_killed_worker_left_of_its_last_group_is_swept_by_the_next_worker(
    site: Site, start_worker: StartWorker, clip: bytes, step: str
):
    job_id = site.upload(clip, variations="2")
    killed = start_worker(f"{step}:KILL")
    assert killed.process.wait(30) == -signal.SIGKILL, killed.log()
    assert site.found() > set(site.listed())
    if step == "renaming":  # so that no worker renders it again
        assert site.post_action(job_id, "cancel").status_code == 200
    start_worker()
    site.wait_until(job_id, "cancelled" if step == "renaming" else "completed")
    site.check_sound()


@pytest.mark.parametrize("step", LEFT)
def test_a_worker_that_goes_on_after_its_lease_has_ended_changes_nothing(
    site: Site, start_worker: StartWorker, clip: bytes, long_clip: bytes, step: str
):
    job_id = site.upload(long_clip if step == "rendering" else clip, variations="2")
    slow = SLOW if step == "rendering" else {}
    # a late heartbeat, so that it does not learn of the loss before it writes
    stopped = start_worker(f"{step}:STOP", LEASE_S="0.5", HEARTBEAT_S="2", **slow)
    wait_for(stopped.is_stopped, 30, stopped.log())
    other = start_worker(LOCK_TIMEOUT_S="0.2")
    if step in ("renaming", "renamed"):  # in its transaction, so the other one has to wait
        wait_for(lambda: "The database is busy" in other.log(), 30, site.state())
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
    for pid in wait_for(lambda: render_processes(site), 20, "an ffmpeg"):
        os.kill(pid, signal.SIGKILL)
    if both:
        worker.kill()
        start_worker()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 2)
    assert both or "killed from outside" in worker.log()


def test_a_file_that_crashes_its_workers_fails_after_three_of_them(
    site: Site, start_worker: StartWorker, clip: bytes
):
    crashing, good = site.upload(clip), site.upload(clip)
    for _ in range(3):
        # cancelled meanwhile, so that these workers claim the other one
        site.post_action(good, "cancel")
        killed = start_worker("probing:KILL", LEASE_S="0.2")
        assert killed.process.wait(30) == -signal.SIGKILL, killed.log()
    site.post_action(good, "retry")
    start_worker()
    site.wait_until(good, "completed")
    (file,) = site.wait_until(crashing, "failed")["files"]
    assert file["error"] == GAVE_UP
    site.check_completed(good, 5)


@pytest.mark.parametrize("step", ["claimed", "written"])
def test_a_worker_that_lost_its_file_changes_nothing_of_the_claim_that_holds_it(
    site: Site, start_worker: StartWorker, clip: bytes, step: str
):
    job_id = site.upload(clip, variations="2")
    late = start_worker(f"{step}:STOP", LEASE_S="60", HEARTBEAT_S="2")
    wait_for(late.is_stopped, 30, late.log())
    with closing(site.connect()) as db, exclusive(db, "queue"):  # a minute passes
        db.write("UPDATE job_file SET lease_until = lease_until - 60")
    holder = start_worker("written:STOP", LEASE_S="60", HEARTBEAT_S="2")
    wait_for(holder.is_stopped, 30, holder.log())
    before = site.rows("SELECT * FROM job_file")
    late.go_on()
    assert late.stop() == 0, late.log()
    assert (site.listed(), site.rows("SELECT * FROM job_file")) == ({}, before)
    holder.go_on()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 2)
    assert site.rows("SELECT claim_token FROM job_file") == [(3,)]  # two claims and one end
