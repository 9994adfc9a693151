"""Deliveries of webhooks: written with the change, claimed by one, repeated for a day."""

import json
from typing import Any

import pytest

from jobserver.db import Connection, claiming, exclusive
from jobserver.jobs import webhooks
from jobserver.jobs.model import WEBHOOK_EVENTS, JobDraft, JobOptions, Webhook
from jobserver.jobs.webhooks import Delivery
from tests.jobs import steps
from tests.jobs.house import DAY, HOUR, House
from tests.jobs.steps import NOW
from tests.support import Site

pytestmark = pytest.mark.both_databases

LEASE_S = 60.0
URL = "https://hooks.example/a"


def insert_job(
    db: Connection, job_id: str, *events: str, url: str = URL, files: int = 1, at: float = NOW
) -> None:
    """Queue a job whose webhook is for these events, or for all."""
    webhook = Webhook(url, events or WEBHOOK_EVENTS)
    options = JobOptions(2, "subtle", 3)
    draft = JobDraft(job_id, steps.new_files(job_id, files), options, title="T", webhook=webhook)
    steps.insert_draft(db, draft, at)


def claim(db: Connection, now: float = NOW, *busy: str) -> Delivery | None:
    with claiming(db):
        return webhooks.claim(db, LEASE_S, now, busy_hosts=busy)


def claimed(db: Connection, now: float = NOW) -> Delivery:
    found = claim(db, now)
    assert found is not None
    return found


def end(db: Connection, delivery: Delivery, answer: int | None, now: float) -> str | None:
    error = None if answer else "it hangs"
    with claiming(db):
        return webhooks.end(db, delivery, answer=answer, error=error, now=now)


def bodies(db: Connection, job_id: str) -> list[dict[str, Any]]:
    """Return what is to be posted about a job, first to last."""
    return [json.loads(each.body) for each in reversed(webhooks.deliveries_of(db, job_id))]


def cancelled(db: Connection, job_id: str = "a", **options: Any) -> None:
    """Make a job that has one delivery: that it was cancelled."""
    insert_job(db, job_id, "job.cancelled", **options)
    assert steps.cancel(db, job_id) == 1


# -- what is written --------------------------------------------------------------------------


def test_a_completed_job_has_a_delivery_for_each_output_and_one_for_itself(db: Connection) -> None:
    insert_job(db, "a")
    held = steps.claim(db)
    assert webhooks.deliveries_of(db, "a") == []
    steps.publish(db, held, 1, 2, last=True, now=NOW + 1)
    found = {(each["type"], each["data"].get("outputId")): each for each in bodies(db, "a")}
    assert set(found) == {
        ("output.ready", "a.0.1"),
        ("output.ready", "a.0.2"),
        ("job.completed", None),
    }
    assert found["job.completed", None] == {
        "type": "job.completed",
        "timestamp": "2027-01-15T08:00:01.000Z",
        "data": {
            "jobId": "a",
            "status": "completed",
            "title": "T",
            "totalVideos": 1,
            "totalVariations": 2,
            "completedVariations": 2,
            "files": [{"id": "a.0", "name": "clip0.mp4", "status": "completed", "error": None}],
        },
    }
    assert found["output.ready", "a.0.2"]["data"] == {
        "jobId": "a",
        "fileId": "a.0",
        "outputId": "a.0.2",
        "name": "a.0_var2.mp4",
        "size": 1002,
        "sha256": "cd" * 32,
    }


def test_a_job_that_fails_or_is_cancelled_has_a_delivery_once_it_has_ended(db: Connection) -> None:
    insert_job(db, "a", files=2)
    steps.fail(db, steps.claim(db), NOW, "No picture.")
    assert webhooks.deliveries_of(db, "a") == []
    steps.fail(db, steps.claim(db), NOW)
    (failed,) = bodies(db, "a")
    assert (failed["type"], failed["data"]["files"][0]["error"]) == ("job.failed", "No picture.")
    cancelled(db, "b")
    assert [each["type"] for each in bodies(db, "b")] == ["job.cancelled"]


def test_a_job_gets_the_events_alone_that_it_asked_for(db: Connection) -> None:
    insert_job(db, "a", "job.failed")
    steps.publish(db, steps.claim(db), 1, last=True)
    steps.insert_job(db, "none")
    steps.cancel(db, "none")
    assert webhooks.deliveries_of(db, "a") == webhooks.deliveries_of(db, "none") == []
    assert not webhooks.is_due(db, NOW)


