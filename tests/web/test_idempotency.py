"""Idempotency-Key over HTTP, without a socket: what is answered, and what is stored."""

from typing import Any

import pytest

from jobserver.db import DatabaseUnavailable
from jobserver.errors import OutcomeUnknown
from jobserver.jobs import retention
from jobserver.web import idempotency, jobs
from tests.support import FORM_TYPE, MP4_HEAD, Site, change_settings, field_part, file_part, form

pytestmark = pytest.mark.both_databases

CONTENT = MP4_HEAD + b"content" * 1000


def post(site: Site, key: str | None = "key", *parts: bytes, **headers: str) -> Any:
    body = form(*(parts or (file_part(CONTENT), field_part("variations", "3"))))
    named = {} if key is None else {"Idempotency-Key": key}
    all_headers = {**site.headers, **named, **headers}
    return site.client.post("/api/jobs", data=body, content_type=FORM_TYPE, headers=all_headers)


def jobs_of(site: Site) -> int:
    return len(site.rows("SELECT id FROM job"))


def files_of(site: Site) -> set[str]:
    return {path.name for path in site.upload_dir.iterdir() if path.name != ".database"}


def test_a_second_request_gets_the_answer_of_the_first(site: Site) -> None:
    first, files = post(site), files_of(site)
    second = post(site)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.data == first.data
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (jobs_of(site), files_of(site)) == (1, files)


def test_without_a_key_and_with_another_one_there_are_two_jobs(site: Site) -> None:
    ids = {post(site, key).json["jobId"] for key in (None, None, "a", "b", "A", "~" * 255, " !")}
    assert len(ids) == jobs_of(site) == 7
    assert site.rows("SELECT COUNT(*) FROM idempotency_key") == [(5,)]


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb", "\x7f"])
def test_a_key_that_is_none_is_a_400(site: Site, key: str) -> None:
    answer = post(site, key)
    assert answer.status_code == 400
    assert "Idempotency-Key must have 1 to 255 printable" in answer.json["error"]
    assert (jobs_of(site), files_of(site)) == (0, set())


def test_another_content_is_a_422_and_changes_nothing(site: Site) -> None:
    first, files = post(site), files_of(site)
    other = post(site, "key", file_part(CONTENT), field_part("variations", "4"))
    assert (other.status_code, other.json["error"]) == (
        422,
        "This Idempotency-Key was used for another request; choose a new one",
    )
    assert (jobs_of(site), files_of(site)) == (1, files)
    assert post(site).data == first.data


def test_a_refused_request_leaves_its_key_free(site: Site) -> None:
    assert post(site, "key", file_part(b"no video", "a.txt", "text/plain")).status_code == 400
    assert post(site, "key", field_part("seed", "7")).status_code == 400
    assert site.rows("SELECT * FROM idempotency_key") == []
    assert post(site).status_code == 202


def test_a_replay_is_refused_as_any_upload_that_is_malformed(site: Site) -> None:
    post(site)
    assert post(site, "key", file_part(b"no video", "a.txt", "text/plain")).status_code == 400
    assert post(site).headers["Idempotent-Replayed"] == "true"


def test_a_replay_needs_no_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the queue nor on the disk nor in the database: the job is there already."""
    first = post(site)
    change_settings(site.app, max_queued_files=1, min_free_space=1 << 60)
    assert post(site, "other").status_code in (503, 507)

    def unwritable(*_: Any) -> Any:
        raise AssertionError("a replay writes nothing")

    for name in ("claiming", "removing"):
        monkeypatch.setattr(idempotency, name, unwritable)
    assert post(site).data == first.data


def test_a_second_request_while_the_first_runs_is_a_409_after_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_S", 0.0)
    seen = []

    def meanwhile(*args: Any, **named: Any) -> Any:
        if not seen:
            seen.append(None)
            seen[0] = post(site)
        return make_draft(*args, **named)

    make_draft = jobs.make_draft
    monkeypatch.setattr(jobs, "make_draft", meanwhile)
    first = post(site)
    assert first.status_code == 202
    assert (seen[0].status_code, seen[0].headers["Retry-After"]) == (409, "5")
    assert jobs_of(site) == 1


def test_so_many_may_wait_and_no_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_waiting", idempotency.threading.BoundedSemaphore(1))
    monkeypatch.setattr(idempotency, "WAIT_S", 0.0)
    answers = []

    def meanwhile(*args: Any, **named: Any) -> Any:
        if not answers:
            with idempotency._waiting:
                answers.append(None)
                answers[0] = post(site)
        return make_draft(*args, **named)

    make_draft = jobs.make_draft
    monkeypatch.setattr(jobs, "make_draft", meanwhile)
    assert post(site).status_code == 202
    assert answers[0].status_code == 409


def test_who_has_lost_the_key_makes_no_job_and_leaves_no_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ended while it was receiving; another request with the key has made the job."""
    from jobserver.jobs import idempotency as rules

    monkeypatch.setattr(rules, "LEASE_S", 0.0)
    second = []

    def meanwhile(*args: Any, **named: Any) -> Any:
        if not second:
            second.append(None)
            second[0] = post(site)
        return make_draft(*args, **named)

    make_draft = jobs.make_draft
    monkeypatch.setattr(jobs, "make_draft", meanwhile)
    first = post(site)
    assert (first.status_code, second[0].status_code) == (409, 202)
    assert jobs_of(site) == len(files_of(site)) == 1
    replayed = post(site)
    assert replayed.data == second[0].data


def test_a_key_is_free_again_when_its_job_is_deleted(site: Site) -> None:
    first = post(site)
    url = first.json["statusUrl"]
    assert site.client.delete(url, headers=site.headers).status_code == 200
    again = post(site)
    assert again.status_code == 202
    assert again.json["jobId"] != first.json["jobId"]
    assert retention.marked_ids(site.connect()) == []


@pytest.mark.sqlite_only
def test_when_nobody_knows_whether_there_is_a_job_the_key_finds_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through, its answer was lost: the client repeats and gets the job."""

    class Lost(OutcomeUnknown, DatabaseUnavailable):
        pass

    connection = type(site.connect())
    commit = connection.commit

    def lost(db: Any) -> None:
        inserted = db.value("SELECT COUNT(*) FROM job")
        commit(db)
        if inserted:
            monkeypatch.undo()
            raise Lost

    monkeypatch.setattr(connection, "commit", lost)
    assert post(site).status_code == 503
    assert post(site).headers["Idempotent-Replayed"] == "true"
    assert jobs_of(site) == len(files_of(site)) == 1


def test_a_job_made_again_is_made_once(site: Site) -> None:
    job_id = post(site, None).json["jobId"]

    def again(key: str, **body: Any) -> Any:
        headers = {**site.headers, "Idempotency-Key": key}
        return site.client.post(f"/api/jobs/{job_id}/again", json=body, headers=headers)

    first, second = again("key", seed=7), again("key", seed=7)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.data == first.data
    assert second.headers["Idempotent-Replayed"] == "true"
    assert again("key", seed=8).status_code == 422
    assert post(site, "key").status_code == 422
    assert jobs_of(site) == 2
