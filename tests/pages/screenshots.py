"""`make screenshots`: the views of the page, light and dark, as docs/*.png."""

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import imageio_ffmpeg
from playwright.sync_api import Browser

from tests.pages.visitor import Visitor, chromium
from tests.support import PROJECT, Server, Worker

DOCS = PROJECT / "docs"
WIDE = {"width": 1280, "height": 860}
NARROW = {"width": 360, "height": 740}

VIEWS = ("sign-in", "upload-and-jobs", "job", "compare", "confirm")
# end of the name, views, colour scheme, size
SERIES = (
    ("", VIEWS, "light", WIDE),
    ("-dark", ("upload-and-jobs", "compare"), "dark", WIDE),
    ("-narrow", ("upload-and-jobs", "job"), "light", NARROW),
)

# Sources that ffmpeg draws by itself: name -> filter.
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


class Camera:
    """Takes views in one colour scheme and one width, under names that end in `mark`."""

    def __init__(
        self, browser: Browser, server: Server, mark: str, views: Sequence[str], **settings
    ) -> None:
        self.visitor = Visitor(browser, f"http://127.0.0.1:{server.port}", **settings)
        self.mark = mark
        self.views = views

    def shoot(self, name: str) -> None:
        if name in self.views:
            self.visitor.settle()
            path = DOCS / f"{name}{self.mark}.png"
            self.visitor.page.screenshot(path=path, animations="disabled")

    def take_all(self, job_id: str, clips: list[Path]) -> None:
        visitor = self.visitor
        visitor.open()
        self.shoot("sign-in")
        visitor.enter()
        visitor.choose(*clips[:2])
        visitor.wait_for_videos("#chosen video")
        self.shoot("upload-and-jobs")
        visitor.page.locator(f'#jobs a[href$="{job_id}"]').click()
        visitor.wait_until("completed")
        self.shoot("job")
        visitor.page.get_by_role("button", name="Play variation 2").first.click()
        visitor.wait_for_videos("#compare video")
        self.shoot("compare")
        visitor.button("Close").click()
        visitor.button("Delete").click()
        self.shoot("confirm")
        visitor.close()


def fill(visitor: Visitor, clips: list[Path]) -> str:
    """Make the jobs that the pictures show; return the id of one that is complete."""
    visitor.enter().choose({"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"\0" * 4096})
    visitor.send()
    visitor.wait_until("failed")
    visitor.page.get_by_role("link", name="All jobs").click()
    job_id = visitor.choose(*clips).send(4)
    visitor.wait_until("completed")
    assert visitor.complaints == []
    return job_id


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clips = make_clips(folder)
        server = Server(folder).start()
        stack.callback(server.stop)
        worker = Worker(server).start()
        stack.callback(worker.stop)
        browser = stack.enter_context(chromium())
        visitor = Visitor(browser, f"http://127.0.0.1:{server.port}")
        job_id = fill(visitor, clips)
        for mark, views, scheme, size in SERIES:
            camera = Camera(browser, server, mark, views, color_scheme=scheme, viewport=size)
            camera.take_all(job_id, clips)


if __name__ == "__main__":
    main()
