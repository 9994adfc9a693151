"""The whole way in Chromium: sign in, send real videos, look, keep the ZIP, delete."""

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.nginx import Nginx
from tests.pages.conftest import Visit
from tests.pages.visitor import RENDERED_MS, Visitor
from tests.support import Server, Worker

pytestmark = pytest.mark.browser


def test_from_sign_in_to_a_zip_on_disk(
    visit: Visit, studio: Server, clips: list[Path], tmp_path: Path
) -> None:
    visitor = visit(studio).enter()
    visitor.choose(*clips)
    visitor.sees("10 variations of 2 videos")
    job_id = visitor.send(variations=3)
    visitor.wait_until("completed")
    page = visitor.page
    expect(page.locator(".output")).to_have_count(6)
    expect(page.get_by_text("3 of 3 variations")).to_have_count(2)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    check_archive(download.value.path(), studio, job_id, tmp_path)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download variation 2 of hero.mp4").click()
    assert download.value.suggested_filename == "hero_var2.mp4"
    [(sha256,)] = studio.rows(
        "SELECT output.sha256 FROM output JOIN job_file ON job_file.id = file_id "
        "WHERE job_id = ? AND job_file.name = 'hero.mp4' AND number = 2",
        job_id,
    )
    assert hashlib.sha256(download.value.path().read_bytes()).hexdigest() == sha256

    delete(visitor)
    assert studio.get(f"/api/jobs/{job_id}", studio.token).status == 404
    expect(page.locator(f'#jobs a[href$="{job_id}"]')).to_have_count(0)


def check_archive(path: Path, studio: Server, job_id: str, tmp_path: Path) -> None:
    """The ZIP holds a manifest and the six variations, each with the content it names."""
    kept = tmp_path / "kept.zip"
    kept.write_bytes(path.read_bytes())
    with zipfile.ZipFile(kept) as archive:
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
    assert sums == {sha256 for (sha256,) in studio.rows(query, job_id)}
    assert all(sha256 in json.dumps(manifest) for sha256 in sums)


def delete(visitor: Visitor) -> None:
    """Delete the job that is shown: asked first, done on yes alone."""
    visitor.button("Delete").click()
    visitor.button("Keep").click()
    expect(visitor.page.locator("#confirm")).to_be_hidden()
    visitor.button("Delete").click()
    visitor.page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(visitor.heading("New job")).to_be_focused()


def test_a_variation_plays_beside_its_source_which_follows(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(clips[0]).send(variations=2)
    visitor.wait_until("completed")
    visitor.button("Play variation 2 of hero.mp4").click()
    expect(visitor.heading("Variation 2 of hero.mp4")).to_be_focused()
    visitor.wait_for_videos("#compare video")
    output, source = (visitor.page.locator(f"#compare-{name}") for name in ("output", "source"))
    output.evaluate("it => new Promise(done => { it.onended = done; it.play(); })")
    assert output.evaluate("it => it.currentTime") == pytest.approx(1, abs=0.2)
    assert source.evaluate("it => it.currentTime") == pytest.approx(1, abs=0.4)
    how = visitor.page.locator("#compare-how").text_content() or ""
    assert re.search(r"\d\.\d\s% closer, .*(brighter|darker), .*contrast, .*colour", how)
    visitor.page.get_by_text("Exact parameters").click()
    visitor.sees("saturation")
    output.evaluate("it => new Promise(done => { it.onplaying = done; it.play(); })")
    visitor.button("Next").click()
    expect(visitor.heading("Variation 1 of hero.mp4")).to_be_visible()
    expect(source).to_have_js_property("currentTime", 0)
    expect(source).to_have_js_property("paused", True)
    visitor.wait_for_videos("#compare video")
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator("#compare")).to_be_hidden()


def test_what_could_not_be_loaded_is_tried_again(visitor: Visitor, clips: list[Path]) -> None:
    page = visitor.page
    visitor.choose(clips[0]).send(variations=1)
    visitor.wait_until("completed")
    visitor.settle()
    page.route(re.compile("thumbnail|inline=1"), lambda route: route.abort())
    page.reload()
    visitor.button("Play variation 1 of hero.mp4").click()
    visitor.sees("This variation cannot be played here.")
    page.route("**/api/jobs/*", lambda route: route.abort())
    visitor.ask_now()
    visitor.sees("The server cannot be reached.")
    page.unroute_all()
    visitor.ask_now()
    expect(page.locator("#trouble")).to_be_empty()
    for picture in page.locator(".file img").all():
        expect(picture).to_have_js_property("naturalWidth", 320)
    visitor.wait_for_videos("#compare video")
    expect(page.locator("#compare-error")).to_be_empty()


