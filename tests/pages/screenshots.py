"""`make screenshots`: the views of the page as docs/*.png, in light and dark mode."""

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw
from playwright.sync_api import Browser

from tests.pages.visitor import Visitor, as_payload, chromium, damaged_mp4
from tests.support import PROJECT, Server, Worker

DOCS = PROJECT / "docs"
WIDE = {"width": 1280, "height": 860}
NARROW = {"width": 360, "height": 740}

VIEWS = ("sign-in", "upload-and-jobs", "job", "compare", "confirm", "brief", "results")
# suffix of the file name, views, colour scheme, window size
SERIES = (
    ("", VIEWS, "light", WIDE),
    ("-dark", ("upload-and-jobs", "compare", "results"), "dark", WIDE),
    ("-narrow", ("upload-and-jobs", "job", "brief"), "light", NARROW),
)

# Videos that ffmpeg generates: name -> filter.
CLIPS = {
    "autumn-sale-hero.mp4": "gradients=s=640x360:c0=0xff7a3d:c1=0x8f2d56:c2=0x23395b:n=3:seed=4",
    "product-close-up.mp4": "mandelbrot=s=640x360:end_scale=0.02:maxiter=600,trim=duration=3",
    "city-loop.mp4": "gradients=s=640x360:c0=0x0b3954:c1=0x087e8b:c2=0xbfd7ea:n=3:seed=9",
}


def make_clips(folder: Path) -> list[Path]:
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-f", "lavfi"]
    for name, source in CLIPS.items():
        encoding = ["-t", "3", "-pix_fmt", "yuv420p", str(folder / name)]
        subprocess.run([*ffmpeg, "-i", source, *encoding], check=True, timeout=120)
    return [folder / name for name in CLIPS]


def make_card(path: Path) -> Path:
    """Draw an end card: a plate on one colour."""
    card = Image.new("RGB", (720, 720), "#23395b")
    ImageDraw.Draw(card).rounded_rectangle((110, 270, 610, 450), 40, fill="#ff7a3d")
    card.save(path)
    return path


def fill_in(visitor: Visitor, clips: list[Path], card: Path) -> None:
    """Make a brief: the last two clips are hooks, two formats, two headlines."""
    page = visitor.page
    visitor.choose(*map(as_payload, clips), as_payload(card) | {"mimeType": "image/png"})
    for hook in clips[1:]:
        page.get_by_label(f"What {hook.name} is").select_option("hook")
    for format_ in ("9:16 upright", "1:1 square"):
        page.get_by_label(format_).check()
    page.get_by_label("Short side, pixels").fill("540")
    page.get_by_label("Text").fill("Autumn is here")
    visitor.button("Add a headline").click()
    page.keyboard.type("Half price, only today")
    visitor.wait_for_videos("#chosen video")
    visitor.sees("This makes 8 videos.")


class Camera:
    """Takes screenshots in one colour scheme and size. suffix: of their file names."""

    def __init__(
        self, browser: Browser, server: Server, suffix: str, views: Sequence[str], **settings
    ) -> None:
        self.visitor = Visitor(browser, f"http://127.0.0.1:{server.port}", **settings)
        self.suffix = suffix
        self.views = views

    def take(self, name: str) -> None:
        if name in self.views:
            self.visitor.wait_for_responses()
            self.visitor.run_event_loop()
            path = DOCS / f"{name}{self.suffix}.png"
            self.visitor.page.screenshot(path=path, animations="disabled")

    def take_all(self, job_id: str, clips: list[Path]) -> None:
        """Take the views of a job without a brief."""
        visitor = self.visitor
        visitor.open()
        self.take("sign-in")
        visitor.open_signed_in()
        visitor.choose(*clips[:2])
        visitor.wait_for_videos("#chosen video")
        self.take("upload-and-jobs")
        visitor.page.locator(f'#jobs a[href$="{job_id}"]').click()
        visitor.wait_for_status("completed")
        self.take("job")
        visitor.page.get_by_role("button", name="Play variation 2").first.click()
        visitor.wait_for_videos("#compare video")
        visitor.play_to("#compare-output", 1.0)  # the player no longer shows that it is loading
        visitor.wait_for_videos("#compare video")
        self.take("compare")
        visitor.button("Close").click()
        visitor.button("Delete").click()
        self.take("confirm")
        visitor.page.keyboard.press("Escape")

    def take_brief(self, job_id: str, clips: list[Path], card: Path) -> None:
        """Take the form with a brief, and the results of a job that had one."""
        visitor = self.visitor
        visitor.open()
        fill_in(visitor, clips, card)
        visitor.page.locator("#brief").evaluate("each => each.scrollIntoView()")
        self.take("brief")
        visitor.open(f"/jobs/{job_id}")
        visitor.wait_for_status("completed")
        if self.suffix == "-dark":
            visitor.button("Contact sheet").click()
        visitor.page.locator("#results").evaluate("each => each.scrollIntoView()")
        for picture in visitor.page.locator(".output img").all():
            picture.scroll_into_view_if_needed()  # loaded once it is near
        visitor.page.locator("#results").evaluate("each => each.scrollIntoView()")
        self.take("results")


def make_jobs(visitor: Visitor, clips: list[Path], card: Path) -> tuple[str, str]:
    """Make the jobs for the screenshots; return the ids of two, the second has a brief."""
    visitor.open_signed_in().choose(damaged_mp4("broken.mp4", 4096)).upload()
    visitor.wait_for_status("failed")
    visitor.page.get_by_role("link", name="All jobs").click()
    fill_in(visitor, clips, card)
    visitor.page.get_by_text("repeating an earlier result").click()
    visitor.page.get_by_label("Title", exact=True).fill("Autumn sale")
    visitor.button("Start").click()
    visitor.page.wait_for_url("**/jobs/*")
    brief_id = visitor.page.url.rpartition("/")[2]
    visitor.wait_for_status("completed")
    visitor.page.get_by_role("link", name="All jobs").click()
    job_id = visitor.choose(*clips).upload(4)
    visitor.wait_for_status("completed")
    assert visitor.page_errors == []
    return job_id, brief_id


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clips, card = make_clips(folder), make_card(folder / "end-card.png")
        server = Server(folder).start()
        stack.callback(server.stop)
        worker = Worker(server).start()
        stack.callback(worker.stop)
        browser = stack.enter_context(chromium())
        visitor = Visitor(browser, f"http://127.0.0.1:{server.port}")
        job_id, brief_id = make_jobs(visitor, clips, card)
        for suffix, views, scheme, size in SERIES:
            camera = Camera(browser, server, suffix, views, color_scheme=scheme, viewport=size)
            camera.take_all(job_id, clips)
            camera.take_brief(brief_id, clips, card)
            camera.visitor.close()


if __name__ == "__main__":
    main()
