"""Numbers, times and shares as the page's modules tell them, asked in the browser itself."""

import pytest

from tests.pages.conftest import Visit
from tests.pages.visitor import Visitor
from tests.support import Server

pytestmark = pytest.mark.browser

MIB = 1024 * 1024


def job(status: str, variations: int, *files: tuple[str, int]) -> dict:
    """Return a job as the API tells it, of files with a status and so many outputs."""
    told = [{"status": status, "completedVariations": done} for status, done in files]
    return {"status": status, "totalVariations": variations * len(files), "files": told}


@pytest.fixture(scope="module")
def spoken() -> dict[str, list]:
    """Calls of format.js and what each should give."""
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
        "advised": [
            [
                ["Too many uploads at once; try again.", "Trying."],
                "Too many uploads at once. Trying.",
            ],
            [["The disk is full.", "Trying."], "The disk is full. Trying."],
        ],
        "outcome": [
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
                "1.2 % closer, 3.0 % darker, 2.0 % more contrast",
            ],
            [
                [{"rotation": 0.01, "saturation": 0.96}],
                "turned 0.57° clockwise, 4.0 % less colour",
            ],
        ],
    }


@pytest.fixture
def page_modules(visit: Visit, studio: Server) -> Visitor:
    return visit(studio).open()


def test_words_are_those_a_person_would_use(page_modules: Visitor, spoken: dict[str, list]) -> None:
    script = """async ([name, given]) => {
        const words = (await import(location.origin + "/static/format.js"))[name](...given);
        return words.replaceAll("\\u00a0", " ");
    }"""
    for name, cases in spoken.items():
        for given, expected in cases:
            assert page_modules.page.evaluate(script, [name, given]) == expected, (name, given)


@pytest.mark.parametrize(
    ("gone", "sent"),
    [(0, [0, 0]), (100, [0, 0]), (600, [500, 0]), (1200, [1000, 0]), (3300, [1000, 2000])],
)
def test_what_has_gone_is_shared_among_the_files_in_their_order(
    page_modules: Visitor, gone: int, sent: list[int]
) -> None:
    script = """async ([sizes, gone, total]) =>
        (await import(location.origin + "/static/send.js")).sentOfEach(sizes, gone, total)"""
    assert page_modules.page.evaluate(script, [[1000, 2000], gone, 3300]) == sent


def test_the_pace_is_that_of_the_last_seconds(page_modules: Visitor) -> None:
    script = """async () => {
        const { Pace } = await import(location.origin + "/static/send.js");
        const pace = new Pace();
        const said = [pace.speed()];
        for (let s = 0; s <= 20; s += 1) {
            pace.note(s < 10 ? s * 100 : 1000 + (s - 10) * 5000, s * 1000);
        }
        said.push(pace.speed(), pace.stalled(20_000), pace.stalled(31_000));
        return said;
    }"""
    assert page_modules.page.evaluate(script) == [0, 5000, False, True]
