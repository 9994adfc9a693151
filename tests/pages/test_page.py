"""The served document, its headers, and the static files."""

import gzip
import re
from html.parser import HTMLParser

import pytest
from flask import Flask

from jobserver.brief.schema import SCHEMA, definition
from tests.support import PROJECT

FOLDER = PROJECT / "jobserver/web/static"
STATIC = sorted(path for path in FOLDER.rglob("*") if path.is_file())
MODULES = [path for path in STATIC if path.suffix == ".js"]
MAX_SIZE = 100_000  # bytes of all files that the page loads, compressed
MAX_LINES = 350  # of a module


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
def test_every_url_of_the_page_returns_the_same_document(app: Flask, page: str, path: str) -> None:
    response = app.test_client().get(path)
    assert (response.status_code, response.mimetype, response.text) == (200, "text/html", page)
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/static/main.js"])
def test_the_content_security_policy_allows_neither_inline_nor_foreign_code(
    app: Flask, path: str
) -> None:
    headers = app.test_client().get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' blob:; media-src 'self' blob:;")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_document_has_no_inline_code_and_no_foreign_url(page: str) -> None:
    for tag, attributes in Tags(page).found:
        assert tag != "style"
        assert tag != "script" or attributes["src"]
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith("/")


def test_every_module_is_preloaded_and_none_is_missing(app: Flask, page: str) -> None:
    named = {
        str(attributes.get("src") or attributes.get("href")).removeprefix("/static/")
        for _, attributes in Tags(page).found
    }
    docs = Tags(app.test_client().get("/api/docs").text).found
    own = {attributes.get("href") for tag, attributes in docs if tag == "link"}
    assert "/static/docs.css" in own  # the one file of the other document
    served = {path.relative_to(FOLDER).as_posix(): path for path in STATIC}
    assert {name for name in served if name.endswith((".js", ".css"))} <= named | {"docs.css"}
    for path in MODULES:
        for name in re.findall(r'from "(\.[\w./]+)"', path.read_text()):
            imported = (path.parent / name).resolve().relative_to(FOLDER).as_posix()
            assert app.test_client().get(f"/static/{imported}").status_code == 200


def test_no_module_turns_text_into_markup() -> None:
    risky = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|Function\("
    )
    assert [path.name for path in STATIC if risky.search(path.read_text())] == []


def test_every_module_is_short_and_starts_with_a_description() -> None:
    for path in MODULES:
        lines = path.read_text().splitlines()
        assert lines[0].startswith("// "), path.name
        assert len(lines) <= MAX_LINES, path.name


def test_the_whole_page_is_small(page: str) -> None:
    contents = [page.encode(), *(path.read_bytes() for path in STATIC)]
    size = sum(len(gzip.compress(content)) for content in contents)
    print(f"the page: {len(contents)} files, {size} bytes compressed")
    assert size < MAX_SIZE


def test_the_form_has_a_field_for_each_key_of_a_brief_and_each_of_its_choices(page: str) -> None:
    fields = [attributes for _, attributes in Tags(page).found]
    named = {each.get("data-field") or each.get("data-none") for each in fields} - {None}
    without = {"headlines", "logo", "exclude", "recipe"}  # rows, several, none, that of the upload
    assert "recipe" in {each.get("id") for each in fields}
    assert named | without == set(SCHEMA["properties"])
    for key, choices in (("formats", definition("format")), ("fit", SCHEMA["properties"]["fit"])):
        offered = {each.get("value") for each in fields if each.get("data-field") == key}
        assert offered == {f'"{choice}"' for choice in choices["enum"]}


def test_an_unchanged_file_is_answered_with_304(app: Flask) -> None:
    first = app.test_client().get("/static/main.js")
    again = app.test_client().get(
        "/static/main.js", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_an_unknown_path_is_a_404_as_json(app: Flask) -> None:
    for path in ("/static/none.js", "/static/../pages.py", "/jobs/a/b", "/nowhere"):
        response = app.test_client().get(path)
        assert response.status_code == 404
        assert response.json["error"]


def test_urls_start_with_the_prefix_of_the_server(app: Flask) -> None:
    page = app.test_client().get("/", environ_overrides={"SCRIPT_NAME": "/videos"}).text
    urls = [attributes.get("src") or attributes.get("href") for _, attributes in Tags(page).found]
    assert 'data-root="/videos/"' in page
    assert all(url.startswith("/videos/") for url in urls if url)
