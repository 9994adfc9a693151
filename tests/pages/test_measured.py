"""What was measured, on the page: distances, heat map, placements, safe zones, credentials."""

import json
from base64 import b64encode
from contextlib import closing

import pytest
from playwright.sync_api import expect

from jobserver.db import connect, exclusive
from jobserver.jobs import standing
from tests.pages.conftest import NewVisitor
from tests.pages.visitor import Visitor
from tests.results import Clip, Job, make_job
from tests.support import Server

pytestmark = pytest.mark.browser

MEASURED = {"width": 1080, "height": 1920, "duration": 8.0}
# Two frames each. The first three outputs are the same idea; these are their distances:
#      2.0   3.5  22.5
#            1.5  21.5
#                 23.0
FRAMES = (1 << 64) - 1
FLIPPED = [0, 0b1111, 0b111_1111, 0b111 | ((1 << 42) - 1) << 7]
SOURCE_BITS = [2.0, 2.1, 2.2, 12.25]
NEAREST = [(2.0, 1), (1.5, 2), (1.5, 1), (21.5, 1)]  # bits, and the place of the nearest sibling


def write_findings(server: Server, job: Job) -> None:
    """Say of a job with one source what a worker would have found out."""
    found = json.dumps({"generator": "Test Camera <b>1</b>", "aiMade": True})
    rows = [
        {
            "id": job.outputs[place],
            "hashes": b64encode((FRAMES ^ flipped).to_bytes(16)).decode(),
            "source": SOURCE_BITS[place],
            "nearest": NEAREST[place][0],
            "sibling": job.outputs[NEAREST[place][1]],
        }
        for place, flipped in enumerate(FLIPPED)
    ]
    with closing(connect(server.place)) as db, exclusive(db, "queue"):
        db.write(
            "UPDATE job_file SET credentials = :found WHERE job_id = :id",
            {"found": found, "id": job.id},
        )
        db.write_many(
            """UPDATE output SET hashes = :hashes, source_bits = :source, opening_bits = 3,
                                 nearest_bits = :nearest, nearest_output = :sibling
               WHERE id = :id""",
            rows,
        )
        standing.update(db, job.id)


@pytest.fixture
def job(idle_server: Server) -> Job:
    job = make_job(idle_server, Clip("hero.mp4", [b"x" * 600_000] * 4), measured=MEASURED)
    write_findings(idle_server, job)
    return job


@pytest.fixture
def looking(new_visitor: NewVisitor, idle_server: Server, job: Job) -> Visitor:
    """A visitor at the job."""
    return new_visitor(idle_server).open_signed_in(f"/jobs/{job.id}")


def test_a_card_says_how_different_it_is_and_where_it_fits(looking: Visitor) -> None:
    cards = looking.page.locator(".output")
    expect(cards).to_have_count(4)
    expect(cards.first).to_contain_text("cosmetic")
    expect(cards.first).to_contain_text(
        "2.0 bits from the source (opening 3.0); 2.0 from the nearest sibling"
    )
    fits = cards.first.get_by_text("Fits 8 of 8 placements")
    fits.focus()
    looking.page.keyboard.press("Enter")
    reels = cards.first.get_by_text("Meta Reels: fits")
    expect(reels).to_be_visible()
    looking.sees("✓ Snapchat: fits; a page names \N{MINUS SIGN}16 LUFS")
    looking.sees("The source carries Content Credentials; the variants do not.")
    looking.sees("Claim generator: Test Camera <b>1</b>. Marked as made with AI.")


def test_outputs_are_filtered_by_label(looking: Visitor) -> None:
    looking.sees(
        "Beside the source: 3 cosmetic and 1 visible."
        " 3 of them have a sibling that is nearly the same."
    )
    looking.page.get_by_label("Show", exact=True).select_option("visible (1)")
    expect(looking.page.locator(".output")).to_have_count(1)
    expect(looking.page.locator(".output h3")).to_have_text("Variation 4")
    looking.page.get_by_label("Show", exact=True).select_option("all")
    expect(looking.page.locator(".output")).to_have_count(4)


def test_the_heat_map_comes_on_demand_and_says_which_are_the_same_idea(looking: Visitor) -> None:
    expect(looking.page.locator(".output")).to_have_count(4)
    assert not any("/differences" in request for request in looking.requests if "api" in request)
    button = looking.page.get_by_role("button", name="Compare with each other")
    button.click()
    looking.sees("These three are the same idea: variation 1, variation 2, and variation 3.")
    heat_map = looking.page.get_by_role("img", name="Distances between 4 videos, 1.5 bits to 23.0")
    heat_map.focus()
    for _ in range(2):
        looking.page.keyboard.press("ArrowRight")
    looking.sees("variation 1 and variation 4: 22.5 bits")
    alpha = heat_map.evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 20, canvas.width, 1).data]"
        ".filter((_, index) => index % 4 === 3)"
    )
    assert alpha[60] > alpha[140] + 100  # two that are alike have the stronger colour
    button.click()
    expect(heat_map).to_be_hidden()


def test_the_safe_zone_of_a_placement_lies_over_the_video(looking: Visitor) -> None:
    looking.button("Play variation 1 of hero.mp4").click()
    zone = looking.page.locator("#compare-safe-zone")
    expect(zone).to_be_hidden()
    looking.page.get_by_label("Safe zone of").select_option("Meta Reels")
    expect(zone).to_be_visible()
    video, frame = looking.page.locator("#compare-output").bounding_box(), zone.bounding_box()
    assert video is not None
    assert frame is not None
    assert all(frame[side] == pytest.approx(video[side], abs=1) for side in video)
    inset = zone.evaluate("(element) => getComputedStyle(element, '::after').bottom")
    assert float(inset.removesuffix("px")) == pytest.approx(0.35 * video["height"], abs=2)
    looking.page.keyboard.press("s")  # in the select: no key of the dialog
    expect(looking.page.locator("#compare-swap")).to_have_attribute("aria-pressed", "false")
