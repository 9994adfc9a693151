"""From sign-in to results in Chromium: upload real videos, compare, download, delete."""

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.nginx import Nginx
from tests.pages.conftest import NewVisitor
from tests.pages.visitor import RENDER_TIMEOUT_MS, Visitor, damaged_mp4
from tests.support import Server, Worker

pytestmark = pytest.mark.browser


def test_a_visitor_uploads_videos_and_downloads_the_zip(
    new_visitor: NewVisitor, rendering_server: Server, clips: list[Path], tmp_path: Path
) -> None:
    visitor = new_visitor(rendering_server).open_signed_in()
    visitor.choose(*clips)
    visitor.sees("10 variations of 2 videos")
    job_id = visitor.upload(variations=3)
    visitor.wait_for_status("completed")
    page = visitor.page
    expect(page.locator(".output")).to_have_count(6)
    expect(page.get_by_text("3 of 3 variations")).to_have_count(2)
    check_seeds(visitor, rendering_server, job_id)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    check_archive(download.value.path(), rendering_server, job_id, tmp_path)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download variation 2 of hero.mp4").click()
    assert download.value.suggested_filename == "hero_var2.mp4"
    [(sha256,)] = rendering_server.rows(
        "SELECT output.sha256 FROM output JOIN job_file ON job_file.id = file_id "
        "WHERE job_id = ? AND job_file.name = 'hero.mp4' AND number = 2",
        job_id,
    )
    assert hashlib.sha256(download.value.path().read_bytes()).hexdigest() == sha256

    delete(visitor)
    assert rendering_server.get(f"/api/jobs/{job_id}", rendering_server.token).status == 404
    expect(page.locator(f'#jobs a[href$="{job_id}"]')).to_have_count(0)


def check_seeds(visitor: Visitor, rendering_server: Server, job_id: str) -> None:
    """Check that each of two videos shows its own seed: alone, it needs that one."""
    job = rendering_server.get(f"/api/jobs/{job_id}", rendering_server.token).json
    assert job["files"][0]["seed"] != job["files"][1]["seed"]
    for block, file in zip(visitor.page.locator(".file").all(), job["files"], strict=True):
        expect(block).to_contain_text(f"seed {file['seed']}")


