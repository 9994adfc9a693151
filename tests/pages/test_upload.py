"""Choosing and sending, also when the connection, the session or a file is lost on the way."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.pages.conftest import Visit
from tests.pages.gate import Gate
from tests.pages.visitor import Visitor
from tests.support import Server, wait_for

pytestmark = pytest.mark.browser

MIB = 1024 * 1024


def file(name: str, size: int, mime_type: str = "video/mp4") -> dict:
    return {"name": name, "mimeType": mime_type, "buffer": bytes(size)}


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (file("notes.txt", 10, "text/plain"), "notes.txt is not an MP4 video."),
        (file("clip.mov", 10, "video/quicktime"), "clip.mov is not an MP4 video."),
        (file("none.mp4", 0), "none.mp4 is empty."),
        (file("long.mp4", 3 * MIB), "long.mp4 is 3.0 MB; at most 2.0 MB are accepted."),
    ],
)
def test_what_the_server_would_refuse_is_said_before_it_is_sent(
    visitor: Visitor, refused: dict, reason: str
) -> None:
    visitor.choose(refused, file("good.mp4", 100))
    expect(visitor.page.locator("#refused")).to_have_text(reason)
    assert visitor.chosen() == ["good.mp4"]
    assert not [request for request in visitor.requests if request.startswith("POST /api/jobs")]


def test_the_eleventh_video_is_one_too_many(visitor: Visitor) -> None:
    visitor.choose(*(file(f"{n}.mp4", 10 + n) for n in range(11)))
    expect(visitor.page.locator("#refused")).to_have_text(
        "10.mp4 is one too many; at most 10 can be sent at once."
    )
    assert len(visitor.chosen()) == 10


def test_a_chosen_video_can_be_removed_and_chosen_again(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(*clips, clips[0])
    visitor.sees("is already chosen.")
    visitor.wait_for_videos("#chosen video")
    visitor.button("Remove hero.mp4").click()
    assert visitor.chosen() == ["close-up.mp4"]
    assert visitor.focused() == "Remove close-up.mp4"
    visitor.choose(clips[0])
    assert visitor.chosen() == ["close-up.mp4", "hero.mp4"]


def test_dropped_videos_are_chosen(visitor: Visitor) -> None:
    drop = """zone => {
        const data = new DataTransfer();
        data.items.add(new File(["abc"], "dropped.mp4", { type: "video/mp4" }));
        for (const type of ["dragover", "drop"]) {
            const how = { dataTransfer: data, bubbles: true, cancelable: true };
            zone.dispatchEvent(new DragEvent(type, how));
        }
    }"""
    visitor.page.locator("#drop").evaluate(drop)
    assert visitor.chosen() == ["dropped.mp4"]


def drop(visitor: Visitor, *paths: Path) -> None:
    """Drop files of the disk in the middle of the form, as a person does."""
    devtools = visitor.context.new_cdp_session(visitor.page)
    box = visitor.page.locator("#upload-form").bounding_box()
    assert box
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 30}
        devtools.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def test_a_dropped_folder_is_not_taken_for_a_video(
    visitor: Visitor, clips: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "takes.mp4"
    folder.mkdir()
    drop(visitor, folder, clips[0])
    expect(visitor.page.locator("#refused")).to_have_text(
        "takes.mp4 is a folder; drop the videos in it."
    )
    assert visitor.chosen() == ["hero.mp4"]


def test_the_start_button_stays_in_sight(visit: Visit, studio: Server) -> None:
    visitor = visit(studio, viewport={"width": 1280, "height": 800}).enter()
    visitor.choose(*(file(f"{n}.mp4", 10 + n) for n in range(10)))
    assert len(visitor.chosen()) == 10
    expect(visitor.button("Start")).to_be_in_viewport(ratio=1)
    box = visitor.page.locator("#home > .card").bounding_box()
    assert box
    assert box["y"] + box["height"] <= 800


def test_an_order_that_cannot_be_is_said_where_it_is_wrong(visitor: Visitor) -> None:
    visitor.choose(file("clip.mp4", 100))
    visitor.page.get_by_label("Variations each").fill("21")
    visitor.button("Start").click()
    visitor.sees("Choose 1 to 20 variations.")
    expect(visitor.page.get_by_label("Variations each")).to_be_focused()
    visitor.page.get_by_label("Variations each").fill("3")
    expect(visitor.page.locator("#variations-error")).to_be_empty()
    visitor.page.get_by_text("Repeat an earlier result").click()
    visitor.page.get_by_label("Seed").fill("1e9")
    visitor.button("Start").click()
    visitor.sees("A seed is a whole number")
    expect(visitor.page.get_by_label("Seed")).to_be_focused()
    visitor.button("Sign out").click()
    visitor.sign_in()
    visitor.page.get_by_text("Repeat an earlier result").wait_for()
    expect(visitor.page.get_by_label("Seed")).to_have_attribute("aria-invalid", "false")


def test_recipe_and_seed_are_sent(visitor: Visitor, clips: list[Path]) -> None:
    visitor.choose(clips[0])
    visitor.page.get_by_label("Recipe").select_option("classic")
    visitor.page.get_by_text("Repeat an earlier result").click()
    visitor.page.get_by_label("Seed").fill("12345")
    visitor.send(variations=1)
    visitor.sees("recipe classic, seed 12345")


def begin(visitor: Visitor, gate: Gate, path: Path) -> None:
    """Start an upload and wait until it stands still in the middle."""
    gate.hold(4 * MIB)
    visitor.choose(path)
    visitor.button("Start").click()
    wait_for(lambda: 5 < sent_percent(visitor) < 95, 10, "the middle of the upload")


def sent_percent(visitor: Visitor) -> float:
    return visitor.page.locator("#chosen progress").evaluate("it => it.value")


def test_a_server_that_goes_away_in_mid_upload_is_told_and_tried_again(
    visit: Visit, quiet_server: Server, gate: Gate, big_file: Path
) -> None:
    visitor = visit(quiet_server, port=gate.port).enter()
    begin(visitor, gate, big_file)
    quiet_server.kill()
    gate.cut()
    expect(visitor.page.locator("#send-error")).to_have_text(
        re.compile(r"The connection to the server was lost at \d+ %\. Your videos are still")
    )
    assert visitor.chosen() == ["big.mp4"]
    assert quiet_server.rows("SELECT COUNT(*) FROM job") == [(0,)]
    quiet_server.start()
    visitor.button("Try again").click()
    visitor.page.wait_for_url(re.compile("/jobs/"))
    assert quiet_server.rows("SELECT name, size FROM job_file") == [("big.mp4", 24 * MIB)]


def test_a_running_upload_shows_its_pace_and_can_be_cancelled(
    visit: Visit, quiet_server: Server, gate: Gate, big_file: Path
) -> None:
    visitor = visit(quiet_server, port=gate.port).enter()
    begin(visitor, gate, big_file)
    expect(visitor.page.locator("#sending-title")).to_have_text(re.compile(r"Uploading \d+ %"))
    expect(visitor.page.locator("#chosen .small")).to_have_text(re.compile("MB of 24 MB"))
    expect(visitor.button("Cancel upload")).to_be_focused()
    visitor.button("Cancel upload").click()
    expect(visitor.button("Start")).to_be_focused()
    assert visitor.chosen() == ["big.mp4"]
    assert quiet_server.rows("SELECT COUNT(*) FROM job") == [(0,)]


def test_an_upload_goes_on_while_another_view_is_looked_at(
    visit: Visit, quiet_server: Server, gate: Gate, big_file: Path
) -> None:
    job_id = quiet_server.upload(b"\0\0\0\x18ftypisom").json["jobId"]
    visitor = visit(quiet_server, port=gate.port).enter()
    begin(visitor, gate, big_file)
    visitor.page.locator(f'#jobs a[href$="{job_id}"]').click()
    expect(visitor.page.locator("#upload-note")).to_have_text(re.compile(r"Uploading \d+ %"))
    gate.release()
    expect(visitor.page.locator("#upload-note")).to_be_hidden()
    expect(visitor.page.locator("#job-title")).to_have_text("clip0.mp4")
    visitor.page.get_by_role("link", name="All jobs").click()
    expect(visitor.page.locator("#jobs > li").first).to_contain_text("big.mp4")


def test_an_upload_that_ends_takes_back_the_question_whether_to_stop_it(
    visit: Visit, quiet_server: Server, gate: Gate, big_file: Path
) -> None:
    visitor = visit(quiet_server, port=gate.port).enter()
    begin(visitor, gate, big_file)
    visitor.button("Sign out").click()
    visitor.sees("Stop the upload?")
    quiet_server.kill()
    gate.cut()
    expect(visitor.page.locator("#send-error")).to_contain_text("The connection to the server was")
    expect(visitor.page.locator("#confirm")).to_be_hidden()
    expect(visitor.button("Sign out")).to_be_visible()


def test_an_upload_that_fails_unseen_is_told_in_every_view(
    visit: Visit, quiet_server: Server, gate: Gate, big_file: Path, clips: list[Path]
) -> None:
    job_id = quiet_server.upload(b"\0\0\0\x18ftypisom").json["jobId"]
    visitor = visit(quiet_server, port=gate.port).enter()
    visitor.button("Notify me").click()
    begin(visitor, gate, big_file)
    drop(visitor, clips[0])
    visitor.sees("was not added; an upload is running.")
    visitor.page.locator(f'#jobs a[href$="{job_id}"]').click()
    expect(visitor.page.locator("#job-title")).to_have_text("clip0.mp4")
    visitor.hide()
    quiet_server.kill()
    gate.cut()
    note = visitor.page.locator("#upload-note")
    expect(note).to_have_text("Upload failed")
    expect(visitor.page.locator("#live")).to_contain_text("The upload failed. The connection")
    expect(visitor.page).to_have_title("(1) clip0.mp4 · jobserver")
    note.click()
    expect(visitor.page.locator("#send-error")).to_be_visible()
    expect(note).to_be_hidden()
    assert visitor.chosen() == ["big.mp4"]


def test_an_upload_is_cancelled_at_once_before_anything_has_gone(visitor: Visitor) -> None:
    visitor.choose(file("clip.mp4", 100))
    held: list[Route] = []
    visitor.page.route("**/api/jobs?limit=1", lambda route: held.append(route))
    visitor.button("Start").click()
    visitor.button("Cancel upload").click()
    expect(visitor.button("Start")).to_be_focused()
    for route in held:
        route.continue_()
    visitor.settle()
    assert not [request for request in visitor.requests if request.startswith("POST /api/jobs")]


def test_who_cancels_when_all_has_gone_is_led_to_the_list(
    visit: Visit, quiet_server: Server, gate: Gate
) -> None:
    visitor = visit(quiet_server, port=gate.port).enter()
    gate.hold(50_000)
    visitor.choose(file("clip.mp4", 200_000))
    visitor.button("Start").click()
    expect(visitor.page.locator("#upload-note")).to_have_text("Finishing…")
    visitor.button("Cancel upload").click()
    visitor.sees("Look whether the job is in the list before you try again.")
    gate.release()
    wait_for(lambda: quiet_server.rows("SELECT id FROM job"), what="the job")
    visitor.ask_now()
    expect(visitor.page.locator("#jobs > li")).to_contain_text("clip.mp4")


def test_leaving_in_mid_upload_warns(
    visit: Visit, quiet_server: Server, gate: Gate, big_file: Path
) -> None:
    visitor = visit(quiet_server, port=gate.port).enter()
    begin(visitor, gate, big_file)
    warnings: list[str] = []
    visitor.page.on("dialog", lambda dialog: (warnings.append(dialog.type), dialog.accept()))
    with visitor.page.expect_event("close"):
        visitor.page.close(run_before_unload=True)
    assert warnings == ["beforeunload"]


def test_leaving_without_an_upload_does_not_warn(visitor: Visitor) -> None:
    visitor.choose(file("clip.mp4", 100))
    warnings: list[str] = []
    visitor.page.on("dialog", lambda dialog: (warnings.append(dialog.type), dialog.accept()))
    visitor.page.reload()
    assert warnings == []


def test_a_video_that_was_moved_meanwhile_is_named(
    visitor: Visitor, clips: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "moved.mp4"
    path.write_bytes(clips[0].read_bytes())
    visitor.choose(path)
    visitor.wait_for_videos("#chosen video")
    path.unlink()
    visitor.button("Start").click()
    visitor.sees("moved.mp4 can no longer be read")


def test_a_server_that_refuses_says_why_and_the_videos_stay(
    visit: Visit, own_server: Server, clips: list[Path]
) -> None:
    own_server.settings["MIN_FREE_SPACE"] = str(2**60)
    own_server.start()
    visitor = visit(own_server).enter()
    visitor.choose(clips[0])
    visitor.button("Start").click()
    expect(visitor.page.locator("#send-error")).to_contain_text("disk space")
    assert visitor.chosen() == ["hero.mp4"]
    expect(visitor.button("Try again")).to_be_visible()


def test_an_ended_session_asks_to_sign_in_and_keeps_what_was_chosen(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(clips[0])
    visitor.page.get_by_label("Variations each").fill("1")
    visitor.page.evaluate("() => sessionStorage.setItem('jobserver.token', 'of yesterday')")
    visitor.button("Start").click()
    visitor.sees("Your session has ended.")
    visitor.sign_in()
    expect(visitor.heading("New job")).to_be_focused()
    assert visitor.chosen() == ["hero.mp4"]
    visitor.sees("Your videos are still chosen.")
    visitor.button("Try again").click()
    visitor.page.wait_for_url(re.compile("/jobs/"))
    assert not [each for each in visitor.requests if "token" in each or "of%20yesterday" in each]
