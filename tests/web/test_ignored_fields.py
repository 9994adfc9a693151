"""A form field that means nothing is accepted, and the 202 names it: it may be mistyped."""

import subprocess
from pathlib import Path

import pytest

from jobserver.web.params import FIELDS, ignored_fields
from jobserver.web.submission import Wishes
from tests.support import MP4_HEAD, Server, Site, field_part, file_part

pytestmark = pytest.mark.both_databases


def ignored(site: Site, *parts: bytes) -> list[str]:
    answer = site.post(*parts)
    assert answer.status_code == 202, answer.json
    return answer.json["ignoredFields"]


@pytest.fixture
def video() -> bytes:
    return file_part(MP4_HEAD)


def test_known_fields_are_not_ignored(site: Site, video: bytes):
    known = [field_part(*pair) for pair in (("variations", "3"), ("recipe", ""), ("seed", "1"))]
    assert ignored(site, video) == []
    assert ignored(site, *known, video) == []


def test_a_mistyped_field_is_named_wherever_it_stands(site: Site, video: bytes):
    recipe, other = field_part("recipies", "classic"), field_part("Seed", "1")
    assert ignored(site, recipe, video, other) == ["recipies", "Seed"]
    assert ignored(site, video, recipe, recipe) == ["recipies"]


def test_a_text_field_of_the_name_of_the_files_is_ignored_too(site: Site, video: bytes):
    assert ignored(site, field_part("videos", "text"), video) == ["videos"]


@pytest.mark.parametrize("name", ["größe", "名前", "a b", " recipe", "recipe ", "x" * 1000, "<b>"])
def test_any_name_is_shown_as_it_was_sent(site: Site, video: bytes, name: str):
    assert ignored(site, video, field_part(name, "1")) == [name]


def test_what_is_named_is_what_no_option_is_read_from():
    class Recording(dict[str, str]):
        def get(self, key: str, default: str | None = None) -> str | None:
            self[key] = ""
            return default

    read = Recording()
    Wishes.of_form(read)
    assert ignored_fields(read) == []
    assert set(read) == FIELDS


@pytest.mark.tools
def test_curl_shows_which_field_was_ignored(server: Server, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(MP4_HEAD)
    command = ["curl", "-fsS", "-H", f"Authorization: Bearer {server.token}"]
    form = ["-F", "videos=@a.mp4;type=video/mp4", "-F", "recipies=classic"]
    done = subprocess.run(
        [*command, *form, f"http://127.0.0.1:{server.port}/api/jobs"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert b'"ignoredFields":["recipies"]' in done.stdout