def check_archive(path: Path, rendering_server: Server, job_id: str, tmp_path: Path) -> None:
    """Check that the ZIP has a manifest and the six variations, each with its SHA-256."""
    zip_path = tmp_path / "download.zip"
    zip_path.write_bytes(path.read_bytes())
    with zipfile.ZipFile(zip_path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len([name for name in names if name.endswith(".mp4")]) == 6
        manifest = json.loads(archive.read("manifest.json"))
        sums = {
            hashlib.sha256(archive.read(name)).hexdigest()
            for name in names
            if name.endswith(".mp4")
        }
    query = """
        SELECT output.sha256 FROM output JOIN job_file ON job_file.id = file_id WHERE job_id = ?"""
    assert sums == {sha256 for (sha256,) in rendering_server.rows(query, job_id)}
    assert all(sha256 in json.dumps(manifest) for sha256 in sums)


def delete(visitor: Visitor) -> None:
    """Delete the job that is shown, after answering no once."""
    visitor.button("Delete").click()
    visitor.button("Keep").click()
    expect(visitor.page.locator("#confirm")).to_be_hidden()
    visitor.button("Delete").click()
    visitor.page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(visitor.heading("New job")).to_be_focused()


def test_the_source_plays_in_sync_with_the_variation_beside_it(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(clips[0]).upload(variations=2)
    visitor.wait_for_status("completed")
    visitor.button("Play variation 2 of hero.mp4").click()
    expect(visitor.heading("Variation 2 of hero.mp4")).to_be_focused()
    visitor.wait_for_videos("#compare video")
    output, source = (visitor.page.locator(f"#compare-{name}") for name in ("output", "source"))
    output.evaluate("video => new Promise(done => { video.onended = done; video.play(); })")
    assert output.evaluate("video => video.currentTime") == pytest.approx(1, abs=0.2)
    assert source.evaluate("video => video.currentTime") == pytest.approx(1, abs=0.4)
    text = visitor.page.locator("#compare-differences").text_content() or ""
    assert re.search(r"zoomed in \d\.\d\s%, .*(brighter|darker), .*contrast, .*colour", text)
    visitor.page.get_by_text("Exact parameters").click()
    visitor.sees("saturation")
    output.evaluate("video => new Promise(done => { video.onplaying = done; video.play(); })")
    visitor.button("Next").click()
    expect(visitor.heading("Variation 1 of hero.mp4")).to_be_visible()
    expect(source).to_have_js_property("currentTime", 0)
    expect(source).to_have_js_property("paused", True)
    visitor.wait_for_videos("#compare video")
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator("#compare")).to_be_hidden()


def test_media_that_failed_to_load_is_loaded_when_the_server_is_back(
    visitor: Visitor, clips: list[Path]
) -> None:
    page = visitor.page
    visitor.choose(clips[0]).upload(variations=1)
    visitor.wait_for_status("completed")
    visitor.wait_for_responses()
    page.route(re.compile("thumbnail|inline=1"), lambda route: route.abort())
    page.reload()
    visitor.button("Play variation 1 of hero.mp4").click()
    visitor.sees("This variation could not be played.")
    page.route("**/api/jobs/*", lambda route: route.abort())
    visitor.poll_now()
    visitor.sees("The server cannot be reached.")
    page.unroute_all()
    visitor.poll_now()
    expect(page.locator("#connection-status")).to_be_empty()
    for thumbnail in page.locator(".file img").all():
        expect(thumbnail).to_have_js_property("naturalWidth", 320)
    visitor.wait_for_videos("#compare video")
    expect(page.locator("#compare-error")).to_be_empty()


def test_a_variation_that_failed_to_play_is_loaded_again_when_it_is_reopened(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(clips[0]).upload(variations=1)
    visitor.wait_for_status("completed")
    visitor.page.route(re.compile("inline=1"), lambda route: route.abort())
    visitor.button("Play variation 1 of hero.mp4").click()
    visitor.sees("This variation could not be played.")
    visitor.page.unroute_all()
    visitor.button("Close").click()
    visitor.button("Play variation 1 of hero.mp4").click()
    visitor.wait_for_videos("#compare video")


def test_each_variation_appears_as_soon_as_it_is_complete(
    new_visitor: NewVisitor, idle_server: Server, clips: list[Path]
) -> None:
    worker = Worker(idle_server, "committed:STOP").start()
    try:
        visitor = new_visitor(idle_server).open_signed_in()
        visitor.choose(*clips).upload(variations=1)
        expect(visitor.page.locator(".output")).to_have_count(1, timeout=RENDER_TIMEOUT_MS)
        expect(visitor.job_state()).to_have_text("processing")
        visitor.page.get_by_role("link", name="Download what is ready").wait_for()
        thumbnail = visitor.page.locator(".output img")
        expect(thumbnail).to_have_js_property("naturalWidth", 320)
        thumbnail.evaluate("img => { img.isTheSame = true; }")
        worker.go_on()
        visitor.wait_for_status("completed")
        expect(visitor.page.locator(".output")).to_have_count(2)
        assert thumbnail.first.evaluate("img => img.isTheSame")
    finally:
        worker.kill()


def test_a_name_that_is_markup_is_shown_as_text(visitor: Visitor, clips: list[Path]) -> None:
    name = "<img src=x onerror=alert(1)>.mp4"
    alerts: list[str] = []
    visitor.page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    clip = {"name": name, "mimeType": "video/mp4", "buffer": clips[0].read_bytes()}
    visitor.choose(clip)
    assert visitor.chosen_names() == [name]
    visitor.upload(variations=1)
    visitor.wait_for_status("completed")
    expect(visitor.page.locator("#job-title")).to_have_text(name)
    visitor.page.get_by_role("button", name=f"Play variation 1 of {name}").click()
    expect(visitor.heading(f"Variation 1 of {name}")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("link", name="All jobs").click()
    expect(visitor.page.locator(".job-row .name bdi").first).to_have_text(name)
    visitor.wait_for_responses()
    assert alerts == []
    assert not [request for request in visitor.requests if request.endswith("/x")]


def test_a_failed_file_shows_the_reason_and_can_be_retried(
    visitor: Visitor, rendering_server: Server
) -> None:
    visitor.choose(damaged_mp4("zeros.mp4", 1024)).upload()
    visitor.wait_for_status("failed")
    visitor.sees("This video is cut off: part of the file is missing.")
    expect(visitor.page.locator("#download")).to_be_hidden()
    with visitor.page.expect_response(re.compile("/retry$")) as response:
        visitor.button("Retry what failed").click()
    assert response.value.status == 202
    visitor.wait_for_status("failed")


def test_a_job_with_a_failed_file_is_shown_as_partly_completed(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(clips[0], damaged_mp4("zeros.mp4", 1024)).upload(variations=2)
    visitor.wait_for_status("partly completed")
    visitor.sees("2 of 4 variations, 1 video failed")
    expect(visitor.page.locator("#live-region")).to_have_text(
        "hero.mp4 and 1 more: finished, 2 of 4 variations, 1 video failed"
    )
    visitor.page.get_by_role("link", name="All jobs").click()
    row = visitor.page.locator("#jobs > li").first
    expect(row).to_contain_text("2 videos, 2 of 4 variations, 1 video failed")
    expect(row).to_contain_text("partly completed")


def test_the_url_of_a_job_can_be_opened_later(
    new_visitor: NewVisitor, rendering_server: Server, clips: list[Path]
) -> None:
    job_id = new_visitor(rendering_server).open_signed_in().choose(clips[0]).upload(variations=1)
    later = new_visitor(rendering_server).open_signed_in(f"/jobs/{job_id}")
    expect(later.heading("hero.mp4").first).to_be_visible()
    assert later.page.url.endswith(f"/jobs/{job_id}")
    later.page.get_by_role("link", name="All jobs").click()
    expect(later.heading("New job")).to_be_focused()
    later.page.go_back()
    expect(later.page.locator("#job-title")).to_have_text("hero.mp4")


def test_a_job_that_does_not_exist_is_shown_as_not_found(visitor: Visitor) -> None:
    visitor.open("/jobs/none")
    visitor.sees("It has expired, was deleted, or never existed.")
    expect(visitor.button("Delete")).to_be_hidden()


def test_a_queued_job_can_be_cancelled(
    new_visitor: NewVisitor, idle_server: Server, clips: list[Path]
) -> None:
    visitor = new_visitor(idle_server).open_signed_in()
    visitor.choose(clips[0]).upload()
    visitor.sees("No worker is running; the job waits until one is started.")
    visitor.button("Cancel job").click()
    visitor.page.locator("#confirm").get_by_role("button", name="Cancel job").click()
    visitor.wait_for_status("cancelled")
    expect(visitor.page.locator("#job-title")).to_be_focused()
    expect(visitor.button("Retry what was cancelled")).to_be_visible()


def test_the_list_shows_jobs_and_used_storage(visitor: Visitor, clips: list[Path]) -> None:
    job_id = visitor.choose(*clips).upload(variations=1)
    visitor.wait_for_status("completed")
    visitor.page.get_by_role("link", name="All jobs").click()
    row = visitor.page.locator("#jobs > li").first
    link = row.get_by_role("link", name="hero.mp4 and 1 more", exact=True)
    expect(link).to_have_attribute("href", f"/jobs/{job_id}")
    expect(row).to_contain_text("2 videos, 2 variations")
    expect(row).to_contain_text("just now, expires in 24 hours")
    expect(row.locator("img").first).to_have_js_property("naturalWidth", 320)
    visitor.sees("used")


@pytest.mark.tools
def test_the_page_works_behind_nginx_under_a_prefix(
    new_visitor: NewVisitor, own_server: Server, clips: list[Path], tmp_path: Path
) -> None:
    own_server.settings["TRUSTED_PROXIES"] = "1"
    own_server.start()
    folder = tmp_path / "nginx"
    folder.mkdir()
    replaced = {
        'X-Forwarded-Prefix "";': 'X-Forwarded-Prefix "/videos";',
        "location / {": "location /videos/ {",
        "proxy_pass http://jobserver;": "proxy_pass http://jobserver/;",
    }
    nginx = Nginx(folder, own_server.port, **replaced).start()
    try:
        visitor = new_visitor(own_server, port=nginx.port, prefix="/videos").open_signed_in()
        job_id = visitor.choose(clips[0]).upload()
        visitor.page.get_by_role("link", name="All jobs").click()
        expect(visitor.page.locator(f'#jobs a[href="/videos/jobs/{job_id}"]')).to_be_visible()
        visitor.page.reload()
        expect(visitor.page.locator("#jobs > li")).to_have_count(1)
        visitor.close()
    finally:
        nginx.stop()
