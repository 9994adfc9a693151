"""A new job over kept files: it has names of its own for the same bytes."""

import json
from contextlib import closing
from typing import Any

import pytest

from jobserver.errors import OutcomeUnknown
from jobserver.jobs import queries
from jobserver.web import again
from tests.support import MP4_HEAD, Site, field_part, file_part
from tests.uploads.brief_parts import brief_part, parts

pytestmark = pytest.mark.both_databases


def uploads_of(site: Site) -> set[str]:
    return {path.name for path in site.upload_dir.iterdir() if path.name != ".database"}


def ask(site: Site, job_id: str, **body: Any):
    return site.client.post(f"/api/jobs/{job_id}/again", json=body, headers=site.headers)


def make(site: Site, job_id: str, **body: Any) -> dict[str, Any]:
    answer = ask(site, job_id, **body)
    assert answer.status_code == 202, answer.json
    assert answer.headers["Location"] == answer.json["statusUrl"]
    return dict(answer.json)


@pytest.fixture
def plain(site: Site) -> str:
    """A job without a brief."""
    fields = {"title": "Spring", "seed": "7", "variations": "3", "recipe": "classic"}
    return site.upload(MP4_HEAD + b"1", MP4_HEAD + b"22", **fields)


@pytest.fixture
def briefed(site: Site) -> str:
    """A job with two hooks and an ending."""
    sent = (
        *parts("videos", "a.mp4"),
        *parts("hooks", "b.mp4", "c.mp4"),
        *parts("endings", "end.png"),
    )
    return site.post(*sent, brief_part(formats=["9:16", "1:1"]), field_part("seed", "7")).json[
        "jobId"
    ]


def test_a_job_that_says_nothing_asks_for_the_same(site: Site, plain: str) -> None:
    made = make(site, plain)
    old, new = site.show(plain), site.show(made["jobId"])
    same = ("title", "seed", "recipe", "variations", "totalVariations", "totalVideos", "brief")
    assert {key: new[key] for key in same} == {key: old[key] for key in same}
    assert [(each["name"], each["size"]) for each in new["files"]] == [
        (each["name"], each["size"]) for each in old["files"]
    ]
    ids = [each["id"] for each in (*old["files"], *new["files"])]
    assert len(set(ids)) == 4
    assert (new["status"], made["ignoredFields"]) == ("queued", [])


def test_its_files_are_the_same_bytes_and_outlive_the_others(site: Site, plain: str) -> None:
    before = uploads_of(site)
    made = make(site, plain)
    added = uploads_of(site) - before
    assert len(added) == 2
    assert site.client.delete(f"/api/jobs/{plain}", headers=site.headers).status_code == 200
    assert uploads_of(site) == added
    with closing(site.connect()) as db:
        files = queries.files_of(db, made["jobId"])
    assert [(site.upload_dir / file.stored_name).read_bytes() for file in files] == [
        MP4_HEAD + b"1",
        MP4_HEAD + b"22",
    ]
    assert {(site.upload_dir / name).stat().st_nlink for name in added} == {1}


def test_what_is_given_replaces_what_was(site: Site, plain: str) -> None:
    made = make(site, plain, variations=2, recipe="subtle", seed="9", title="Summer", sead=1)
    assert (made["variationsPerVideo"], made["recipe"], made["seed"]) == (2, "subtle", 9)
    assert (made["title"], made["ignoredFields"]) == ("Summer", ["sead"])
    nothing = make(site, plain, variations=None, recipe=None, seed=None, title=None)
    assert (nothing["variationsPerVideo"], nothing["recipe"], nothing["title"]) == (
        5,
        "subtle",
        None,
    )
    assert nothing["seed"] != 7


def test_a_brief_may_be_added_changed_and_taken_away(site: Site, plain: str, briefed: str) -> None:
    added = make(site, plain, brief={"formats": ["9:16", "1:1", "source"]})
    assert (added["variationsPerVideo"], added["totalVariations"]) == (3, 6)  # looks are not kept
    assert make(site, plain, brief={"formats": ["9:16"]}, variations=2)["totalVariations"] == 4
    same = make(site, briefed)
    assert same["totalVariations"] == 4
    looks = make(site, briefed, variations="2")
    assert looks["totalVariations"] == 8
    assert make(site, looks["jobId"])["totalVariations"] == 8
    taken = make(site, briefed, brief=None)
    assert (taken["variationsPerVideo"], taken["assets"]) == (5, [])
    text = make(site, briefed, brief='{"formats": ["4:5"]}')
    assert (text["totalVariations"], len(text["assets"])) == (2, 3)


