"""The text that format.js makes of sizes, times and results, in a real browser."""

import pytest

from tests.pages.conftest import NewVisitor
from tests.support import Server

pytestmark = pytest.mark.browser

MIB = 1024 * 1024


def job(status: str, variations: int, *files: tuple[str, int]) -> dict:
    """Return a job as the API does. files: status and number of outputs of each."""
    as_json = [{"status": status, "completedVariations": count} for status, count in files]
    return {"status": status, "totalVariations": variations * len(files), "files": as_json}


@pytest.fixture(scope="module")
def cases() -> dict[str, list]:
    """By function: arguments and the expected text."""
    return {
        "size": [[[0], "0 bytes"], [[1536], "1.5 KB"], [[500 * MIB], "500 MB"]],
        "plural": [[[1, "video"], "1 video"], [[2, "video"], "2 videos"]],
        "duration": [
            [[1.4], "1 second"],
            [[75], "1 minute 15 seconds"],
            [[660], "11 minutes"],
            [[4000], "1 hour 6 minutes"],
        ],
        "clock": [[[75.4], "1:15"], [[3600], "60:00"]],
        "ago": [
            [[0, 44_000], "just now"],
            [[0, 180_000], "3 minutes ago"],
            [[0, 7_200_000], "2 hours ago"],
            [[0, 432_000_000], "5 days ago"],
            [[9_000, 0], "just now"],
        ],
        "expiry": [[[59_000, 0], "expires any moment"], [[10_800_000, 0], "expires in 3 hours"]],
        "deletion": [
            [[7_201_000, 0], None],
            [[7_200_000, 0], "in 2 hours"],
            [[4_859_000, 0], "in 1 hour 20 minutes"],
            [[119_000, 0], "in 1 minute"],
            [[59_000, 0], "within a minute"],
            [[-60_000, 0], "within a minute"],
        ],
        "withAdvice": [
            [
                ["Too many uploads at once; try again.", "Trying."],
                "Too many uploads at once. Trying.",
            ],
            [["The disk is full.", "Trying."], "The disk is full. Trying."],
        ],
        "resultSummary": [
            [[job("completed", 2, ("completed", 2), ("completed", 2))], "4 variations"],
            [
                [job("completed", 2, ("completed", 2), ("failed", 0))],
                "2 of 4 variations, 1 video failed",
            ],
            [
                [job("completed", 1, ("completed", 1), ("failed", 0), ("cancelled", 0))],
                "1 of 3 variations, 1 video failed, 1 video cancelled",
            ],
            [[job("failed", 5, ("failed", 0))], "0 of 5 variations"],
        ],
        "differences": [
            [
                [{"zoom": 0.012, "left": 0.5, "brightness": -0.03, "contrast": 1.02}],
                "zoomed in 1.2 %, 3.0 % darker, 2.0 % more contrast",
            ],
            [
                [{"rotation": 0.01, "saturation": 0.96}],
                "rotated 0.57° clockwise, 4.0 % less colour",
            ],
        ],
    }


def test_values_are_shown_as_a_person_would_write_them(
    new_visitor: NewVisitor, rendering_server: Server, cases: dict[str, list]
) -> None:
    page = new_visitor(rendering_server).open().page
    script = """async ([name, args]) => {
        const text = (await import(location.origin + "/static/shared/format.js"))[name](...args);
        return text?.replaceAll("\\u00a0", " ") ?? null;
    }"""
    for name, calls in cases.items():
        for args, expected in calls:
            assert page.evaluate(script, [name, args]) == expected, (name, args)


def test_a_number_and_its_unit_stay_on_one_line(
    new_visitor: NewVisitor, rendering_server: Server
) -> None:
    page = new_visitor(rendering_server).open().page
    script = """async () => {
        const { differences, size } = await import(location.origin + "/static/shared/format.js");
        return [size(1536), differences({ zoom: 0.012 })];
    }"""
    assert page.evaluate(script) == ["1.5\u00a0KB", "zoomed in 1.2\u00a0%"]
