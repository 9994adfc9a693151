"""What is served: the document, its headers, and files that are small and ours."""

import gzip
import re
from html.parser import HTMLParser

import pytest
from flask import Flask

from tests.support import PROJECT

STATIC = sorted((PROJECT / "jobserver/static").iterdir())
MAX_SIZE = 100_000  # bytes of everything a page loads, compressed


class Tags(HTMLParser):
    """Collects (tag, attributes) of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def page(app: Flask) -> str:
    return app.test_client().get("/").text


@pytest.mark.parametrize("path", ["/", "/jobs/FuB4JHyRyW2dKs9qTUYNAb"])
def test_every_address_of_the_page_is_the_same_document(app: Flask, page: str, path: str) -> None:
    answer = app.test_client().get(path)
    assert (answer.status_code, answer.mimetype, answer.text) == (200, "text/html", page)
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/static/main.js"])
def test_the_policy_lets_in_nothing_foreign_and_nothing_inline(app: Flask, path: str) -> None:
    headers = app.test_client().get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' blob:; media-src 'self' blob:;")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_script_style_or_address_in_the_document_is_inline_or_foreign(page: str) -> None:
    for tag, attributes in Tags(page).found:
        assert tag != "style"
        assert tag != "script" or attributes["src"]
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith("/")


def test_every_module_is_loaded_at_once_and_none_is_missing(app: Flask, page: str) -> None:
    named = {
        str(attributes.get("src") or attributes.get("href")).rpartition("/")[2]
        for _, attributes in Tags(page).found
    }
    assert {path.name for path in STATIC if path.suffix in (".js", ".css")} <= named
    imported = re.compile(r'from "\./([\w.]+)"')
    for path in STATIC:
        for name in imported.findall(path.read_text()):
            assert app.test_client().get(f"/static/{name}").status_code == 200


def test_text_never_becomes_markup() -> None:
    risky = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|Function\("
    )
    assert [path.name for path in STATIC if risky.search(path.read_text())] == []


def test_all_of_it_is_small(page: str) -> None:
    contents = [page.encode(), *(path.read_bytes() for path in STATIC)]
    size = sum(len(gzip.compress(content)) for content in contents)
    print(f"the page: {len(contents)} files, {size} bytes compressed")
    assert size < MAX_SIZE


def test_an_unchanged_file_is_not_sent_twice(app: Flask) -> None:
    first = app.test_client().get("/static/main.js")
    again = app.test_client().get(
        "/static/main.js", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_what_is_not_there_is_a_404_as_json(app: Flask) -> None:
    for path in ("/static/none.js", "/static/../config.py", "/jobs/a/b", "/nowhere"):
        answer = app.test_client().get(path)
        assert answer.status_code == 404
        assert answer.json["error"]


def test_addresses_carry_the_prefix_that_the_server_lives_under(app: Flask) -> None:
    page = app.test_client().get("/", environ_overrides={"SCRIPT_NAME": "/videos"}).text
    addresses = [
        attributes.get("src") or attributes.get("href") for _, attributes in Tags(page).found
    ]
    assert 'data-root="/videos/"' in page
    assert all(address.startswith("/videos/") for address in addresses if address)