def test_a_brief_that_is_larger_with_its_defaults_can_be_made_again(site: Site) -> None:
    headlines = [{"text": f"{n:060d}"} for n in range(500)]
    sent = (*parts("videos", "a.mp4"), brief_part(headlines=headlines))
    job_id = site.post(*sent).json["jobId"]
    shown = site.show(job_id)["brief"]
    assert len(json.dumps(shown)) > 64 * 1024
    assert make(site, job_id)["totalVariations"] == 500
    answer = ask(site, job_id, brief=shown)
    assert (answer.status_code, answer.json["path"]) == (400, "brief")


def test_files_that_the_new_brief_does_not_use_are_left_out(site: Site, briefed: str) -> None:
    before = uploads_of(site)
    made = make(site, briefed, brief={"hooks": ["c.mp4"], "endings": [None]})
    assert [(each["role"], each["name"]) for each in made["assets"]] == [("hook", "c.mp4")]
    assert made["totalVariations"] == 1
    assert len(uploads_of(site) - before) == 2


@pytest.mark.parametrize(
    ("body", "sentence", "path"),
    [
        ({"brief": {"hooks": ["x.mp4"]}}, 'hooks[0] is "x.mp4", which was not sent', "hooks[0]"),
        ({"brief": {"colour": 1}}, "colour is unknown", "colour"),
        ({"brief": 5}, "brief must be", "brief"),
        ({"variations": [1]}, "variations must be a text or a whole number", None),
        ({"title": True}, "title must be a text or a whole number", None),
        ({"seed": -1}, "seed must be", None),
        ({"seed": 1.5}, "seed must be", None),
        ({"recipe": "wild"}, "Unknown recipe", None),
        ({"title": "\udc80"}, "title has half a surrogate pair", "title"),
    ],
)
def test_what_cannot_be_asked_for_leaves_nothing(
    site: Site, briefed: str, body: dict[str, Any], sentence: str, path: str | None
) -> None:
    before = uploads_of(site)
    answer = ask(site, briefed, **body)
    assert answer.status_code == 400, answer.json
    assert answer.json["error"].startswith(sentence)
    assert answer.json.get("path") == path
    assert uploads_of(site) == before
    assert len(site.rows("SELECT id FROM job")) == 1


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000])
def test_a_body_that_is_no_object_is_a_400(site: Site, plain: str, body: bytes) -> None:
    url = f"/api/jobs/{plain}/again"
    answer = site.client.post(url, data=body, headers=site.headers)
    assert answer.status_code == 400
    assert answer.json["error"].startswith("The body must be a JSON object")
    assert list(answer.json) == ["error", "code"]
    assert site.client.post(url, data=b"x" * 200_000, headers=site.headers).status_code == 413


def test_an_empty_body_asks_for_nothing_else(site: Site, plain: str) -> None:
    answer = site.client.post(f"/api/jobs/{plain}/again", headers=site.headers)
    assert answer.status_code == 202


def test_its_bytes_count_in_the_quota(site: Site, plain: str) -> None:
    size = sum(path.stat().st_size for path in site.upload_dir.iterdir() if path.suffix == ".mp4")
    site.change_settings(storage_quota=2 * size)
    make(site, plain)
    assert site.client.get("/api/storage", headers=site.headers).json["used"] == 2 * size
    before = uploads_of(site)
    assert ask(site, plain).status_code == 507
    assert uploads_of(site) == before


def test_a_job_that_is_gone_is_a_404_and_one_without_files_a_409(site: Site, plain: str) -> None:
    assert ask(site, "unknown").status_code == 404
    other = site.upload(MP4_HEAD)
    site.client.delete(f"/api/jobs/{other}", headers=site.headers)
    assert ask(site, other).status_code == 404
    first, second = sorted(uploads_of(site))
    for name in (second, first):
        (site.upload_dir / name).unlink()
        answer = ask(site, plain)
        assert answer.status_code == 409
        assert answer.json == {"error": "The files of the job are gone", "code": "sources_gone"}
        assert uploads_of(site) == {first} - {name}


def test_its_files_stay_only_when_nobody_knows_whether_it_was_queued(
    site: Site, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = uploads_of(site)

    def fail_with(error: Exception) -> int:
        def fail(*_: object, **__: object) -> int:
            raise error

        monkeypatch.setattr(again, "insert", fail)
        return ask(site, plain).status_code

    assert fail_with(OSError(28, "No space")) == 507
    assert uploads_of(site) == before
    assert fail_with(OutcomeUnknown("?")) == 503
    assert len(uploads_of(site) - before) == 2


def test_a_queue_that_is_full_is_a_503(site: Site, plain: str) -> None:
    site.change_settings(max_queued_files=3)
    before = uploads_of(site)
    answer = ask(site, plain)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert uploads_of(site) == before


def test_a_file_of_any_name_may_be_used_again(site: Site) -> None:
    sent = site.post(file_part(MP4_HEAD, "\u202e\u0000....mp4")).json
    made = make(site, sent["jobId"])
    assert [each["name"] for each in made["files"]] == [each["name"] for each in sent["files"]]
