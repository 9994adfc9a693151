"""The way of a marketer: parts are dropped, a brief is filled in, 48 videos are named and kept."""

import csv
import io
import re
import zipfile
from itertools import product
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Download, expect

from tests.pages.conftest import NewVisitor
from tests.pages.test_brief import role_of
from tests.pages.test_upload import drop
from tests.pages.visitor import Visitor
from tests.support import Server, make_clip

pytestmark = [pytest.mark.browser, pytest.mark.slow]  # 49 s of CPU: 48 videos

RENDER_TIMEOUT_MS = 180_000  # 48 videos on a busy machine
HOOKS, CLIPS = ("question", "offer", "story"), ("hero", "close-up")
CARDS, FORMATS = ("blue", "red"), ("9x16", "1x1")


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """Three hooks and two clips of a second, and two pictures."""
    for color in CARDS:
        Image.new("RGB", (120, 120), color).save(tmp_path / f"{color}.png")
    clips = [make_clip(tmp_path / f"{name}.mp4", 1) for name in (*HOOKS, *CLIPS)]
    return [*clips, *(tmp_path / f"{color}.png" for color in CARDS)]


def fill_in(visitor: Visitor, parts: list[Path]) -> None:
    """Drop the parts, say what the hooks are, and what shall vary."""
    page = visitor.page
    drop(visitor, *parts)
    for hook in HOOKS:
        role_of(visitor, f"{hook}.mp4").select_option("Hook")
    page.get_by_label("9:16 upright").check()
    page.get_by_label("1:1 square").check()
    page.get_by_label("Short side, pixels").fill("360")
    page.get_by_label("Text").fill("Half price")
    visitor.button("Add a headline").click()
    page.keyboard.type("Only today")
    page.get_by_label("A picture is shown for, seconds").fill("0.5")


def check_zip(download: Download) -> None:
    """Check that each of 48 videos is there under the names of its parts, and in manifest.csv."""
    with zipfile.ZipFile(download.path()) as archive:
        assert archive.testzip() is None
        names = [Path(name).name for name in archive.namelist() if name.endswith(".mp4")]
        rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
    expected = {
        "_".join(each) for each in product(CLIPS, HOOKS, CARDS, FORMATS, ("headline1", "headline2"))
    }
    assert {re.sub(r"_[0-9]+\.mp4$", "", name) for name in names} == expected
    assert len(names) == len(set(names)) == len(rows) == 48
    assert {Path(row["path"]).name for row in rows} == set(names)


def test_parts_become_48_videos_in_one_zip(
    new_visitor: NewVisitor, rendering_server: Server, parts: list[Path]
) -> None:
    visitor = new_visitor(rendering_server).open_signed_in()
    page = visitor.page
    fill_in(visitor, parts)
    visitor.sees("This makes 48 videos.")
    visitor.button("Start").click()
    page.wait_for_url(re.compile("/jobs/"))
    expect(visitor.job_state()).to_have_text("completed", timeout=RENDER_TIMEOUT_MS)
    expect(page.locator(".output")).to_have_count(48)
    page.get_by_label("Hook", exact=True).select_option("offer (16)")
    expect(page.locator(".output")).to_have_count(16)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    check_zip(download.value)
