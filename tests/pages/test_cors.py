"""A page of another origin, in a real Chromium: what CORS_ORIGINS names may use the API."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from tests.support import MP4_HEAD, PASSWORD, Server

pytestmark = pytest.mark.browser

# Signs in, uploads, asks again, lists in pages: with what a browser asks a preflight for.
SESSION = """async ([root, password, head]) => {
    const json = { "Content-Type": "application/json" };
    const call = (path, options = {}) => fetch(root + path, {
        ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` },
    });
    let token = "";
    const body = JSON.stringify({ password });
    const wrong = await fetch(root + "/api/jobs", { headers: { Authorization: "Bearer x" } });
    const signed = await fetch(root + "/api/auth", { method: "POST", headers: json, body });
    ({ token } = await signed.json());
    const form = new FormData();
    form.append("videos", new File([head, new Uint8Array(100)], "a.mp4", { type: "video/mp4" }));
    const accepted = await call("/api/jobs", { method: "POST", body: form });
    const again = await call("/api/jobs", { method: "POST", body: form });
    const address = accepted.headers.get("Location");
    const shown = await call(address);
    const known = await call(address, { headers: { "If-None-Match": shown.headers.get("ETag") } });
    const listed = await call("/api/jobs?limit=1");
    const removed = await call(address, { method: "DELETE" });
    return [
        wrong.status, (await wrong.json()).code, accepted.status, again.status,
        (await shown.json()).status, known.status, listed.headers.get("Link") !== null,
        removed.status,
    ];
}"""
REFUSED = """root => fetch(root + "/api/health").then(
    () => "read", error => error.name)"""


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def another_origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def page_of(browser: Browser, origin: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(origin)
    yield page
    page.close()


def test_a_page_of_a_named_origin_uses_the_api_and_others_do_not(
    own_server: Server, browser: Browser
) -> None:
    with another_origin() as named, another_origin() as other:
        own_server.settings["CORS_ORIGINS"] = f"https://app.example, {named}"
        root = f"http://127.0.0.1:{own_server.start().port}"
        with page_of(browser, named) as page:
            found = page.evaluate(SESSION, [root, PASSWORD, MP4_HEAD.decode("latin-1")])
        assert found == [401, "invalid_token", 202, 202, "queued", 304, True, 200]
        with page_of(browser, other) as page:
            assert page.evaluate(REFUSED, root) == "TypeError"
