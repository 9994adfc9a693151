"""SIGKILL of a worker, or of ffmpeg, in each stage of a brief, and cancels: nothing is lost."""

import signal
from pathlib import Path

import pytest

from tests.disk import fill
from tests.support import Site, Worker, make_clip, processes_naming, wait_for
from tests.worker.briefs import Parts, check_ended, queue_brief
from tests.worker.claims import StartWorker

OUTPUTS = 4  # of the job below
# What there is when a worker is killed at a step: files that were probed, shots listed, outputs.
LEFT = {
    "probe.probing": (0, 0, 0),
    "probe.committed": (1, 0, 0),
    "shots.rendering": (2, 0, 0),
    "shots.renaming": (2, 0, 0),
    "joins.rendering": (2, 7, 0),
    "joins.renamed": (2, 7, 0),
    "joins.committed": None,  # on a slow machine the first claim joins some outputs only
}


@pytest.fixture(scope="session")
def hook(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A silent clip of another rate and size than `clip`."""
    path = tmp_path_factory.mktemp("clip") / "hook.mp4"
    return make_clip(path, 0.4, sound=False).read_bytes()


@pytest.fixture
def parts(clip: bytes, hook: bytes) -> Parts:
    return Parts(videos={"clip.mp4": clip}, hooks={"hook.mp4": hook})


def queue_job(site: Site, parts: Parts) -> str:
    """One clip in two formats, with a hook and without."""
    return queue_brief(site, parts, formats=["9:16", "1:1"], hooks=["hook.mp4", None])


def left(site: Site) -> tuple[int, int, int]:
    """Describe what there is, as in LEFT."""
    counts = (
        site.rows(f"SELECT COUNT(*) FROM {what}")  # noqa: S608
        for what in ("job_file WHERE facts IS NOT NULL", "shot", "output")
    )
    probed, shots, outputs = (count for ((count,),) in counts)
    return probed, shots, outputs


@pytest.mark.parametrize("step", LEFT)
def test_a_worker_killed_in_any_stage_is_followed_by_one_that_completes_the_job(
    site: Site, start_worker: StartWorker, parts: Parts, step: str
):
    job_id = queue_job(site, parts)
    killed = start_worker(f"{step}:KILL", LEASE_S="0.5")
    assert killed.process.wait(40) == -signal.SIGKILL, killed.log()
    probed, _, outputs = found = left(site)
    assert found == (LEFT[step] or (probed, found[1], outputs))
    assert LEFT[step] or (probed == 2 and 1 <= outputs <= OUTPUTS)
    wait_for(lambda: not processes_naming(site.server.folder), 5, "the end of its ffmpeg")
    start_worker()
    site.wait_until(job_id, "completed", 40)
    check_ended(site, job_id, "completed", OUTPUTS)


@pytest.mark.parametrize("step", ["shots.written", "joins.written"])
def test_a_worker_that_goes_on_after_its_lease_has_ended_changes_nothing(
    site: Site, start_worker: StartWorker, parts: Parts, step: str
):
    job_id = queue_job(site, parts)
    stopped = start_worker(f"{step}:STOP", LEASE_S="0.5", HEARTBEAT_S="2")
    wait_for(stopped.is_stopped, 40, stopped.log())
    start_worker()
    site.wait_until(job_id, "completed", 40)
    stopped.go_on()
    assert stopped.stop() == 0, stopped.log()
    check_ended(site, job_id, "completed", OUTPUTS)


@pytest.mark.parametrize("step", ["probe.probing", "shots.rendering", "joins.written"])
def test_a_cancel_in_any_stage_is_final_and_leaves_no_shot(
    site: Site, start_worker: StartWorker, parts: Parts, step: str
):
    job_id = queue_job(site, parts)
    late = start_worker(f"{step}:STOP", LEASE_S="60")
    wait_for(late.is_stopped, 40, late.log())
    assert site.post_action(job_id, "cancel").status_code == 200
    assert site.rows("SELECT key FROM shot") == []
    late.go_on()
    wait_for(lambda: not processes_naming(site.server.folder), 5, "the end of ffmpeg")
    assert late.stop() == 0
    check_ended(site, job_id, "cancelled", 0)


@pytest.mark.parametrize("step", ["probe.probing", "shots.rendering", "joins.rendering"])
def test_a_killed_ffmpeg_costs_an_attempt_and_nothing_more(
    site: Site, start_worker: StartWorker, parts: Parts, step: str
):
    job_id = queue_job(site, parts)
    worker = start_worker(f"{step}:FFMPEG")
    site.wait_until(job_id, "completed", 40)
    check_ended(site, job_id, "completed", OUTPUTS)
    assert worker.log().count("killed from outside") == 1


@pytest.mark.tools
@pytest.mark.parametrize("step", ["shots.rendering", "joins.rendering"])
def test_a_full_disk_costs_no_attempt_in_any_stage(
    small_disk: Path, tmp_path: Path, parts: Parts, step: str
):
    site = Site(tmp_path, OUTPUT_DIR=str(small_disk))
    job_id = queue_job(site, parts)
    worker = Worker(site.server, f"{step}:STOP", LEASE_S="60").start()
    try:
        wait_for(worker.is_stopped, 40, worker.log())
        filler = small_disk / "filler"
        fill(filler)
        worker.go_on()
        wait_for(lambda: site.show(job_id)["waitsFor"], 30, site.state())
        assert site.rows("SELECT MAX(attempts) FROM job_file") in ([(0,)], [(1,)])
        filler.unlink()
        site.wait_until(job_id, "completed", 40)
        check_ended(site, job_id, "completed", OUTPUTS)
    finally:
        assert worker.stop() == 0
