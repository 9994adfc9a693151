"""A visitor of the page, in a real Chromium: each method is something that a visitor does."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

from tests.support import MP4_HEAD, PASSWORD, wait_for

RENDER_TIMEOUT_MS = 60_000  # for a small clip on a busy machine
# Chromium logs error responses by itself, also those that the page handles.
EXPECTED_MESSAGES = re.compile(r"Failed to load resource|net::ERR_")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium without a window; CHROMIUM names another one."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "no Chromium; see .ci/run"
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


def damaged_mp4(name: str, size: int, mime_type: str = "video/mp4") -> dict:
    """A file that begins as an MP4, and has nothing that can be rendered."""
    return {"name": name, "mimeType": mime_type, "buffer": MP4_HEAD.ljust(size, b"\0")}


def as_payload(file: Path | dict) -> dict:
    if isinstance(file, dict):
        return file
    return {"name": file.name, "mimeType": "video/mp4", "buffer": file.read_bytes()}


class Visitor:
    """One tab. `page_errors`: script errors, violations of the policy, and foreign requests."""

    def __init__(self, browser: Browser, root: str, **settings: Any) -> None:
        self.root = root  # http://host:port, and a prefix if any, without a slash at the end
        self.context: BrowserContext = browser.new_context(accept_downloads=True, **settings)
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []  # "METHOD /path", by start
        self.page_errors: list[str] = []
        self._pending: set[Request] = set()
        self._listen()

    def _listen(self) -> None:
        self.page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        self.page.on("console", lambda message: self._on_console(message.type, message.text))
        self.page.on("request", self._on_request)
        # from the start: a first listener may come too late for a key that is pressed at once
        self.page.on("filechooser", lambda _: None)
        for event in ("requestfinished", "requestfailed"):
            self.page.on(event, lambda request: self._pending.discard(request))

    def _on_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED_MESSAGES.search(text):
            self.page_errors.append(text)

    def _on_request(self, request: Request) -> None:
        if request.url.startswith("blob:"):
            return
        self._pending.add(request)
        self.requests.append(f"{request.method} {request.url.removeprefix(self.root)}")
        if not request.url.startswith(self.root + "/"):
            self.page_errors.append(f"foreign request: {request.url}")

    def close(self) -> None:
        self.context.close()

    # -- navigating and reading -------------------------------------------------

    def open(self, path: str = "/") -> "Visitor":
        self.page.goto(self.root + path)
        return self

    def sign_in(self, password: str = PASSWORD) -> "Visitor":
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        return self

    def open_signed_in(self, path: str = "/") -> "Visitor":
        """Open a URL and sign in."""
        self.open(path).sign_in()
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("heading", name=name, exact=True)

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()

    def focused_text(self) -> str:
        """Return the label, text (as shown: spaces in one) or id of what has the focus."""
        script = """() => {
            const element = document.activeElement;
            const text = element.textContent.trim().replace(/\\s+/g, " ");
            return element.getAttribute("aria-label") || text || element.id;
        }"""
        return self.page.evaluate(script)

    # -- waiting ------------------------------------------------------------------

    def wait_for_responses(self) -> None:
        """Wait until no request is pending."""
        wait_for(self._has_all_responses, 15, f"the end of {[each.url for each in self._pending]}")

    def _has_all_responses(self) -> bool:
        for _ in range(2):  # a response can start another request one or two turns later
            self.run_event_loop()
        return not self._pending

    def run_event_loop(self) -> None:
        """Let Playwright handle what the browser has reported in the meantime."""
        self.page.evaluate("() => null")

    def first_held(self, held: list[Route]) -> Route:
        """Wait for the first request in a list from hold_requests()."""
        wait_for(lambda: self.run_event_loop() or held, what="the request")
        return held[0]

    def hold_requests(
        self, path: str, method: str | None = None, times: int | None = None
    ) -> list[Route]:
        """Hold requests back from the server; return a list that they are added to."""
        held: list[Route] = []

        def handle(route: Route) -> None:
            if method in (None, route.request.method):
                held.append(route)
            else:
                route.fallback()

        self.page.route(path, handle, times=times)
        return held

    def wait_for_videos(self, selector: str, ready_state: int = 2) -> None:
        """Wait until each of these videos has data (2: HAVE_CURRENT_DATA) and is not seeking."""
        script = "all => all.map(video => video.seeking ? 0 : video.readyState)"
        videos = self.page.locator(selector)
        wait_for(lambda: min(videos.evaluate_all(script)) >= ready_state, 15, f"data of {selector}")

    def play_to(self, selector: str, moment_s: float) -> None:
        """Play a video from where it is to a moment, then pause it."""
        video = self.page.locator(selector)
        video.evaluate("video => video.play()")
        time = "video => video.currentTime"
        wait_for(lambda: video.evaluate(time) >= moment_s, 15, f"{moment_s} s of {selector}")
        video.evaluate("video => video.pause()")

    # -- uploading -----------------------------------------------------------------

    def choose(self, *files: Path | dict) -> "Visitor":
        """Choose files by path, or as {"name", "mimeType", "buffer"}."""
        if any(isinstance(file, dict) for file in files):  # then all have to be
            files = tuple(map(as_payload, files))
        with self.page.expect_file_chooser() as chooser:
            self.button("Choose videos").click()
        chooser.value.set_files(list(files))
        self.wait_for_checks()
        return self

    def wait_for_checks(self) -> None:
        """Wait until the first bytes of every chosen file were looked at."""
        self.page.wait_for_selector("#drop-zone:not([aria-busy=true])", state="attached")

    def chosen_names(self) -> list[str]:
        return self.page.locator("#chosen .name").all_text_contents()

    def upload(self, variations: int = 2) -> str:
        """Upload the chosen files; return the job's id once the job is shown."""
        self.page.get_by_label("Variations each").fill(str(variations))
        self.button("Start").click()
        self.page.wait_for_url(re.compile("/jobs/"))
        return self.page.url.rpartition("/")[2]

    def job_state(self) -> Locator:
        return self.page.locator("#job-state")

    def wait_for_status(self, status: str) -> None:
        expect(self.job_state()).to_have_text(status, timeout=RENDER_TIMEOUT_MS)

    # -- the tab --------------------------------------------------------------------

    def hide(self, hidden: bool = True) -> None:
        """Make the tab a background tab; Chromium without a window never hides one."""
        script = """hidden => {
            const state = { hidden, visibilityState: hidden ? "hidden" : "visible" };
            for (const [name, value] of Object.entries(state)) {
                Object.defineProperty(document, name, { value, configurable: true });
            }
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
        self.page.evaluate(script, hidden)

    def poll_now(self) -> None:
        """Have the page poll at once, as it does when the browser is back online."""
        self.page.evaluate("() => dispatchEvent(new Event('online'))")

    def count_requests(self, seconds: int, each_second: Callable[[], object] = lambda: None) -> int:
        """Advance the clock; return how many API requests the page has sent in that time."""
        self.wait_for_responses()
        before = len(self.requests)
        self.advance_clock(seconds, each_second)
        return len([each for each in self.requests[before:] if "/api/" in each])

    def advance_clock(self, seconds: int, each_second: Callable[[], object] = lambda: None) -> None:
        """Advance the page's clock (installed before) and wait for all that this starts.

        In small steps: a request's timeout runs on that clock, its response does not.
        """
        for step in range(seconds * 2):
            if step % 2 == 0:
                each_second()
            self.page.clock.run_for(500)
            self.wait_for_responses()
