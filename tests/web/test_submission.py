"""An upload with a brief: planned, promised and shown; or refused with the key at fault."""

import json
from contextlib import closing
from typing import Any

import pytest

from jobserver.brief.stored import load
from jobserver.db import claiming, exclusive
from jobserver.jobs import events, queries, standing, workers
from jobserver.jobs.workers import Worker
from tests.support import MP4_HEAD, Site, field_part, file_part
from tests.uploads.brief_parts import PNG, brief_part, parts

pytestmark = pytest.mark.both_databases


def uploads_of(site: Site) -> list[str]:
    return [path.name for path in site.upload_dir.iterdir() if path.name != ".database"]


def refused(site: Site, *sent: bytes) -> dict[str, Any]:
    """Return the answer to an upload that is refused and leaves nothing."""
    answer = site.post(*sent)
    assert answer.status_code == 400, answer.json
    assert uploads_of(site) == []
    assert site.rows("SELECT id FROM job") == []
    return dict(answer.json)


def test_a_job_with_a_brief_is_planned_before_its_202(site: Site) -> None:
    answer = site.post(
        *parts("hooks", "a.mp4", "b.mp4"),
        brief_part(formats=["9:16", "1:1"], endings=[None, "end.png"]),
        *parts("videos", "one.mp4", "two.mp4"),
        *parts("endings", "end.png"),
        field_part("title", "Spring"),
    )
    assert answer.status_code == 202, answer.json
    job = answer.json
    assert [file["name"] for file in job["files"]] == ["one.mp4", "two.mp4"]
    assert (job["variationsPerVideo"], job["totalVariations"]) == (8, 16)
    assert (job["title"], job["ignoredFields"]) == ("Spring", [])
    assert [(each["role"], each["name"], each["status"]) for each in job["assets"]] == [
        ("hook", "a.mp4", "queued"),
        ("hook", "b.mp4", "queued"),
        ("ending", "end.png", "queued"),
    ]
    assert all(each["size"] > 0 and each["error"] is None for each in job["assets"])
    shown = site.show(job["jobId"])
    assert (shown["status"], shown["totalVideos"], shown["title"]) == ("queued", 2, "Spring")
    assert (shown["variationsPerVideo"], shown["totalVariations"]) == (8, 16)
    assert [file["totalVariations"] for file in shown["files"]] == [8, 8]
    assert [{key: each[key] for key in job["assets"][0]} for each in shown["assets"]] == (
        job["assets"]
    )
    assert shown["variations"] is None
    assert shown["brief"]["formats"] == ["9:16", "1:1"]
    assert shown["brief"]["hooks"] == ["a.mp4", "b.mp4"]  # what is left out is all that was sent
    assert len(uploads_of(site)) == 5
    listed = site.client.get("/api/jobs", headers=site.headers).json[0]
    assert (listed["totalVideos"], listed["totalVariations"]) == (2, 16)
    assert len(listed["files"]) == 2


def test_files_alone_mean_an_empty_brief(site: Site) -> None:
    job = site.post(*parts("videos", "a.mp4"), *parts("hooks", "b.mp4", "c.mp4")).json
    assert (job["variationsPerVideo"], job["totalVariations"]) == (2, 2)
    assert site.show(job["jobId"])["brief"]["hooks"] == ["b.mp4", "c.mp4"]


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_brief_and_file_fields_without_a_file_are_none_at_all(
    site: Site, empty: str
) -> None:
    """As a browser sends a form that nobody has filled."""
    nothing = [file_part(b"", "", "application/octet-stream", name) for name in ("hooks", "music")]
    job = site.post(file_part(MP4_HEAD), field_part("brief", empty), *nothing).json
    assert (job["totalVariations"], job["assets"]) == (5, [])
    shown = site.show(job["jobId"])
    assert (shown["brief"], shown["variations"], shown["assets"]) == (None, 5, [])


@pytest.mark.parametrize(
    ("variations", "looks", "total"),
    [(None, 0, 2), ("many", 0, 2), ("3x", 3, 6), ("99", 20, 40), ("0", 1, 2)],
)
def test_variations_beside_a_brief_are_looks(
    site: Site, variations: str | None, looks: int, total: int
) -> None:
    fields = [] if variations is None else [field_part("variations", variations)]
    sent = (*parts("videos", "a.mp4"), brief_part(formats=["9:16", "1:1"]), *fields)
    job = site.post(*sent, field_part("recipe", "classic")).json
    assert (job["totalVariations"], job["recipe"]) == (total, "classic")
    with closing(site.connect()) as db:
        brief = load(queries.brief_of(db, job["jobId"]) or "")
    assert (brief.looks, brief.recipe, brief.formats) == (looks, "classic", ("9:16", "1:1"))
    assert site.show(job["jobId"])["variations"] == (looks or None)


