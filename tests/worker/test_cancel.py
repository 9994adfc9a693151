"""Cancel and retry at every state of a job, twice, and by two clients at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from jobserver.worker.render_thread import RenderThread
from tests.support import Site, processes_naming, wait_for
from tests.worker.claims import StartWorker, file_versions, run_claims

ENDED = (409, {"error": "The job has ended", "code": "job_ended"})
NOTHING_TO_RETRY = (
    409,
    {"error": "No file of the job has failed or was cancelled", "code": "nothing_to_retry"},
)
NOT_FOUND = (404, {"error": "Job not found", "code": "job_not_found"})


def answer(site: Site, job_id: str, action: str) -> tuple[int, dict]:
    response = site.post_action(job_id, action)
    return response.status_code, response.json


def cancel(site: Site, job_id: str) -> dict:
    response = site.post_action(job_id, "cancel")
    assert response.status_code == 200, (response.json, site.state())
    return response.json


def test_a_queued_job_that_is_cancelled_is_never_rendered(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, clip, variations="3")
    cancelled = cancel(site, job_id)
    at = datetime.fromisoformat(cancelled.pop("cancelledAt"))
    assert abs(at.timestamp() - datetime.now().timestamp()) < 60
    assert list(cancelled) == ["jobId", "status", "completedVariations", "totalVariations"]
    assert list(cancelled.values()) == [job_id, "cancelled", 0, 6]
    assert run_claims(render_thread) == 0
    job = site.show(job_id)
    assert [job["status"], *(file["status"] for file in job["files"])] == ["cancelled"] * 3
    assert (job["error"], job["progress"]) == (None, 100)
    assert job["finishedAt"] is not None
    assert site.found() == set()


@pytest.mark.parametrize("step", ["claimed", "probing", "written"])
def test_a_worker_that_goes_on_after_a_cancel_publishes_nothing(
    site: Site, start_worker: StartWorker, clip: bytes, step: str
):
    job_id = site.upload(clip, variations="2")
    late = start_worker(f"{step}:STOP", HEARTBEAT_S="2")
    wait_for(late.is_stopped, 20, late.log())
    cancel(site, job_id)
    late.go_on()
    assert late.stop() == 0
    assert site.show(job_id)["status"] == "cancelled"
    assert site.listed() == {}
    site.check_sound()


def test_a_running_ffmpeg_is_gone_within_5_s_of_a_cancel(
    site: Site, start_worker: StartWorker, long_clip: bytes, clip: bytes
):
    job_id = site.upload(long_clip, variations="1")
    start_worker(HEARTBEAT_S="1", ENCODER_PRESET="placebo")  # the heartbeat of a real one
    wait_for(lambda: processes_naming(site.output_dir), 20, "an ffmpeg")
    cancel(site, job_id)
    wait_for(lambda: not processes_naming(site.server.folder), 5, "the end of ffmpeg")
    assert site.show(job_id)["status"] == "cancelled"
    site.check_sound()
    after = site.upload(clip, variations="1")
    site.wait_until(after, "completed")
    site.check_completed(after, 1)


def test_a_cancel_while_outputs_are_being_published_is_too_late(
    site: Site, start_worker: StartWorker, clip: bytes
):
    """Renamed and not committed: the cancel waits, and then the job has ended."""
    job_id = site.upload(clip, variations="2")
    publishing = start_worker("renamed:STOP", HEARTBEAT_S="2")
    wait_for(publishing.is_stopped, 20, publishing.log())
    with ThreadPoolExecutor() as pool:
        answered = pool.submit(answer, site, job_id, "cancel")
        publishing.go_on()
        assert answered.result() == ENDED
    site.check_completed(job_id, 2)


def test_published_outputs_survive_a_cancel_and_a_retry_renders_the_rest(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="7")
    assert render_thread.work_once()
    before = file_versions(site.output_dir / job_id)
    cancelled = cancel(site, job_id)
    assert (cancelled["completedVariations"], cancelled["totalVariations"]) == (5, 7)
    job = site.show(job_id)
    assert (job["status"], job["files"][0]["completedVariations"]) == ("cancelled", 5)
    site.check_sound()
    response = site.post_action(job_id, "retry")
    assert (response.status_code, response.json["status"]) == (202, "queued")
    assert response.json["progress"] == 71
    assert run_claims(render_thread) == 1
    assert before.items() <= file_versions(site.output_dir / job_id).items()
    site.check_completed(job_id, 7)


def test_a_job_that_is_cancelled_and_retried_is_rendered_once_although_its_first_worker_goes_on(
    site: Site, start_worker: StartWorker, clip: bytes
):
    job_id = site.upload(clip, variations="2")
    late = start_worker("written:STOP", HEARTBEAT_S="2", LEASE_S="60")
    wait_for(late.is_stopped, 20, late.log())
    cancel(site, job_id)
    assert site.post_action(job_id, "retry").status_code == 202
    start_worker()
    site.wait_until(job_id, "completed")
    late.go_on()
    assert late.stop() == 0
    site.check_completed(job_id, 2)


def test_a_job_that_has_ended_is_not_cancelled(
    site: Site, render_thread: RenderThread, clip: bytes
):
    completed, failed = site.upload(clip, variations="1"), site.upload(bytes(99))
    run_claims(render_thread)
    before = [site.show(job_id) for job_id in (completed, failed)]
    assert answer(site, completed, "cancel") == answer(site, failed, "cancel") == ENDED
    assert [site.show(job_id) for job_id in (completed, failed)] == before


def test_the_second_cancel_finds_that_the_job_has_ended(site: Site, clip: bytes):
    job_id = site.upload(clip)
    cancel(site, job_id)
    assert answer(site, job_id, "cancel") == ENDED


def test_there_is_nothing_to_retry_in_a_job_that_is_queued_processing_or_completed(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="6")
    for _ in range(2):
        assert answer(site, job_id, "retry") == NOTHING_TO_RETRY
        render_thread.work_once()
    assert answer(site, job_id, "retry") == NOTHING_TO_RETRY
    site.check_completed(job_id, 6)


def test_the_second_retry_finds_nothing_to_retry(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    cancel(site, job_id)
    assert site.post_action(job_id, "retry").status_code == 202
    assert answer(site, job_id, "retry") == NOTHING_TO_RETRY
    run_claims(render_thread)
    site.check_completed(job_id, 1)


def test_a_retry_queues_only_failed_and_cancelled_files(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, bytes(99), clip, variations="1")
    render_thread.work_once(), render_thread.work_once()
    cancel(site, job_id)
    good, zeros, unseen = site.show(job_id)["files"]
    assert [f["status"] for f in (good, zeros, unseen)] == ["completed", "failed", "cancelled"]
    retried = site.post_action(job_id, "retry").json
    assert retried["files"][0] == good
    for file in retried["files"][1:]:
        assert (file["status"], file["error"], file["progress"]) == ("queued", None, 0)
    assert (retried["finishedAt"], retried["error"]) == (None, None)
    run_claims(render_thread)
    statuses = [file["status"] for file in site.show(job_id)["files"]]
    assert statuses == ["completed", "failed", "completed"]
    site.check_sound()


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_an_unknown_job_is_a_404(site: Site, action: str):
    assert answer(site, "nobody", action) == NOT_FOUND


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_cancel_and_retry_need_a_token(site: Site, clip: bytes, action: str):
    job_id = site.upload(clip)
    before = site.show(job_id)
    assert site.client.post(f"/api/jobs/{job_id}/{action}").status_code == 401
    assert site.show(job_id) == before


@pytest.mark.parametrize(
    ("action", "good", "late"), [("cancel", 200, ENDED), ("retry", 202, NOTHING_TO_RETRY)]
)
def test_of_two_clients_at_the_same_time_one_succeeds(
    site: Site, clip: bytes, action: str, good: int, late: tuple[int, dict]
):
    jobs = [site.upload(clip) for _ in range(10)]
    if action == "retry":
        for job_id in jobs:
            cancel(site, job_id)
    start = threading.Barrier(2)

    def client() -> list[tuple[int, dict]]:
        answers = []
        for job_id in jobs:
            start.wait(30)
            answers.append(answer(site, job_id, action))
        return answers

    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(client) for _ in range(2))
        for pair in zip(one.result(), other.result(), strict=True):
            assert sorted(status for status, _ in pair) == [good, 409]
            assert late in pair