def test_a_change_that_is_undone_is_not_delivered(db: Connection) -> None:
    insert_job(db, "a")
    held = steps.claim(db)

    def fails() -> None:
        with exclusive(db, "publish"):
            webhooks.record_job(db, "a", "job.failed", NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert webhooks.deliveries_of(db, "a") == []
    assert steps.publish(db, held, 1, last=True)


def test_a_job_that_is_retried_says_again_how_it_ended(db: Connection) -> None:
    cancelled(db)
    assert steps.retry(db, "a", NOW + 1) == 1
    assert steps.cancel(db, "a", NOW + 2) == 1
    first, second = webhooks.deliveries_of(db, "a")
    assert first.id != second.id


# -- who makes them ---------------------------------------------------------------------------


def test_a_delivery_has_one_claim_at_a_time_and_is_due_again_after_its_lease(
    db: Connection,
) -> None:
    cancelled(db)
    assert webhooks.is_due(db, NOW)
    first = claimed(db)
    assert claim(db) is None
    assert not webhooks.is_due(db, NOW + LEASE_S - 1)
    second = claimed(db, NOW + LEASE_S)
    assert (first.id, first.attempts, second.attempts) == (second.id, 1, 2)
    assert end(db, first, 500, NOW + LEASE_S) is None  # the other decides
    assert end(db, second, 200, NOW + LEASE_S) == "delivered"
    assert end(db, second, 500, NOW + LEASE_S) is None
    assert not webhooks.is_due(db, NOW + 2 * DAY)


def test_hosts_that_are_busy_are_left_alone(db: Connection) -> None:
    cancelled(db, "a")
    cancelled(db, "b", url="https://Other.example:8443/")
    found = claim(db, NOW, "hooks.example")
    assert found is not None
    assert (found.job_id, found.host) == ("b", "other.example")
    assert claim(db, NOW, "hooks.example", "x.example") is None
    assert claimed(db).job_id == "a"


def test_a_receiver_that_fails_is_tried_within_10_s_then_less_often_for_a_day(
    db: Connection,
) -> None:
    cancelled(db)
    now, waits = NOW, []
    while (delivery := claimed(db, now)) and end(db, delivery, 500, now) == "pending":
        due = webhooks.deliveries_of(db, "a")[0].next_at
        assert due is not None
        waits.append(due - now)
        now = due
    assert 2 < waits[0] <= 10
    assert waits[:-1] == sorted(waits[:-1])
    assert max(waits) == HOUR
    assert now == NOW + DAY
    assert 20 < len(waits) < 60
    (given_up,) = webhooks.deliveries_of(db, "a")
    assert (given_up.status, given_up.next_at, given_up.answer) == ("failed", None, 500)


@pytest.mark.parametrize("answer", [301, 400, 404, 500, 503, None])
def test_any_answer_but_2xx_and_410_is_tried_again(answer: int | None) -> None:
    for spread in (-1.0, 1.0):
        status, due = webhooks.judge(NOW, answer, spread, NOW + 10)
        assert status == "pending"
        assert due is not None
        assert 1 < due - (NOW + 10) <= 10


def test_2xx_is_delivered_and_410_stops_retries() -> None:
    for answer in (200, 202, 204, 299):
        assert webhooks.judge(NOW, answer, 0, NOW) == ("delivered", None)
    assert webhooks.judge(NOW, 410, 0, NOW) == ("failed", None)


def test_one_that_waited_longer_than_a_day_is_tried_once(db: Connection) -> None:
    cancelled(db)
    assert end(db, claimed(db, NOW + 3 * DAY), None, NOW + 3 * DAY) == "failed"


def test_a_clock_that_is_set_back_delays_nothing(db: Connection) -> None:
    cancelled(db)
    assert end(db, claimed(db, NOW), 500, NOW) == "pending"
    assert webhooks.is_due(db, NOW - DAY)
    assert end(db, claimed(db, NOW - DAY), 500, NOW - DAY) == "pending"
    due = webhooks.deliveries_of(db, "a")[0].next_at
    assert due is not None
    assert due - (NOW - DAY) <= 10


# -- the log, and what is kept ----------------------------------------------------------------


def test_a_replay_begins_a_new_day_under_the_same_id(db: Connection) -> None:
    cancelled(db)
    first = claimed(db)
    assert end(db, first, 410, NOW) == "failed"
    with claiming(db):
        assert webhooks.replay(db, "other", first.id, NOW + 2 * DAY) is None
        assert webhooks.replay(db, "a", "msg_other", NOW + 2 * DAY) is None
        assert webhooks.replay(db, "a", first.id, NOW + 2 * DAY) is not None
    again = claimed(db, NOW + 2 * DAY)
    assert (again.id, again.body, again.attempts) == (first.id, first.body, 2)
    assert end(db, again, 500, NOW + 2 * DAY) == "pending"


def test_a_delivery_outlives_its_job_until_it_has_ended(site: Site, house: House) -> None:
    db = site.connect()
    insert_job(db, "a", at=house.now)
    steps.cancel(db, "a", house.now)
    house.after(2 * DAY)
    assert site.rows("SELECT COUNT(*) FROM job") == [(0,)]
    assert site.rows("SELECT COUNT(*) FROM webhook") == [(0,)]
    delivery = claimed(db, house.now)
    assert (delivery.job_id, json.loads(delivery.body)["data"]["jobId"]) == (None, "a")
    house.after(1)
    assert site.rows("SELECT COUNT(*) FROM webhook_delivery") == [(1,)]
    assert end(db, delivery, 200, house.now) == "delivered"
    house.after(60)
    assert site.rows("SELECT COUNT(*) FROM webhook_delivery") == [(0,)]
    db.close()