def test_what_each_video_has_is_counted(site: Site) -> None:
    excluded = [{"video": "a.mp4", "format": "1:1"}]
    sent = (
        *parts("videos", "a.mp4", "b.mp4"),
        brief_part(formats=["9:16", "1:1"], exclude=excluded),
    )
    job = site.post(*sent).json
    assert (job["variationsPerVideo"], job["totalVariations"]) == (2, 3)
    assert [file["totalVariations"] for file in site.show(job["jobId"])["files"]] == [1, 2]


@pytest.mark.parametrize(
    ("sent", "path", "words"),
    [
        ([field_part("brief", "{")], "brief", "is not JSON"),
        ([field_part("brief", "[]")], "brief", "must be"),
        ([brief_part(format=["9:16"])], "format", "is unknown"),
        ([brief_part(formats=["9:16", "3:2"])], "formats[1]", "must be"),
        ([brief_part(hooks=["a.mp4"])], "hooks[0]", "was not sent"),
        ([brief_part(hooks=[None]), *parts("hooks", "a.mp4")], "hooks", "does not use"),
        (parts("overlays", "logo.png"), "logo", "does not use"),
        (parts("hooks", "a.mp4", "a.mp4"), "hooks[1]", "repeats"),
        (parts("videos", "video.mp4"), None, None),
        ([brief_part(), *parts("videos", "video.mp4")], "videos[1]", "repeats"),
        ([brief_part(headlines=[{"text": "a\u0e01"}])], "headlines[0].text", "U+0E01"),
        ([brief_part(headlines=[{"text": "a\u202eb"}])], "headlines[0].text", "U+202E"),
        ([brief_part(name="{nothing}")], "name", "known are"),
        (
            [brief_part(lengths=[*range(3, 54)]), field_part("variations", "20")],
            "brief",
            "would make",
        ),
    ],
)
def test_a_brief_that_cannot_be_followed_leaves_nothing_and_names_its_key(
    site: Site, sent: list[bytes], path: str | None, words: str | None
) -> None:
    if path is None:
        assert site.post(*sent, *parts("videos", "video.mp4")).status_code == 202
        return
    for order in (1, -1):  # whichever comes first, files or fields
        answer = refused(site, *[*sent, *parts("videos", "video.mp4")][::order])
        assert answer["path"] == path
        assert words is not None
        assert words in answer["error"]
        assert answer["error"].startswith(path)


def test_more_outputs_than_the_setting_allows_are_refused_with_their_number(site: Site) -> None:
    site.change_settings(max_outputs=3)
    sent = (*parts("videos", "a.mp4"), brief_part(formats=["9:16", "1:1", "4:5", "16:9"]))
    answer = refused(site, *sent)
    sentence = "brief would make 4 outputs; at most 3 can be made"
    assert answer == {"error": sentence, "code": "invalid_brief", "path": "brief"}


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (
            file_part(b"<svg/>" * 9, "logo.png", "image/png", "overlays"),
            "Only PNG, JPEG and WebP files are accepted as overlays",
        ),
        (file_part(PNG, "a.png", "image/png", "hooks"), "Only MP4 files are accepted"),
        (
            file_part(PNG, "a.png", "image/png", "stickers"),
            "Send video files in the form field 'videos'",
        ),
    ],
)
def test_a_part_of_another_type_is_refused_with_all_others(
    site: Site, sent: bytes, sentence: str
) -> None:
    whole = (*parts("videos", "a.mp4"), *parts("overlays", "b.png"), brief_part())
    assert refused(site, *whole, sent)["error"] == sentence


def test_assets_count_in_the_quota_and_go_with_their_job(site: Site) -> None:
    contents = MP4_HEAD + bytes(5000), PNG + bytes(5000)
    size = sum(map(len, contents))
    site.change_settings(storage_quota=size + 2000)
    sent = (file_part(contents[0]), file_part(contents[1], "end.png", None, "endings"))
    job = site.post(*sent).json
    assert site.client.get("/api/storage", headers=site.headers).json["used"] == size
    assert site.post(*sent).status_code == 507
    assert len(uploads_of(site)) == 2
    assert site.client.delete(f"/api/jobs/{job['jobId']}", headers=site.headers).status_code == 200
    assert uploads_of(site) == []
    assert site.rows("SELECT id FROM job_file") == []
    assert site.post(*sent).status_code == 202


