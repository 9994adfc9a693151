"""Choosing and uploading videos, also when the connection, the session or a file is lost."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.pages.conftest import NewVisitor
from tests.pages.relay import Relay
from tests.pages.visitor import Visitor
from tests.pages.visitor import damaged_mp4 as file
from tests.support import MP4_HEAD, Server, wait_for

pytestmark = pytest.mark.browser

MIB = 1024 * 1024


def other_file(name: str, content: bytes, mime_type: str) -> dict:
    return {"name": name, "mimeType": mime_type, "buffer": content}


MOV_HEAD = MP4_HEAD.replace(b"ftypisom", b"ftypqt  ")
EXPORT_ADVICE = "Export it as MP4 (H.264) in the program that made it, then choose that file."


@pytest.mark.parametrize(
    ("rejected", "reason"),
    [
        (other_file("notes.txt", b"notes", "text/plain"), "notes.txt is not an MP4 video."),
        (
            other_file("notes.mp4", b"Text, long enough to be looked at.", "video/mp4"),
            "notes.mp4 is not an MP4 video, although its name says so.",
        ),
        (
            other_file("clip.mov", MOV_HEAD, "video/quicktime"),
            f"clip.mov is a QuickTime movie (MOV), not an MP4 video. {EXPORT_ADVICE}",
        ),
        (
            other_file("renamed.mp4", MOV_HEAD, "video/mp4"),
            f"renamed.mp4 is a QuickTime movie (MOV), not an MP4 video. {EXPORT_ADVICE}",
        ),
        (
            other_file("old.mov", b"\0\0\0\x08wide\0\0\0\x08mdat", "video/quicktime"),
            f"old.mov is a QuickTime movie (MOV), not an MP4 video. {EXPORT_ADVICE}",
        ),
        (
            other_file("photo.mp4", MP4_HEAD.replace(b"ftypisom", b"ftypheic"), "video/mp4"),
            "photo.mp4 is a picture (HEIF), not an MP4 video.",
        ),
        (other_file("none.mp4", b"", "video/mp4"), "none.mp4 is empty."),
        (file("long.mp4", 3 * MIB), "long.mp4 is 3.0 MB; at most 2.0 MB are accepted."),
    ],
)
def test_a_file_that_the_server_would_reject_is_rejected_before_the_upload(
    visitor: Visitor, rejected: dict, reason: str
) -> None:
    visitor.choose(rejected, file("good.mp4", 100))
    expect(visitor.page.locator("#rejected")).to_have_text(reason)
    assert visitor.chosen_names() == ["good.mp4"]
    assert not [request for request in visitor.requests if request.startswith("POST /api/jobs")]


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [("clip.mov", "video/quicktime"), ("clip.m4v", "video/x-m4v"), ("clip", "")],
)
def test_an_mp4_is_accepted_whatever_its_name_says(
    visitor: Visitor, rendering_server: Server, clips: list[Path], name: str, mime_type: str
) -> None:
    """As curl gets it accepted, which declares no type."""
    visitor.choose(other_file(name, clips[0].read_bytes(), mime_type)).upload(variations=1)
    visitor.wait_for_status("completed")
    expect(visitor.page.locator("#job-title")).to_have_text(name)


def test_the_page_takes_the_containers_that_the_server_takes(
    new_visitor: NewVisitor, own_server: Server
) -> None:
    own_server.settings["ACCEPT"] = "mp4,mov,webm"
    visitor = new_visitor(own_server.start()).open_signed_in()
    ebml = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82"
    visitor.choose(
        other_file("clip.mov", MOV_HEAD, "video/quicktime"),
        other_file("clip.webm", ebml + b"\x84webm", "video/webm"),
        other_file("clip.mkv", ebml + b"\x88matroska", "video/x-matroska"),
    )
    assert visitor.chosen_names() == ["clip.mov", "clip.webm"]
    visitor.sees("clip.mkv is a Matroska video (MKV); accepted are MP4, MOV and WebM.")


def test_files_that_are_chosen_while_others_are_checked_are_added_after_them(
    visitor: Visitor, clips: list[Path]
) -> None:
    slow = """() => {
        const read = Blob.prototype.arrayBuffer;
        window.reads = [];
        Blob.prototype.arrayBuffer = function () {
            return new Promise((resolve) => window.reads.push(() => resolve(read.call(this))));
        };
    }"""
    visitor.page.evaluate(slow)
    visitor.page.locator("#files").set_input_files(clips[0])
    visitor.page.locator("#files").set_input_files(clips[1])
    expect(visitor.page.locator("#drop-zone")).to_have_attribute("aria-busy", "true")
    for _ in clips:
        visitor.page.wait_for_function("() => window.reads.length")
        visitor.page.evaluate("() => window.reads.shift()()")
    visitor.wait_for_checks()
    assert visitor.chosen_names() == ["hero.mp4", "close-up.mp4"]


def test_an_eleventh_video_is_rejected(visitor: Visitor) -> None:
    visitor.choose(*(file(f"{n}.mp4", 10 + n) for n in range(11)))
    expect(visitor.page.locator("#rejected")).to_have_text(
        "10.mp4 was not added; at most 10 videos can be uploaded at once."
    )
    assert len(visitor.chosen_names()) == 10


def test_a_chosen_video_can_be_removed_and_chosen_again(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(*clips, clips[0])
    visitor.sees("is already chosen.")
    visitor.wait_for_videos("#chosen video")
    visitor.button("Remove hero.mp4").click()
    assert visitor.chosen_names() == ["close-up.mp4"]
    assert visitor.focused_text() == "Remove close-up.mp4"
    visitor.choose(clips[0])
    assert visitor.chosen_names() == ["close-up.mp4", "hero.mp4"]


def test_dropped_videos_are_chosen(visitor: Visitor) -> None:
    drop = """zone => {
        const data = new DataTransfer();
        data.items.add(new File(["\\0\\0\\0\\x10ftypisom"], "dropped.mp4"));
        for (const type of ["dragover", "drop"]) {
            const options = { dataTransfer: data, bubbles: true, cancelable: true };
            zone.dispatchEvent(new DragEvent(type, options));
        }
    }"""
    visitor.page.locator("#drop-zone").evaluate(drop)
    visitor.wait_for_checks()
    assert visitor.chosen_names() == ["dropped.mp4"]


def drop(visitor: Visitor, *paths: Path) -> None:
    """Drop files from the disk onto the form, as a mouse does."""
    devtools = visitor.context.new_cdp_session(visitor.page)
    box = visitor.page.locator("#upload-form").bounding_box()
    assert box
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 30}
        devtools.send("Input.dispatchDragEvent", {"type": kind, **point, "data": data})
    visitor.wait_for_checks()


def test_a_dropped_folder_is_rejected(visitor: Visitor, clips: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "takes.mp4"
    folder.mkdir()
    drop(visitor, folder, clips[0])
    expect(visitor.page.locator("#rejected")).to_have_text(
        "takes.mp4 is a folder; drop the files inside it."
    )
    assert visitor.chosen_names() == ["hero.mp4"]


def test_the_start_button_stays_visible(new_visitor: NewVisitor, rendering_server: Server) -> None:
    visitor = new_visitor(
        rendering_server, viewport={"width": 1280, "height": 800}
    ).open_signed_in()
    visitor.choose(*(file(f"{n}.mp4", 10 + n) for n in range(10)))
    assert len(visitor.chosen_names()) == 10
    expect(visitor.button("Start")).to_be_in_viewport(ratio=1)
    box = visitor.page.locator("#home > .card").bounding_box()
    assert box
    assert box["y"] + box["height"] <= 800


def test_an_invalid_option_is_reported_at_its_field(visitor: Visitor) -> None:
    visitor.choose(file("clip.mp4", 100))
    visitor.page.get_by_label("Variations each").fill("21")
    visitor.button("Start").click()
    visitor.sees("Choose 1 to 20 variations.")
    expect(visitor.page.get_by_label("Variations each")).to_be_focused()
    visitor.page.get_by_label("Variations each").fill("3")
    expect(visitor.page.locator("#variations-error")).to_be_empty()
    visitor.page.get_by_text("repeating an earlier result").click()
    visitor.page.get_by_label("Seed").fill("1e9")
    visitor.button("Start").click()
    visitor.sees("A seed is a whole number")
    expect(visitor.page.get_by_label("Seed")).to_be_focused()
    visitor.button("Sign out").click()
    visitor.sign_in()
    visitor.page.get_by_text("repeating an earlier result").wait_for()
    expect(visitor.page.get_by_label("Seed")).to_have_attribute("aria-invalid", "false")


def test_recipe_and_seed_are_part_of_the_upload(visitor: Visitor, clips: list[Path]) -> None:
    visitor.choose(clips[0])
    visitor.page.get_by_label("Recipe").select_option("classic")
    visitor.page.get_by_text("repeating an earlier result").click()
    visitor.page.get_by_label("Seed").fill("12345")
    visitor.upload(variations=1)
    visitor.sees("recipe classic, seed 12345")


def start_paused_upload(visitor: Visitor, relay: Relay, path: Path) -> None:
    """Start an upload and wait until the relay has paused it in the middle."""
    relay.pause(4 * MIB)
    visitor.choose(path)
    visitor.button("Start").click()
    wait_for(lambda: 5 < uploaded_percent(visitor) < 95, 10, "the middle of the upload")


def uploaded_percent(visitor: Visitor) -> float:
    return visitor.page.locator("#chosen progress").evaluate("bar => bar.value")


def give_up_soon(visitor: Visitor) -> None:
    """Let the page take a line for lost at the first failure, not after a minute."""

    def change(route: Route) -> None:
        answer = route.fetch()
        body, count = re.subn(r"RETRY_DELAYS_MS = \[[^]]+\]", "RETRY_DELAYS_MS = []", answer.text())
        assert count == 1
        route.fulfill(response=answer, body=body)

    visitor.page.route("**/upload/tus.js", change)


def opened_impatient(new_visitor: NewVisitor, server: Server, relay: Relay) -> Visitor:
    """Return a visitor whose page gives up soon."""
    visitor = new_visitor(server, port=relay.port)
    give_up_soon(visitor)
    visitor.open_signed_in()
    visitor.page.unroute("**/upload/tus.js")  # a route slows down every body
    return visitor


def test_an_upload_can_be_retried_after_the_server_was_offline(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    visitor = opened_impatient(new_visitor, idle_server, relay)
    start_paused_upload(visitor, relay, big_file)
    idle_server.kill()
    relay.reset_connections()
    expect(visitor.page.locator("#upload-error")).to_have_text(
        re.compile(r"The connection to the server was lost at \d+ %\. Your videos are still")
    )
    assert visitor.chosen_names() == ["big.mp4"]
    assert idle_server.rows("SELECT COUNT(*) FROM job") == [(0,)]
    idle_server.start()
    visitor.button("Try again").click()
    visitor.page.wait_for_url(re.compile("/jobs/"))
    assert idle_server.rows("SELECT name, size FROM job_file") == [("big.mp4", 24 * MIB)]


def test_an_upload_goes_on_by_itself_when_the_line_is_back(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    visitor = new_visitor(idle_server, port=relay.port).open_signed_in()
    start_paused_upload(visitor, relay, big_file)
    relay.reset_connections()
    visitor.page.wait_for_url(re.compile("/jobs/"))
    [name] = idle_server.uploads()
    assert idle_server.uploads()[name].read_bytes() == big_file.read_bytes()


def test_a_page_that_is_loaded_again_goes_on_where_it_was(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    visitor = new_visitor(idle_server, port=relay.port).open_signed_in()
    start_paused_upload(visitor, relay, big_file)
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    visitor.page.reload()
    relay.resume()  # so that the server sees the end of the connection
    received = "SELECT received FROM upload WHERE lease_until = 0"
    wait_for(lambda: idle_server.rows(received) > [(0,)], what="the end of the request")
    offsets: list[str] = []
    visitor.page.on(
        "request",
        lambda request: (
            offsets.append(request.headers["upload-offset"]) if request.method == "PATCH" else None
        ),
    )
    visitor.choose(big_file)
    visitor.upload()
    assert [int(offset) > 0 for offset in offsets] == [True]
    [name] = idle_server.uploads()
    assert idle_server.uploads()[name].read_bytes() == big_file.read_bytes()
    assert visitor.page.evaluate("Object.keys(localStorage)") == []


def test_files_are_sent_in_a_form_where_nothing_lets_tus_through(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.page.route("**/api/uploads", lambda route: route.fulfill(status=405, body="no"))
    visitor.choose(clips[0])
    visitor.upload(variations=1)
    assert [each for each in visitor.requests if each.startswith("POST /api/jobs")]


def test_a_running_upload_shows_its_progress_and_can_be_cancelled(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    visitor = new_visitor(idle_server, port=relay.port).open_signed_in()
    start_paused_upload(visitor, relay, big_file)
    expect(visitor.page.locator("#upload-progress-title")).to_have_text(
        re.compile(r"Uploading \d+ %")
    )
    expect(visitor.page.locator("#chosen .small")).to_have_text(re.compile(r"MB of 24\sMB"))
    expect(visitor.button("Cancel upload")).to_be_focused()
    visitor.button("Cancel upload").click()
    expect(visitor.button("Start")).to_be_focused()
    assert visitor.chosen_names() == ["big.mp4"]
    assert idle_server.rows("SELECT COUNT(*) FROM job") == [(0,)]


def test_an_upload_continues_while_another_view_is_shown(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    job_id = idle_server.upload(b"\0\0\0\x18ftypisom").json["jobId"]
    visitor = new_visitor(idle_server, port=relay.port).open_signed_in()
    start_paused_upload(visitor, relay, big_file)
    visitor.page.locator(f'#jobs a[href$="{job_id}"]').click()
    expect(visitor.page.locator("#upload-note")).to_have_text(re.compile(r"Uploading \d+ %"))
    relay.resume()
    expect(visitor.page.locator("#upload-note")).to_be_hidden()
    expect(visitor.page.locator("#job-title")).to_have_text("clip0.mp4")
    visitor.page.get_by_role("link", name="All jobs").click()
    expect(visitor.page.locator("#jobs > li").first).to_contain_text("big.mp4")


def test_the_stop_confirmation_is_dismissed_when_the_upload_ends(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    visitor = opened_impatient(new_visitor, idle_server, relay)
    start_paused_upload(visitor, relay, big_file)
    visitor.button("Sign out").click()
    visitor.sees("Stop the upload?")
    idle_server.kill()
    relay.reset_connections()
    expect(visitor.page.locator("#upload-error")).to_contain_text(
        "The connection to the server was"
    )
    expect(visitor.page.locator("#confirm")).to_be_hidden()
    expect(visitor.button("Sign out")).to_be_visible()


def test_a_failed_upload_is_shown_in_every_view(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path, clips: list[Path]
) -> None:
    job_id = idle_server.upload(b"\0\0\0\x18ftypisom").json["jobId"]
    visitor = opened_impatient(new_visitor, idle_server, relay)
    visitor.button("Notify me").click()
    expect(visitor.page.locator("#live-region")).to_contain_text("blocks notifications")
    start_paused_upload(visitor, relay, big_file)
    drop(visitor, clips[0])
    visitor.sees("was not added; an upload is running.")
    visitor.page.locator(f'#jobs a[href$="{job_id}"]').click()
    expect(visitor.page.locator("#job-title")).to_have_text("clip0.mp4")
    visitor.hide()
    idle_server.kill()
    relay.reset_connections()
    note = visitor.page.locator("#upload-note")
    expect(note).to_have_text("Upload failed")
    expect(visitor.page.locator("#live-region")).to_contain_text(
        "The upload failed. The connection"
    )
    expect(visitor.page).to_have_title("(1) clip0.mp4 · jobserver")
    note.click()
    expect(visitor.page.locator("#upload-error")).to_be_visible()
    expect(note).to_be_hidden()
    assert visitor.chosen_names() == ["big.mp4"]


def test_an_upload_can_be_cancelled_before_its_request_starts(visitor: Visitor) -> None:
    visitor.choose(file("clip.mp4", 100))
    held = visitor.hold_requests("**/api/jobs?limit=1")
    visitor.button("Start").click()
    visitor.button("Cancel upload").click()
    expect(visitor.button("Start")).to_be_focused()
    for route in held:
        route.continue_()
    visitor.wait_for_responses()
    assert not [request for request in visitor.requests if request.startswith("POST /api/jobs")]


def test_cancelling_a_complete_upload_refers_to_the_list(
    new_visitor: NewVisitor, idle_server: Server
) -> None:
    visitor = new_visitor(idle_server).open_signed_in()
    held = visitor.hold_requests("**/api/jobs", "POST")
    visitor.choose(file("clip.mp4", 200_000))
    visitor.button("Start").click()
    expect(visitor.page.locator("#upload-note")).to_have_text("Finishing…")
    wait_for(lambda: visitor.page.evaluate("1") and held, what="the request")
    visitor.button("Cancel upload").click()
    visitor.sees("Check whether the job is in the list before you try again.")
    held[0].continue_()
    wait_for(lambda: idle_server.rows("SELECT id FROM job"), what="the job")
    visitor.poll_now()
    expect(visitor.page.locator("#jobs > li")).to_contain_text("clip.mp4")


def test_closing_the_page_during_an_upload_asks_for_confirmation(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    visitor = new_visitor(idle_server, port=relay.port).open_signed_in()
    start_paused_upload(visitor, relay, big_file)
    warnings: list[str] = []
    visitor.page.on("dialog", lambda dialog: (warnings.append(dialog.type), dialog.accept()))
    with visitor.page.expect_event("close"):
        visitor.page.close(run_before_unload=True)
    assert warnings == ["beforeunload"]


def test_leaving_the_page_without_an_upload_asks_nothing(visitor: Visitor) -> None:
    visitor.choose(file("clip.mp4", 100))
    warnings: list[str] = []
    visitor.page.on("dialog", lambda dialog: (warnings.append(dialog.type), dialog.accept()))
    visitor.page.reload()
    assert warnings == []


def test_a_video_that_was_moved_before_the_upload_is_named(
    visitor: Visitor, clips: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "moved.mp4"
    path.write_bytes(clips[0].read_bytes())
    visitor.choose(path)
    visitor.wait_for_videos("#chosen video")
    path.unlink()
    visitor.button("Start").click()
    visitor.sees("moved.mp4 can no longer be read")


def test_a_rejected_upload_shows_the_reason_and_keeps_the_videos(
    new_visitor: NewVisitor, own_server: Server, clips: list[Path]
) -> None:
    own_server.settings["MIN_FREE_SPACE"] = str(2**60)
    own_server.start()
    visitor = new_visitor(own_server).open_signed_in()
    visitor.choose(clips[0])
    visitor.button("Start").click()
    expect(visitor.page.locator("#upload-error")).to_contain_text("disk space")
    assert visitor.chosen_names() == ["hero.mp4"]
    expect(visitor.button("Try again")).to_be_visible()


def test_an_expired_session_keeps_the_chosen_videos(visitor: Visitor, clips: list[Path]) -> None:
    visitor.choose(clips[0])
    visitor.page.get_by_label("Variations each").fill("1")
    visitor.page.evaluate("() => sessionStorage.setItem('jobserver.token', 'expired-token')")
    visitor.button("Start").click()
    visitor.sees("Your session has ended.")
    visitor.sign_in()
    expect(visitor.heading("New job")).to_be_focused()
    assert visitor.chosen_names() == ["hero.mp4"]
    visitor.sees("Your videos are still chosen.")
    visitor.button("Try again").click()
    visitor.page.wait_for_url(re.compile("/jobs/"))
    assert not [each for each in visitor.requests if "token" in each]
