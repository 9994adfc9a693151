"""A person at the page: what they do, in verbs, in a real Chromium."""

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
    expect,
    sync_playwright,
)

from tests.support import PASSWORD, wait_for

RENDERED_MS = 60_000  # a busy machine renders a small clip within this
# What Chromium itself notes about an answer that the page understands.
EXPECTED_NOISE = re.compile(r"Failed to load resource|net::ERR_")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium without a window; CHROMIUM names another one."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "no Chromium; see .ci/run"
    words = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=words)
        yield browser
        browser.close()


def as_payload(file: Path | dict) -> dict:
    if isinstance(file, dict):
        return file
    return {"name": file.name, "mimeType": "video/mp4", "buffer": file.read_bytes()}


class Visitor:
    """One tab; `complaints` are script errors, violations of the policy and foreign requests."""

    def __init__(self, browser: Browser, root: str, **settings: Any) -> None:
        self.root = root  # http://host:port, and a prefix if any, without a slash at the end
        self.context: BrowserContext = browser.new_context(accept_downloads=True, **settings)
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []  # paths, as they began
        self.complaints: list[str] = []
        self._waiting: set[Request] = set()
        self._listen()

    def _listen(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("request", self._began)
        # from the start: a first listener may come too late for a key that is pressed at once
        self.page.on("filechooser", lambda _: None)
        for event in ("requestfinished", "requestfailed"):
            self.page.on(event, lambda request: self._waiting.discard(request))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED_NOISE.search(text):
            self.complaints.append(text)

    def _began(self, request: Request) -> None:
        if request.url.startswith("blob:"):
            return
        self._waiting.add(request)
        self.requests.append(f"{request.method} {request.url.removeprefix(self.root)}")
        if not request.url.startswith(self.root + "/"):
            self.complaints.append(f"foreign request: {request.url}")

    def close(self) -> None:
        self.context.close()

    # -- going and looking ------------------------------------------------------

    def open(self, path: str = "/") -> "Visitor":
        self.page.goto(self.root + path)
        return self

    def sign_in(self, password: str = PASSWORD) -> "Visitor":
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        return self

    def enter(self, path: str = "/") -> "Visitor":
        """Open an address and sign in."""
        self.open(path).sign_in()
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("heading", name=name, exact=True)

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()

    def focused(self) -> str:
        """Return the text, label or id of the element that has the focus."""
        script = """() => {
            const it = document.activeElement;
            return it.getAttribute("aria-label") || it.textContent.trim() || it.id;
        }"""
        return self.page.evaluate(script)

    def settle(self) -> None:
        """Wait until no request is on its way."""
        wait_for(self._is_settled, 15, f"the end of {[each.url for each in self._waiting]}")

    def _is_settled(self) -> bool:
        for _ in range(2):  # what an answer sets off is a turn or two later
            self.page.evaluate("() => null")
        return not self._waiting

    def wait_for_videos(self, selector: str, least: int = 2) -> None:
        """Wait until each of these videos has data (HAVE_CURRENT_DATA) and seeks no more."""
        script = "all => all.map(it => it.seeking ? 0 : it.readyState)"
        videos = self.page.locator(selector)
        wait_for(lambda: min(videos.evaluate_all(script)) >= least, 15, f"data of {selector}")

    # -- uploading -----------------------------------------------------------------

    def choose(self, *files: Path | dict) -> "Visitor":
        """Choose files of the disk, or of {"name", "mimeType", "buffer"}."""
        if any(isinstance(file, dict) for file in files):  # then all have to be
            files = tuple(map(as_payload, files))
        with self.page.expect_file_chooser() as chooser:
            self.button("Choose videos").click()
        chooser.value.set_files(list(files))
        return self

    def chosen(self) -> list[str]:
        return self.page.locator("#chosen .name").all_text_contents()

    def send(self, variations: int = 2) -> str:
        """Start the upload; return the job's id once its own view is open."""
        self.page.get_by_label("Variations each").fill(str(variations))
        self.button("Start").click()
        self.page.wait_for_url(re.compile("/jobs/"))
        return self.page.url.rpartition("/")[2]

    def state(self) -> Locator:
        return self.page.locator("#job-state")

    def wait_until(self, status: str) -> None:
        expect(self.state()).to_have_text(status, timeout=RENDERED_MS)

    # -- the tab --------------------------------------------------------------------

    def hide(self, hidden: bool = True) -> None:
        """Make the tab a background tab; Chromium without a window shows them all."""
        script = """hidden => {
            const state = { hidden, visibilityState: hidden ? "hidden" : "visible" };
            for (const [name, value] of Object.entries(state)) {
                Object.defineProperty(document, name, { value, configurable: true });
            }
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
        self.page.evaluate(script, hidden)

    def ask_now(self) -> None:
        """Have the page ask the server at once, as it does when the net is back."""
        self.page.evaluate("() => dispatchEvent(new Event('online'))")

    def count_requests(self, seconds: int, meanwhile: Callable[[], object] = lambda: None) -> int:
        """Let time pass; return the page's API requests of that time."""
        self.settle()
        before = len(self.requests)
        self.pass_time(seconds, meanwhile)
        return len([each for each in self.requests[before:] if "/api/" in each])

    def pass_time(self, seconds: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Let time pass on the page's own clock (installed before), all that it sets off included.

        In steps, for a request's limit of time is on that clock too, its answer is not.
        meanwhile: called once a second of that time.
        """
        for second in range(seconds * 2):
            if second % 2 == 0:
                meanwhile()
            self.page.clock.run_for(500)
            self.settle()