def test_a_cancel_ends_assets_too(site: Site) -> None:
    job = site.post(*parts("videos", "a.mp4"), *parts("hooks", "b.mp4")).json
    assert site.post_action(job["jobId"], "cancel").status_code == 200
    shown = site.show(job["jobId"])
    assert shown["status"] == "cancelled"
    assert [each["status"] for each in (*shown["files"], *shown["assets"])] == ["cancelled"] * 2
    with closing(site.connect()) as db:
        kinds = [each.kind for each in events.events_of(db, job["jobId"])]
    assert sorted(kinds) == sorted(
        [*("file.queued", "file.cancelled") * 2, "job.queued", "job.cancelled"]
    )


def test_a_file_of_any_role_can_be_fetched_once_it_is_known(site: Site) -> None:
    job = site.post(
        *parts("videos", "a.mp4"), *parts("endings", "end.png"), *parts("music", "song.mp3")
    ).json
    types = {"end.png": "image/png", "song.mp3": "audio/mpeg"}
    assert [each["url"] for each in site.show(job["jobId"])["assets"]] == [None, None]
    with closing(site.connect()) as db, exclusive(db, "queue"):
        db.write("UPDATE job_file SET sha256 = 'ab'")
        standing.touch(db, job["jobId"])
    for asset in site.show(job["jobId"])["assets"]:
        answer = site.client.get(asset["url"])
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, types[asset["name"]])
        assert len(answer.data) == asset["size"]


def test_outputs_that_failed_are_shown_with_their_reason(site: Site) -> None:
    sent = (*parts("videos", "a.mp4", "b.mp4"), brief_part(formats=["9:16", "1:1"]))
    job = site.post(*sent).json
    first, second = (file["id"] for file in job["files"])
    with closing(site.connect()) as db, claiming(db):
        for number in (2, 1):
            db.write(
                """INSERT INTO failed_output (file_id, number, name, axes, reason)
                   VALUES (:id, :number, :name, :axes, 'No.')""",
                {"id": second, "number": number, "name": f"b_{number}", "axes": '{"look": null}'},
            )
    files = site.show(job["jobId"])["files"]
    assert [file["failedVariations"] for file in files] == [0, 2]
    assert [file["failedOutputs"] for file in files] == [
        [],
        [{"name": f"b_{n}", "axes": {"look": None}, "reason": "No."} for n in (1, 2)],
    ]
    short = site.client.get(f"/api/jobs/{job['jobId']}?outputs=false", headers=site.headers).json
    assert [file["failedVariations"] for file in short["files"]] == [0, 2]
    assert not {"outputs", "failedOutputs"} & set(short["files"][1])
    assert first != second


def test_nothing_is_accepted_while_a_worker_lives_that_cannot_render_it(site: Site) -> None:
    def beat(version: int | None) -> None:
        worker = Worker("w", "host:1", 1, started_at=0, waits_for=None)
        with closing(site.connect()) as db, claiming(db):
            workers.renew(db, worker, db.clock())
            db.write("UPDATE worker SET database_version = :version", {"version": version})

    beat(None)
    answer = site.post(*parts("videos", "a.mp4"), brief_part(formats=["9:16"]))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert uploads_of(site) == []
    assert site.post(*parts("videos", "a.mp4")).status_code == 202
    beat(10)
    answer = site.post(*parts("videos", "a.mp4"), brief_part(formats=["9:16"]))
    assert answer.status_code == 202
    bold = (*parts("videos", "a.mp4"), field_part("recipe", "bold"))
    assert site.post(*bold).status_code == 503
    beat(11)
    assert site.post(*bold).status_code == 202


def test_the_manifest_can_be_sent_again(site: Site) -> None:
    """A brief as it is kept plans the same as the one that was sent."""
    sent = {"formats": ["9:16", "1:1"], "lengths": ["full", 6], "headlines": [{"text": "Hi"}, None]}
    files = (*parts("videos", "a.mp4"), *parts("hooks", "b.mp4", "c.mp4"))
    first = site.post(*files, field_part("brief", json.dumps(sent)), field_part("seed", "7")).json
    shown = site.show(first["jobId"])
    again = site.post(
        *files, field_part("brief", json.dumps(shown["brief"])), field_part("seed", "7")
    )
    assert again.status_code == 202, again.json
    other = site.show(again.json["jobId"])
    assert other["brief"] == shown["brief"]
    assert other["totalVariations"] == shown["totalVariations"] == 16
