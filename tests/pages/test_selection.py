"""Titles of jobs, and the download of chosen variations as one ZIP."""

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.pages.visitor import Visitor, as_payload

pytestmark = pytest.mark.browser


def chosen_names(visitor: Visitor) -> list[str]:
    """Download the selection; return the names of the videos in the ZIP."""
    with visitor.page.expect_download() as download:
        visitor.page.locator("#download-selection").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        return [Path(name).name for name in archive.namelist() if name.endswith(".mp4")]


def test_chosen_variations_are_downloaded_as_one_zip(visitor: Visitor, clips: list[Path]) -> None:
    page = visitor.page
    visitor.choose(clips[0]).upload(variations=3)
    visitor.wait_for_status("completed")
    expect(page.locator("#selection")).to_be_hidden()
    for number in (1, 3):
        page.get_by_label(f"Select variation {number} of hero.mp4").check()
    visitor.sees("2 videos selected")
    assert chosen_names(visitor) == ["hero_var1.mp4", "hero_var3.mp4"]
    visitor.button("Clear").click()
    expect(page.locator("#selection")).to_be_hidden()
    expect(page.locator(".output :checked")).to_have_count(0)
    expect(page.locator("#job-title")).to_be_focused()


def test_more_than_an_address_holds_is_downloaded_too(visitor: Visitor, clips: list[Path]) -> None:
    """As of a job with hundreds of outputs; here its address alone is that long."""
    job_id = visitor.choose(clips[0]).upload(variations=2)
    visitor.wait_for_status("completed")

    def lengthen(route: Route) -> None:
        response = route.fetch()
        job = response.json()
        job["downloadUrl"] += "&long=" + "x" * 4000
        route.fulfill(response=response, json=job)

    visitor.page.route(re.compile(f"/api/jobs/{job_id}($|[?])"), lengthen)
    visitor.page.reload()
    visitor.page.get_by_label("Select variation 2 of hero.mp4").check()
    assert chosen_names(visitor) == ["hero_var2.mp4"]
    assert f"POST /api/jobs/{job_id}/download" in visitor.requests


def test_a_title_names_the_job_and_finds_it(visitor: Visitor, clips: list[Path]) -> None:
    page = visitor.page
    visitor.choose({**as_payload(clips[0]), "name": "harvest.mp4"})  # no other test's
    page.get_by_text("Title, and repeating").click()
    page.get_by_label("Title", exact=True).fill("Autumn sale")
    visitor.upload(variations=1)
    expect(page.locator("#job-title")).to_have_text("Autumn sale")
    page.get_by_role("link", name="All jobs").click()
    visitor.choose(clips[1]).upload(variations=1)
    page.get_by_role("link", name="All jobs").click()
    expect(page.locator("#jobs > li").first).to_contain_text("close-up.mp4")
    page.get_by_label("Title or file name").fill("autumn")
    expect(page.locator("#jobs > li")).to_have_count(1)
    expect(page.locator("#jobs > li")).to_contain_text("Autumn sale")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download ZIP of Autumn sale").click(timeout=60_000)
    assert zipfile.ZipFile(download.value.path()).testzip() is None
    page.get_by_label("Title or file name").fill("winter")
    visitor.sees("No job matches.")
    page.get_by_label("Title or file name").fill("HARVEST")
    expect(page.locator("#jobs > li")).to_have_count(1)
    page.get_by_label("State").select_option("failed")
    visitor.sees("No job matches.")
    page.get_by_label("Title or file name").fill("")
    page.get_by_label("State").select_option("All states")
    expect(page.locator("#jobs > li").nth(1)).to_be_visible()
