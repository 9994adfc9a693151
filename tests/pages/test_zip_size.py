"""How large the page says that a ZIP will be, before and while it is rendered."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobserver import create_app
from jobserver.db import Connection
from tests.pages.conftest import ACTIVE_JOB, NewVisitor
from tests.pages.rows import add_output
from tests.pages.visitor import Visitor
from tests.pages.visitor import damaged_mp4 as file
from tests.support import Server

KIB = 1024


@pytest.mark.browser
def test_the_form_says_how_large_the_zip_will_be_at_most(visitor: Visitor) -> None:
    visitor.choose(file("a.mp4", 100 * KIB), file("b.mp4", 20 * KIB))
    visitor.page.fill("#variations", "4")
    text = "8 variations of 2 videos, 120 KB to upload, ZIP of at most 720 KB"
    expect(visitor.page.locator("#upload-total")).to_have_text(
        f"{text} (HEVC, VP9 or AV1: 1.2 MB)", use_inner_text=True
    )


@pytest.mark.parametrize(
    ("settings", "factors"),
    [({}, "[1.5, 2.5]"), ({"ENCODER_RATE": "-crf 30"}, "[]"), ({"ENCODER": "libopenh264"}, "[]")],
)
def test_a_limit_is_said_only_where_there_is_one(
    tmp_path: Path, settings: dict[str, str], factors: str
) -> None:
    app = create_app({"AUTH_PASSWORD": "password", "DATABASE": tmp_path / "db", **settings})
    assert f"data-size-factors='{factors}'" in app.test_client().get("/").text


@pytest.mark.browser
def test_a_running_job_says_how_large_its_zip_will_be(
    list_visitor: Visitor, database: Connection
) -> None:
    list_visitor.open(f"/jobs/{ACTIVE_JOB}")
    facts = list_visitor.page.locator("#job-facts")
    expect(facts).to_contain_text("created")
    expect(facts).not_to_contain_text("ZIP")
    for number, size in ((1, 10 * KIB), (2, 30 * KIB)):
        add_output(database, ACTIVE_JOB, number, size)
    list_visitor.page.clock.run_for(5_000)
    expect(facts).to_contain_text(re.compile("ZIP of about 100.KB"))


@pytest.mark.browser
def test_of_a_file_that_ended_only_what_is_there_counts(
    new_visitor: NewVisitor, rendering_server: Server
) -> None:
    """A waiting file is taken to shrink as the others do."""
    page = new_visitor(rendering_server).open().page
    outputs = [{"size": 60}, {"size": 40}]
    files = [
        {"status": "processing", "size": 100, "outputs": outputs},
        {"status": "queued", "size": 200, "outputs": []},
        {"status": "failed", "size": 300, "outputs": [{"size": 150}]},
        {"status": "cancelled", "size": 400, "outputs": []},
    ]
    script = """async (job) =>
        (await import(location.origin + "/static/shared/zip_size.js")).expectedZipBytes(job)"""
    expected = page.evaluate(script, {"variationsPerVideo": 4, "files": files})
    assert expected == 4 * 50 + 4 * 200 * (50 + 150) / (100 + 300) + 150
