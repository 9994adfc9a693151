"""A damaged `.database`: uploads wait with a sentence, everything else goes on, nothing is lost."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobserver import prepare_serving
from jobserver.files.root import OWNER_FILE
from jobserver.worker.render_thread import RenderThread
from tests.files.marks import DAMAGED, EACH_DAMAGED, UNREADABLE, replace
from tests.support import MP4_HEAD, Site, settings_of, wait_for

pytestmark = pytest.mark.both_databases

NOT_AVAILABLE = {
    "error": "The folder for uploads or outputs is not available",
    "code": "storage_unavailable",
}
BOTH = pytest.mark.parametrize("folder", ["upload_dir", "output_dir"])


def mark_of(site: Site, folder: str) -> Path:
    path: Path = getattr(site, folder) / OWNER_FILE
    return path


@BOTH
@EACH_DAMAGED
def test_uploads_are_a_503_and_all_else_goes_on(
    tmp_path: Path, damage: Callable[[Path], object], folder: str
) -> None:
    site = Site(tmp_path)
    job = site.upload(MP4_HEAD)
    kept = site.server.uploads().keys()
    replace(mark_of(site, folder), damage)
    refused = site.client.post("/api/jobs", headers=site.headers)
    assert (refused.status_code, refused.json) == (503, NOT_AVAILABLE)
    assert site.show(job)["status"] == "queued"
    assert site.post_action(job, "cancel").status_code == 200
    deleted = site.client.delete(f"/api/jobs/{job}", headers=site.headers)
    assert (deleted.status_code, deleted.json) == (503, NOT_AVAILABLE)
    assert site.server.uploads().keys() == kept


@BOTH
@EACH_DAMAGED
def test_health_says_which_folder_it_is(
    tmp_path: Path, damage: Callable[[Path], object], folder: str
) -> None:
    site = Site(tmp_path)
    replace(mark_of(site, folder), damage)
    health = site.client.get("/api/health")
    assert health.status_code == 503
    assert folder.upper() in health.json["error"]
    if damage in UNREADABLE:
        assert f"{OWNER_FILE} in {folder.upper()} cannot be read (" in health.json["error"]


@EACH_DAMAGED
def test_a_server_starts_and_removes_nothing(
    tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path)
    orphan = site.upload_dir / f"{'a' * 22}.mp4"
    orphan.touch()
    replace(mark_of(site, "upload_dir"), damage)
    with caplog.at_level(logging.WARNING):
        prepare_serving(site.app)
    assert orphan.exists()
    assert "UPLOAD_DIR" in caplog.text
    assert "nothing is removed" in caplog.text


@EACH_DAMAGED
def test_adopt_mends_it_or_says_why_not(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    site = Site(tmp_path)
    mark = mark_of(site, "upload_dir")
    owner = mark.read_text()
    replace(mark, damage)
    result = site.app.test_cli_runner().invoke(args=["adopt"])
    if damage is Path.mkdir:
        assert (result.exit_code, result.output) == (1, f"Error: {mark}: Is a directory\n")
    else:
        assert result.exit_code == 0, result.output
        assert mark.read_text() == owner
    assert [path for path in site.upload_dir.iterdir() if path != mark] == []  # no draft


@pytest.mark.parametrize("damage", UNREADABLE, ids=lambda make: make.__name__)
def test_a_worker_waits_and_counts_no_attempt(
    site: Site, render_thread: RenderThread, damage: Callable[[Path], object]
) -> None:
    site.upload(MP4_HEAD)
    replace(mark_of(site, "output_dir"), damage)
    assert not render_thread.work_once()
    assert site.rows("SELECT status, attempts, error FROM job_file") == [("queued", 0, None)]


@pytest.mark.parametrize("damage", UNREADABLE, ids=lambda make: make.__name__)
def test_a_worker_starts_and_stops_without_a_traceback(
    site: Site, start_worker: Callable[..., object], damage: Callable[[Path], object]
) -> None:
    site.upload(MP4_HEAD)
    replace(mark_of(site, "output_dir"), damage)
    worker = start_worker()
    wait_for(lambda: "OUTPUT_DIR cannot be read" in worker.log(), 20)  # type: ignore[attr-defined]
    assert worker.stop() == 0  # type: ignore[attr-defined]
    assert "Traceback" not in worker.log()  # type: ignore[attr-defined]


def test_these_tests_damage_what_they_look_at(tmp_path: Path) -> None:
    for number, damage in enumerate(DAMAGED):
        replace(tmp_path / str(number), damage)
        assert (tmp_path / str(number)).is_symlink() or (tmp_path / str(number)).exists()


def test_a_folder_that_is_missing_stops_no_start(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    client: FlaskClient = app.test_client()
    prepare_serving(app)
    folder = settings_of(app).output_dir
    (folder / OWNER_FILE).unlink()
    folder.rmdir()
    health = client.get("/api/health")
    assert (health.status_code, health.json["error"]) == (
        503,
        "OUTPUT_DIR is missing or cannot be read",
    )
