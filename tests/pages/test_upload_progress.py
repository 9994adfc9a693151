"""The numbers of upload_progress.js, in a real browser."""

import pytest
from playwright.sync_api import Page

from tests.pages.conftest import NewVisitor
from tests.support import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def page(new_visitor: NewVisitor, rendering_server: Server) -> Page:
    return new_visitor(rendering_server).open().page


@pytest.mark.parametrize(
    ("loaded", "uploaded"),
    [(0, [0, 0]), (100, [0, 0]), (600, [500, 0]), (1200, [1000, 0]), (3300, [1000, 2000])],
)
def test_uploaded_bytes_are_split_among_the_files(
    page: Page, loaded: int, uploaded: list[int]
) -> None:
    script = """async (args) => {
        const module = await import(location.origin + "/static/upload/upload_progress.js");
        return module.uploadedPerFile(...args);
    }"""
    assert page.evaluate(script, [[1000, 2000], loaded, 3300]) == uploaded


def test_the_speed_is_the_average_of_the_last_seconds(page: Page) -> None:
    script = """async () => {
        const module = await import(location.origin + "/static/upload/upload_progress.js");
        const meter = new module.SpeedMeter();
        const before = meter.bytesPerSecond();
        for (let s = 0; s <= 20; s += 1) {
            meter.record(s < 10 ? s * 100 : 1000 + (s - 10) * 5000, s * 1000);
        }
        return [before, meter.bytesPerSecond(), meter.isStalled(20_000), meter.isStalled(31_000)];
    }"""
    assert page.evaluate(script) == [0, 5000, False, True]
