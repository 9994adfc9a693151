"""What an attempt leads to when something is wrong: the file, a disk, a volume, the database."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobserver.db import DatabaseBusy, DatabaseUnavailable, claiming, exclusive
from jobserver.jobs import queue
from jobserver.jobs.model import MAX_ATTEMPTS
from jobserver.worker import attempt
from jobserver.worker.render_thread import RenderThread
from tests.disk import fill
from tests.support import Site, Worker, wait_for
from tests.worker.claims import GAVE_UP, StartWorker, run_claims

ZEROS = bytes(1024)


@pytest.fixture
def no_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobserver.worker.attempt.RETRY_DELAYS_S", (0.0, 0.0))


def test_a_file_that_is_not_a_video_fails_and_the_next_one_is_rendered(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(ZEROS, clip, variations="2")
    run_claims(render_thread)
    job = site.show(job_id)
    zeros, good = job["files"]
    assert (job["status"], job["progress"], job["error"]) == ("completed", 100, None)
    assert (zeros["status"], zeros["error"]) == ("failed", "This file is not an MP4 video.")
    assert (good["status"], good["completedVariations"]) == ("completed", 2)
    site.check_sound()


def test_a_job_fails_when_all_its_files_fail(site: Site, render_thread: RenderThread):
    job_id = site.upload(ZEROS, ZEROS)
    run_claims(render_thread)
    job = site.show(job_id)
    assert (job["status"], job["error"]) == ("failed", "Every video failed")
    assert job["finishedAt"]
    assert site.found() == set()


@pytest.mark.usefixtures("no_retry_delay")
def test_a_missing_upload_fails_after_three_attempts_and_renders_once_it_is_back_and_retried(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    (upload,) = (path for path in site.upload_dir.iterdir() if path.name != ".database")
    aside = upload.rename(upload.with_name("aside"))
    assert run_claims(render_thread) == 3
    (file,) = site.show(job_id)["files"]
    assert (file["status"], file["error"]) == ("failed", GAVE_UP)
    aside.rename(upload)
    assert site.post_action(job_id, "retry").status_code == 202
    assert run_claims(render_thread) == 1
    site.check_completed(job_id, 1)


def test_a_failed_attempt_is_not_repeated_at_once(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    for upload in site.upload_dir.glob("*.mp4"):
        upload.unlink()
    assert render_thread.work_once()
    assert not render_thread.work_once()
    assert site.show(job_id)["status"] == "processing"


def test_a_file_that_crashed_three_workers_fails_without_a_fourth_attempt(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip)
    with closing(site.connect()) as db:
        for _ in range(3):
            with claiming(db):
                assert queue.claim(db, "killed", -1, 0)
    assert run_claims(render_thread) == 1
    assert site.show(job_id)["files"][0]["error"] == GAVE_UP
    assert site.found() == set()


@pytest.mark.parametrize(
    ("content", "crashes"), [("clip", MAX_ATTEMPTS), ("zeros", 1)], ids=["crashes", "no video"]
)
def test_a_file_that_is_given_up_leaves_no_folder_of_a_worker_that_crashed(
    site: Site, render_thread: RenderThread, clip: bytes, content: str, crashes: int
):
    job_id = site.upload(clip if content == "clip" else ZEROS)
    with closing(site.connect()) as db:
        for _ in range(crashes):
            with claiming(db):
                claim = queue.claim(db, "killed", -1, 0)
            assert claim is not None
            folder = site.output_dir / job_id / f".{claim.id}.{claim.claim_token}"
            folder.mkdir(parents=True)
            (folder / "1.mp4").write_bytes(clip)
    assert len(site.found()) == 2 * crashes
    assert run_claims(render_thread) == 1
    assert site.show(job_id)["status"] == "failed"
    assert site.found() == set()


def test_a_file_is_given_up_although_its_folders_cannot_be_removed(
    site: Site,
    render_thread: RenderThread,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    def unreadable(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    job_id = site.upload(ZEROS)
    monkeypatch.setattr("jobserver.files.local.LocalStore.scratch_dir", unreadable)
    assert run_claims(render_thread) == 1
    assert site.show(job_id)["files"][0]["error"] == "This file is not an MP4 video."
    assert "cannot remove its scratch folders: [Errno 13]" in caplog.text


def test_a_database_that_is_locked_when_outputs_are_ready_only_delays_them(
    site: Site, start_worker: StartWorker, clip: bytes
):
    job_id = site.upload(clip, variations="2")
    writer = start_worker("written:STOP", LOCK_TIMEOUT_S="0.2", HEARTBEAT_S="1")
    wait_for(writer.is_stopped, 20, writer.log())
    (file_id,) = site.rows("SELECT id FROM job_file")[0]
    with closing(site.connect()) as db, exclusive(db, "queue"):
        writer.go_on()
        wait_for(lambda: f" {file_id}: The database is busy" in writer.log(), 20, site.state())
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 2)


@pytest.mark.usefixtures("no_retry_delay")
def test_a_volume_that_is_not_mounted_costs_no_attempt(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    for folder in (site.upload_dir, site.output_dir):
        away = folder.rename(folder.with_name("away"))
        for make in (folder.mkdir, folder.rmdir):  # an empty mount point, and none at all
            make()
            for _ in range(MAX_ATTEMPTS + 1):
                assert not render_thread.work_once()
            job = site.show(job_id)
            assert (job["status"], job["files"][0]["completedVariations"]) == ("queued", 0)
            assert site.rows("SELECT attempts FROM job_file") == [(0,)]
        away.rename(folder)
    assert run_claims(render_thread) == 1
    site.check_completed(job_id, 1)


@pytest.mark.tools
@pytest.mark.parametrize("left", [0, 16 * 1024], ids=["nothing left", "too little left"])
def test_a_full_disk_costs_no_attempt_however_often_rendering_is_tried(
    small_disk: Path, tmp_path: Path, clip: bytes, left: int
):
    site = Site(tmp_path, OUTPUT_DIR=str(small_disk))
    job_id = site.upload(clip, variations="3")
    filler = small_disk / "filler"
    fill(filler)
    os.truncate(filler, filler.stat().st_size - left)
    worker = Worker(site.server).start()
    try:
        wait_for(lambda: site.show(job_id)["waitsFor"], 30, site.state())
        if left:  # then only a try shows that it is not enough
            wait_for(lambda: site.rows("SELECT claim_token FROM job_file")[0][0] > 8, 30)
        assert site.rows("SELECT attempts FROM job_file") in ([(0,)], [(1,)])  # 1: it is tried now
        filler.unlink()
        site.wait_until(job_id, "completed")
        site.check_completed(job_id, 3)
    finally:
        assert worker.stop() == 0


@pytest.mark.usefixtures("no_retry_delay")
@pytest.mark.parametrize("error", [DatabaseBusy, DatabaseUnavailable])
def test_trouble_of_the_database_is_no_attempt(
    error: type[Exception],
    site: Site,
    render_thread: RenderThread,
    clip: bytes,
    monkeypatch: pytest.MonkeyPatch,
):
    job_id = site.upload(clip, variations="1")

    def fail(*_: object, **__: object) -> bool:
        raise error

    with monkeypatch.context() as away:
        away.setattr("jobserver.worker.group.publish", fail)
        for _ in range(MAX_ATTEMPTS + 2):
            assert render_thread.work_once()
            assert site.rows("SELECT status, attempts FROM job_file") == [("processing", 0)]
    assert run_claims(render_thread) == 1
    site.check_completed(job_id, 1)


def test_a_claim_is_given_back_once_the_database_answers(
    site: Site, render_thread: RenderThread, clip: bytes, monkeypatch: pytest.MonkeyPatch
):
    job_id = site.upload(clip, variations="1")
    failures = iter([DatabaseUnavailable, DatabaseBusy, DatabaseUnavailable])
    reschedule = queue.reschedule

    def fail_at_first(*args: Any, **named: Any) -> bool:
        for error in failures:
            raise error
        return reschedule(*args, **named)

    def fail(*_: object, **__: object) -> bool:
        raise DatabaseUnavailable

    with monkeypatch.context() as away:
        away.setattr("jobserver.worker.group.publish", fail)
        away.setattr(queue, "reschedule", fail_at_first)
        away.setattr(attempt, "ASK_AGAIN_S", 0.01)
        assert render_thread.work_once()
    assert site.rows("SELECT attempts FROM job_file") == [(0,)]
    assert next(failures, None) is None
    assert site.show(job_id)["status"] == "processing"
