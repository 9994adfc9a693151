"""A job's webhook: what is accepted, what the log says, and once more."""

from contextlib import closing
from typing import Any

import pytest

from jobserver.db import claiming
from jobserver.jobs import webhooks, workers
from jobserver.jobs.workers import Worker
from jobserver.webhooks.address import read_allowed
from tests.support import MP4_HEAD, Site, field_part, file_part

pytestmark = pytest.mark.both_databases

URL = "https://hooks.example/a?secret=1"
OF_JOBS = ["job.completed", "job.failed", "job.cancelled"]


def post(site: Site, **fields: str):
    return site.post(file_part(MP4_HEAD), *(field_part(*pair) for pair in fields.items()))


def log_of(site: Site, job_id: str) -> dict[str, Any]:
    answer = site.client.get(f"/api/jobs/{job_id}/deliveries", headers=site.headers)
    assert answer.status_code == 200
    return dict(answer.json)


def replay(site: Site, job_id: str, delivery_id: str):
    path = f"/api/jobs/{job_id}/deliveries/{delivery_id}/replay"
    return site.client.post(path, headers=site.headers)


def end_next(site: Site, answer: int | None, error: str | None = None) -> None:
    with closing(site.connect()) as db, claiming(db):
        delivery = webhooks.claim(db, 60, db.clock())
        assert delivery is not None
        webhooks.end(db, delivery, answer=answer, error=error, now=db.clock())


@pytest.mark.parametrize(
    ("given", "events"),
    [
        (None, OF_JOBS),
        ("", OF_JOBS),
        ("output.ready", ["output.ready"]),
        ("output.ready,job.failed", ["job.failed", "output.ready"]),
        (" job.failed  job.failed ,", ["job.failed"]),
    ],
)
def test_a_job_keeps_its_webhook_and_its_events(
    site: Site, given: str | None, events: list[str]
) -> None:
    job_id = post(site, webhook=URL, **({} if given is None else {"webhookEvents": given})).json[
        "jobId"
    ]
    expected = {"webhook": URL, "webhookEvents": events, "deliveries": []}
    assert log_of(site, job_id) == expected


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"webhook": "http://hooks.example/"}, "webhook must begin with https://"),
        ({"webhook": "https://127.0.0.1/"}, "webhook must not name a private address"),
        ({"webhook": "https://a@hooks.example/"}, "webhook must not have a user name"),
        ({"webhook": "hooks"}, "webhook must be a URL like https://example.com/hook"),
        ({"webhookEvents": "job.failed"}, "webhookEvents needs a webhook"),
        ({"webhook": URL, "webhookEvents": "job.queued"}, "webhookEvents must name some of: job."),
        ({"webhook": URL, "webhookEvents": ","}, "webhookEvents must name some of: job."),
    ],
)
def test_a_webhook_that_cannot_be_used_leaves_no_job(
    site: Site, fields: dict[str, str], error: str
) -> None:
    answer = post(site, **fields)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(error)
    assert site.rows("SELECT COUNT(*) FROM job") == [(0,)]


def test_a_host_that_is_allowed_may_be_private(site: Site) -> None:
    assert post(site, webhook="http://127.0.0.1:9000/").status_code == 400
    site.change_settings(webhook_allow=read_allowed(["127.0.0.1"]))
    assert post(site, webhook="http://127.0.0.1:9000/").status_code == 202


def test_the_log_says_how_each_delivery_went_newest_first(site: Site) -> None:
    job_id = post(site, webhook=URL).json["jobId"]
    site.post_action(job_id, "cancel")
    (entry,) = log_of(site, job_id)["deliveries"]
    assert entry["id"].startswith("msg_")
    assert entry["nextAttemptAt"] == entry["createdAt"]
    unchanged = ("event", "url", "status", "attempts", "lastAttemptAt", "responseStatus", "error")
    assert [entry[key] for key in unchanged] == [
        "job.cancelled",
        URL,
        *("pending", 0, None, None, None),
    ]
    end_next(site, None, "it did not answer within 10 s")
    (entry,) = log_of(site, job_id)["deliveries"]
    assert (entry["status"], entry["attempts"]) == ("pending", 1)
    assert entry["error"] == "it did not answer within 10 s"
    assert entry["nextAttemptAt"] > entry["lastAttemptAt"]
    site.post_action(job_id, "retry")
    site.post_action(job_id, "cancel")
    newest, oldest = log_of(site, job_id)["deliveries"]
    assert (newest["attempts"], oldest["id"]) == (0, entry["id"])


def test_a_delivery_can_be_made_again(site: Site) -> None:
    job_id = post(site, webhook=URL).json["jobId"]
    site.post_action(job_id, "cancel")
    end_next(site, 204)
    (entry,) = log_of(site, job_id)["deliveries"]
    assert (entry["status"], entry["responseStatus"]) == ("delivered", 204)
    assert entry["nextAttemptAt"] is None
    answer = replay(site, job_id, entry["id"])
    assert (answer.status_code, answer.json["status"]) == (202, "pending")
    end_next(site, 204)
    (entry,) = log_of(site, job_id)["deliveries"]
    assert (entry["status"], entry["attempts"]) == ("delivered", 2)


def test_what_is_not_there_is_a_404_and_nothing_is_shown_without_a_token(site: Site) -> None:
    job_id, other = (post(site, webhook=URL).json["jobId"] for _ in range(2))
    site.post_action(job_id, "cancel")
    (entry,) = log_of(site, job_id)["deliveries"]
    assert replay(site, job_id, "none").json["error"] == "Delivery not found"
    for of_job, delivery in ((job_id, "none"), (other, entry["id"]), ("none", entry["id"])):
        assert replay(site, of_job, delivery).status_code == 404
    assert site.client.get("/api/jobs/none/deliveries", headers=site.headers).status_code == 404
    assert site.client.get(f"/api/jobs/{job_id}/deliveries").status_code == 401
    path = f"/api/jobs/{job_id}/deliveries/{entry['id']}/replay"
    assert site.client.post(path).status_code == 401


def test_a_job_made_again_has_the_webhook_of_the_first_unless_it_says_otherwise(
    site: Site,
) -> None:
    job_id = post(site, webhook=URL, webhookEvents="job.failed").json["jobId"]

    def again(**body: Any) -> tuple[str | None, list[str]]:
        answer = site.client.post(f"/api/jobs/{job_id}/again", json=body, headers=site.headers)
        assert answer.status_code == 202, answer.json
        found = log_of(site, answer.json["jobId"])
        return found["webhook"], found["webhookEvents"]

    other = "https://other.example/"
    assert again() == (URL, ["job.failed"])
    assert again(webhook=None) == (None, [])
    assert again(webhook=other) == (other, ["job.failed"])
    assert again(webhook=other, webhookEvents=None) == (other, OF_JOBS)
    assert again(webhookEvents=["output.ready"]) == (URL, ["output.ready"])
    for body in ({"webhook": "no"}, {"webhook": 7}, {"webhookEvents": [7]}, {"webhookEvents": {}}):
        answer = site.client.post(f"/api/jobs/{job_id}/again", json=body, headers=site.headers)
        assert answer.status_code == 400, body


def test_while_a_worker_lives_that_knows_no_webhooks_none_is_accepted(site: Site) -> None:
    with closing(site.connect()) as db, claiming(db):
        workers.renew(db, Worker("old", "host:1", 1, db.clock(), None), db.clock())
        db.write("UPDATE worker SET database_version = 11")
    answer = post(site, webhook=URL)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert post(site).status_code == 202
