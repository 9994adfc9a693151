"""HTTP in and out of jobs: the contract's keys, status, list, pages, variations."""

import re
import time
from contextlib import closing
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from jobserver import db, prepare_serving
from jobserver.jobs import queue, search
from jobserver.jobs.model import JobDraft, JobOptions, NewFile
from jobserver.web.hot_path import timestamp
from jobserver.web.params import variations
from tests.support import settings_of

pytestmark = pytest.mark.both_databases

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def client(app: Flask, token: str) -> FlaskClient:
    """A client that is signed in."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def upload(client: FlaskClient, *sizes: int, **fields: str) -> TestResponse:
    videos = [(BytesIO(b"x" * size), f"clip{i}.mp4", "video/mp4") for i, size in enumerate(sizes)]
    return client.post("/api/jobs", data={"videos": videos, **fields})


def insert_jobs(app: Flask, *moments: float) -> None:
    """Insert job0, job1, ... made at these Unix seconds."""
    options = JobOptions(5, "subtle", 3)
    with closing(db.connect(settings_of(app).database_place)) as database:
        for i, moment in enumerate(moments):
            files = [NewFile(f"file{i}", "clip.mp4", f"file{i}.mp4", 1)]
            with db.exclusive(database, "quota"):
                queue.insert_job(database, JobDraft(f"job{i}", files, options), moment)


def set_status(app: Flask, status: str) -> None:
    """Stand in for the worker: every file of every job becomes `status`."""
    with closing(db.connect(settings_of(app).database_place)) as database, db.claiming(database):
        database.write("UPDATE job_file SET status = :status", {"status": status})


# -- creating ---------------------------------------------------------------------------


def test_an_upload_is_answered_with_the_keys_of_the_contract(client):
    answer = upload(client, 10, 20, variations="3")
    assert answer.status_code == 202
    assert list(answer.json) == [
        "jobId",
        "status",
        "files",
        "variationsPerVideo",
        "totalVariations",
        "recipe",
        "seed",
        "statusUrl",
        "ignoredFields",
        "title",
        "assets",
    ]
    job_id = answer.json["jobId"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", job_id)
    assert answer.json["status"] == "queued"
    assert [list(file) for file in answer.json["files"]] == [["id", "name", "size"]] * 2
    assert [(file["name"], file["size"]) for file in answer.json["files"]] == [
        ("clip0.mp4", 10),
        ("clip1.mp4", 20),
    ]
    assert answer.json["variationsPerVideo"] == 3
    assert answer.json["totalVariations"] == 6
    assert answer.json["statusUrl"] == answer.headers["Location"] == f"/api/jobs/{job_id}"
    assert client.get(answer.headers["Location"]).status_code == 200


def test_ids_of_jobs_and_files_are_never_the_same(client):
    answers = [upload(client, 1, 1).json for _ in range(20)]
    ids = [answer["jobId"] for answer in answers]
    ids += [file["id"] for answer in answers for file in answer["files"]]
    assert len(set(ids)) == 60


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, 5),
        ("", 5),
        ("five", 5),
        ("nan", 5),
        ("1,5", 1),
        ("0x10", 16),
        ("\0", 5),
        ("0", 1),
        ("-3", 1),
        ("1", 1),
        ("7", 7),
        (" 7 ", 7),
        ("7.9", 7),
        ("20", 20),
        ("21", 20),
        ("99", 20),
        ("9" * 5000, 20),
        ("inf", 5),
        ("-inf", 5),
    ],
)
def test_variations_are_a_number_from_1_to_20_or_5(text, number):
    assert variations(text) == number


@pytest.mark.parametrize(("sent", "number"), [("0", 1), ("99", 20), ("many", 5), ("4", 4)])
def test_variations_of_the_form_reach_the_job(client, sent, number):
    answer = upload(client, 1, 1, 1, variations=sent).json
    assert answer["variationsPerVideo"] == number
    assert answer["totalVariations"] == 3 * number
    assert client.get(answer["statusUrl"]).json["totalVariations"] == 3 * number


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"{}", "application/json"),
        (b"videos=clip.mp4", "application/x-www-form-urlencoded"),
        (b"video", "video/mp4"),
        (b"video", "multipart/form-data"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
    ],
)
def test_a_request_without_files_is_a_400(app, client, body, content_type):
    answer = client.post("/api/jobs", data=body, content_type=content_type)
    assert answer.status_code == 400
    assert list(answer.json) == ["error", "code"]
    kept = {path.name for path in settings_of(app).upload_dir.iterdir()}
    assert kept <= {".database"}  # whose folder it is, once a form was received


# -- status ---------------------------------------------------------------------------------


def test_a_status_has_the_keys_of_the_contract(client):
    created = upload(client, 10, 20, variations="2").json
    answer = client.get(created["statusUrl"])
    assert answer.status_code == 200
    assert list(answer.json) == [
        "jobId",
        "status",
        "progress",
        "totalVideos",
        "variationsPerVideo",
        "totalVariations",
        "recipe",
        "seed",
        "downloadUrl",
        "files",
        "createdAt",
        "startedAt",
        "finishedAt",
        "expiresAt",
        "queuePosition",
        "etaSeconds",
        "waitsFor",
        "error",
        "id",
        "completedVariations",
        "failedVideos",
        "cancelledVideos",
        "cancelledAt",
        "title",
        "brief",
        "variations",
        "assets",
    ]
    assert answer.json["jobId"] == created["jobId"]
    assert answer.json["status"] == "queued"
    assert answer.json["totalVideos"] == 2
    assert answer.json["totalVariations"] == 4
    kept = ("id", "name", "size", "status")
    assert [{key: file[key] for key in kept} for file in answer.json["files"]] == [
        {**file, "status": "queued"} for file in created["files"]
    ]
    assert answer.json["error"] is None


def test_a_job_expires_24_hours_after_it_was_created(app, client):
    insert_jobs(app, 1_800_000_000.25)
    job = client.get("/api/jobs/job0").json
    assert job["createdAt"] == "2027-01-15T08:00:00.250Z"
    assert job["expiresAt"] == "2027-01-16T08:00:00.250Z"


def test_a_job_was_created_now(client):
    before = timestamp(time.time())
    job = client.get(upload(client, 1).json["statusUrl"]).json
    assert before <= job["createdAt"] <= timestamp(time.time())


@pytest.mark.parametrize("seconds", [0, 0.9999, 1.0005, 1_700_000_000, 4_102_444_800.123])
def test_a_moment_is_iso_8601_utc_in_milliseconds(seconds):
    assert MOMENT.fullmatch(timestamp(seconds))


@pytest.mark.parametrize("path", ["unknown", "%00", "a%2fb", "..", "x" * 5000, "%ff", "'; --"])
def test_an_unknown_job_is_a_404_in_json(client, path):
    answer = client.get(f"/api/jobs/{path}")
    assert answer.status_code == 404
    assert list(answer.json) == ["error", "code"]


def test_an_unknown_job_is_not_found(client):
    assert client.get("/api/jobs/unknown").json == {
        "error": "Job not found",
        "code": "job_not_found",
    }


@pytest.mark.parametrize("status", ["queued", "processing", "completed", "cancelled"])
def test_a_job_that_did_not_fail_has_no_error(app, client, status):
    insert_jobs(app, 1.0)
    set_status(app, status)
    job = client.get("/api/jobs/job0").json
    assert (job["status"], job["error"]) == (status, None)
    assert [file["status"] for file in job["files"]] == [status]


def test_a_job_whose_files_all_failed_says_so(app, client):
    insert_jobs(app, 1.0)
    set_status(app, "failed")
    job = client.get("/api/jobs/job0").json
    assert job["status"] == "failed"
    assert job["error"]


def test_an_unchanged_status_is_a_304_without_a_body(app, client):
    insert_jobs(app, 1.0)
    first = client.get("/api/jobs/job0")
    etag = first.headers["ETag"]
    for match in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = client.get("/api/jobs/job0", headers={"If-None-Match": match})
        assert again.status_code == 304
        assert again.data == b""
        assert again.headers["ETag"] == etag
        assert again.headers["Cache-Control"] == "private, no-cache"


def test_a_changed_status_is_a_200_with_another_etag(app, client):
    insert_jobs(app, 1.0)
    etag = client.get("/api/jobs/job0").headers["ETag"]
    set_status(app, "processing")
    answer = client.get("/api/jobs/job0", headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.json["status"] == "processing"
    assert answer.headers["ETag"] != etag


def test_jobs_do_not_share_etags(app, client):
    insert_jobs(app, 1.0, 1.0)
    etag = client.get("/api/jobs/job0").headers["ETag"]
    assert client.get("/api/jobs/job1", headers={"If-None-Match": etag}).status_code == 200


def test_an_etag_does_not_stand_in_for_a_token(app, client):
    insert_jobs(app, 1.0)
    etag = client.get("/api/jobs/job0").headers["ETag"]
    answer = app.test_client().get("/api/jobs/job0", headers={"If-None-Match": etag})
    assert answer.status_code == 401


# -- list --------------------------------------------------------------------------------


def test_the_list_is_empty_at_first(client):
    answer = client.get("/api/jobs")
    assert (answer.status_code, answer.json) == (200, [])
    assert "Link" not in answer.headers


def test_the_list_has_the_keys_of_the_contract(client):
    created = upload(client, 1, 2, 3, variations="4").json
    [job] = client.get("/api/jobs").json
    contract = ["id", "status", "totalVideos", "totalVariations", "createdAt"]
    added = ["waitsFor", "files", "jobId", "completedVariations", "failedVideos", "cancelledVideos"]
    assert list(job) == [*contract, "expiresAt", "progress", *added, "title", "downloadUrl"]
    assert job["downloadUrl"] is None
    assert job["files"][0] == {
        "name": "clip0.mp4",
        "status": "queued",
        "completedVariations": 0,
        "thumbnailUrl": None,
    }
    assert [file["name"] for file in job["files"]] == ["clip0.mp4", "clip1.mp4", "clip2.mp4"]
    assert job["id"] == created["jobId"]
    assert (job["status"], job["totalVideos"], job["totalVariations"]) == ("queued", 3, 12)
    assert MOMENT.fullmatch(job["createdAt"])


def test_the_list_is_newest_first_and_at_most_50(app, client):
    insert_jobs(app, *range(60))
    answer = client.get("/api/jobs")
    assert [job["id"] for job in answer.json] == [f"job{i}" for i in range(59, 9, -1)]
    assert client.get("/api/jobs?limit=1000").json == answer.json


def pages(client: FlaskClient, path: str) -> list[list[str]]:
    """Follow Link from page to page; return the ids on each."""
    found = []
    while path:
        answer = client.get(path)
        found.append([job["id"] for job in answer.json])
        link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
        path = link[1] if link else ""
    return found


def test_links_lead_through_every_job_once(app, client):
    insert_jobs(app, *([1.0] * 7), *([2.0] * 7))
    found = pages(client, "/api/jobs?limit=5")
    assert [len(page) for page in found] == [5, 5, 4]
    ids = [job_id for page in found for job_id in page]
    assert set(ids[:7]) == {f"job{i}" for i in range(7, 14)}
    assert set(ids) == {f"job{i}" for i in range(14)}


def test_a_search_finds_titles_whatever_the_case_on_every_page(client):
    for title in ("Spring Sale", "SPRING 100%", "Straße", "autumn", " ", "spring_x", "Sommer"):
        assert upload(client, 1, title=title).status_code == 202
    upload(client, 1)

    def titles(words: str) -> list[str]:
        answer = client.get("/api/jobs", query_string={"q": words})
        return [job["title"] for job in answer.json]

    assert titles("spring") == ["spring_x", "SPRING 100%", "Spring Sale"]
    assert titles(" g  s") == ["Spring Sale"]
    assert titles("100%") == ["SPRING 100%"]
    assert titles("_") == ["spring_x"]
    assert titles("!") == titles("winter") == []
    assert titles("STRASSE") == ["Straße"]
    assert len(titles("")) == len(titles(" ")) == 8
    found = pages(client, "/api/jobs?limit=2&q=SPR")
    assert [len(page) for page in found] == [2, 1]
    assert client.get(f"/api/jobs?q={'x' * 201}").status_code == 400


def test_a_search_finds_names_of_files_too(client):
    hero = upload(client, 1, 1, title="Other").json["jobId"]  # clip0.mp4, clip1.mp4
    upload(client, 1)

    def found(query: str) -> list[str]:
        return [job["jobId"] for job in client.get(f"/api/jobs?{query}").json]

    assert found("q=CLIP1") == found("q=other&status=queued") == [hero]
    assert len(found("q=clip0.mp4")) == 2
    assert found("q=clip1&status=failed") == found("status=processing") == []
    assert len(found("status=queued")) == len(found("status=")) == 2
    refused = client.get("/api/jobs?status=done")
    assert (refused.status_code, refused.json["code"]) == (400, "invalid_option")


def test_a_search_that_finds_nothing_among_the_newest_leads_on(app, client, monkeypatch):
    monkeypatch.setattr(search, "WINDOW", 4)
    upload(client, 1, title="Spring")
    insert_jobs(app, *(time.time() + n for n in range(1, 10)))
    found = pages(client, "/api/jobs?q=spring&limit=3")
    assert [len(page) for page in found] == [0, 0, 1]


def test_a_last_page_that_is_full_has_no_link(app, client):
    insert_jobs(app, *range(10))
    assert [len(page) for page in pages(client, "/api/jobs?limit=5")] == [5, 5]


def test_before_shows_what_is_older(app, client):
    insert_jobs(app, *range(5))
    assert [job["id"] for job in client.get("/api/jobs?before=job2").json] == ["job1", "job0"]
    assert client.get("/api/jobs?before=job0").json == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=", "limit=many", "limit=1.5", "limit=%00", "limit=²"]
)
def test_a_limit_that_is_no_number_from_1_is_a_400(client, query):
    answer = client.get(f"/api/jobs?{query}")
    assert answer.status_code == 400
    assert "limit" in answer.json["error"]


def test_a_page_goes_on_although_the_job_at_its_end_was_deleted(app, client):
    prepare_serving(app)
    insert_jobs(app, *range(5))
    assert client.delete("/api/jobs/job2").status_code == 200
    assert [job["id"] for job in client.get("/api/jobs?before=job2").json] == ["job1", "job0"]


@pytest.mark.parametrize("query", ["before=unknown", "before=", "before=%00", "before=%ff"])
def test_a_before_that_is_no_job_is_a_400(client, query):
    answer = client.get(f"/api/jobs?{query}")
    assert answer.status_code == 400
    assert "before" in answer.json["error"]


def test_a_limit_of_5000_digits_is_the_greatest_page(app, client):
    insert_jobs(app, *range(60))
    assert len(client.get(f"/api/jobs?limit={'9' * 5000}").json) == 50


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/jobs"),
        ("DELETE", "/api/jobs"),
        ("POST", "/api/jobs/x"),
        ("PATCH", "/api/jobs"),
    ],
)
def test_another_method_is_a_405_in_json(client, method, path):
    answer = client.open(path, method=method)
    assert answer.status_code == 405
    assert list(answer.json) == ["error", "code"]
    assert answer.headers["Allow"]