def test_a_variation_that_could_not_be_played_is_tried_again_when_opened_again(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(clips[0]).send(variations=1)
    visitor.wait_until("completed")
    visitor.page.route(re.compile("inline=1"), lambda route: route.abort())
    visitor.button("Play variation 1 of hero.mp4").click()
    visitor.sees("This variation cannot be played here.")
    visitor.page.unroute_all()
    visitor.button("Close").click()
    visitor.button("Play variation 1 of hero.mp4").click()
    visitor.wait_for_videos("#compare video")


def test_each_variation_appears_when_it_is_whole(
    visit: Visit, quiet_server: Server, clips: list[Path]
) -> None:
    worker = Worker(quiet_server, "committed:STOP").start()
    try:
        visitor = visit(quiet_server).enter()
        visitor.choose(*clips).send(variations=1)
        expect(visitor.page.locator(".output")).to_have_count(1, timeout=RENDERED_MS)
        expect(visitor.state()).to_have_text("processing")
        visitor.page.get_by_role("link", name="Download what is ready").wait_for()
        picture = visitor.page.locator(".output img")
        expect(picture).to_have_js_property("naturalWidth", 320)
        picture.evaluate("it => { it.isTheSame = true; }")
        worker.go_on()
        visitor.wait_until("completed")
        expect(visitor.page.locator(".output")).to_have_count(2)
        assert picture.first.evaluate("it => it.isTheSame")
    finally:
        worker.kill()


def test_a_name_that_is_markup_is_shown_as_text(visitor: Visitor, clips: list[Path]) -> None:
    name = "<img src=x onerror=alert(1)>.mp4"
    alerts: list[str] = []
    visitor.page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    clip = {"name": name, "mimeType": "video/mp4", "buffer": clips[0].read_bytes()}
    visitor.choose(clip)
    assert visitor.chosen() == [name]
    visitor.send(variations=1)
    visitor.wait_until("completed")
    expect(visitor.page.locator("#job-title")).to_have_text(name)
    visitor.page.get_by_role("button", name=f"Play variation 1 of {name}").click()
    expect(visitor.heading(f"Variation 1 of {name}")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("link", name="All jobs").click()
    expect(visitor.page.locator(".job-row .name bdi").first).to_have_text(name)
    visitor.settle()
    assert alerts == []
    assert not [request for request in visitor.requests if request.endswith("/x")]


def test_what_failed_says_why_and_can_be_tried_again(visitor: Visitor, studio: Server) -> None:
    visitor.choose({"name": "zeros.mp4", "mimeType": "video/mp4", "buffer": bytes(1024)}).send()
    visitor.wait_until("failed")
    visitor.sees("This file is not an MP4 video.")
    expect(visitor.page.locator("#download")).to_be_hidden()
    with visitor.page.expect_response(re.compile("/retry$")) as answer:
        visitor.button("Retry what failed").click()
    assert answer.value.status == 202
    visitor.wait_until("failed")


def test_a_job_of_which_a_part_failed_does_not_look_like_a_success(
    visitor: Visitor, clips: list[Path]
) -> None:
    zeros = {"name": "zeros.mp4", "mimeType": "video/mp4", "buffer": bytes(1024)}
    visitor.choose(clips[0], zeros).send(variations=2)
    visitor.wait_until("partly completed")
    visitor.sees("2 of 4 variations, 1 video failed")
    expect(visitor.page.locator("#live")).to_have_text(
        "hero.mp4 and 1 more: finished, 2 of 4 variations, 1 video failed"
    )
    visitor.page.get_by_role("link", name="All jobs").click()
    row = visitor.page.locator("#jobs > li").first
    expect(row).to_contain_text("2 videos, 2 of 4 variations, 1 video failed")
    expect(row).to_contain_text("partly completed")


def test_an_address_can_be_kept_and_opened_later(
    visit: Visit, studio: Server, clips: list[Path]
) -> None:
    job_id = visit(studio).enter().choose(clips[0]).send(variations=1)
    later = visit(studio).enter(f"/jobs/{job_id}")
    expect(later.heading("hero.mp4").first).to_be_visible()
    assert later.page.url.endswith(f"/jobs/{job_id}")
    later.page.get_by_role("link", name="All jobs").click()
    expect(later.heading("New job")).to_be_focused()
    later.page.go_back()
    expect(later.page.locator("#job-title")).to_have_text("hero.mp4")


def test_a_job_that_is_not_there_says_so(visitor: Visitor) -> None:
    visitor.open("/jobs/none")
    visitor.sees("It has expired, was deleted, or never was.")
    expect(visitor.button("Delete")).to_be_hidden()


def test_a_job_can_be_cancelled_while_it_waits(
    visit: Visit, quiet_server: Server, clips: list[Path]
) -> None:
    visitor = visit(quiet_server).enter()
    visitor.choose(clips[0]).send()
    visitor.sees("Waiting; it is next")
    visitor.button("Cancel job").click()
    visitor.page.locator("#confirm").get_by_role("button", name="Cancel job").click()
    visitor.wait_until("cancelled")
    expect(visitor.page.locator("#job-title")).to_be_focused()
    expect(visitor.button("Retry what was cancelled")).to_be_visible()


def test_the_list_tells_of_jobs_and_storage(visitor: Visitor, clips: list[Path]) -> None:
    job_id = visitor.choose(*clips).send(variations=1)
    visitor.wait_until("completed")
    visitor.page.get_by_role("link", name="All jobs").click()
    row = visitor.page.locator("#jobs > li").first
    expect(row.get_by_role("link")).to_have_text("hero.mp4 and 1 more")
    expect(row.get_by_role("link")).to_have_attribute("href", f"/jobs/{job_id}")
    expect(row).to_contain_text("2 videos, 2 variations")
    expect(row).to_contain_text("just now, expires in 24 hours")
    expect(row.locator("img").first).to_have_js_property("naturalWidth", 320)
    visitor.sees("used")


@pytest.mark.tools
def test_the_page_works_behind_nginx_under_a_prefix(
    visit: Visit, own_server: Server, clips: list[Path], tmp_path: Path
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
        visitor = visit(own_server, port=nginx.port, prefix="/videos").enter()
        job_id = visitor.choose(clips[0]).send()
        visitor.page.get_by_role("link", name="All jobs").click()
        expect(visitor.page.locator(f'#jobs a[href="/videos/jobs/{job_id}"]')).to_be_visible()
        visitor.page.reload()
        expect(visitor.page.locator("#jobs > li")).to_have_count(1)
        visitor.close()
    finally:
        nginx.stop()
