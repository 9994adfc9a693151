"""A worker delivers webhooks beside its renders, at least once, whatever the receiver does."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from standardwebhooks import Webhook

from jobserver import create_app
from jobserver.db import exclusive
from jobserver.jobs import queue
from jobserver.jobs.model import WEBHOOK_EVENTS, JobDraft, JobOptions
from jobserver.jobs.model import Webhook as Wanted
from jobserver.webhooks.address import read_allowed
from tests.jobs.steps import new_files
from tests.receiver import Receiver
from tests.support import Site, wait_for
from tests.worker.claims import StartWorker

ALLOW = {"WEBHOOK_ALLOW": "127.0.0.0/8"}
ALL = ",".join(WEBHOOK_EVENTS)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as receiver:
        yield receiver


@pytest.fixture
def site(site: Site) -> Site:
    """A site whose webhooks may go to this machine."""
    site.change_settings(webhook_allow=read_allowed(["127.0.0.0/8"]))
    return site


def secret(key: str) -> str:
    """What `flask webhook-secret` prints."""
    app = create_app({"SECRET_KEY": key})
    result = app.test_cli_runner().invoke(args=["webhook-secret"])
    assert result.exit_code == 0, result.output
    return result.output.strip()


def cancelled_jobs(site: Site, url: str, *names: str) -> None:
    """Make jobs of which there is to be delivered that they were cancelled."""
    with closing(site.connect()) as db:
        for name in names:
            webhook = Wanted(url, ("job.cancelled",))
            options = JobOptions(1, "subtle", 3)
            draft = JobDraft(name, new_files(name), options, webhook=webhook)
            with exclusive(db, "quota"):
                queue.insert_job(db, draft, db.clock())
                queue.cancel(db, name, db.clock())


def deliveries(site: Site) -> list[tuple[Any, ...]]:
    return site.rows("SELECT status, attempts, answer FROM webhook_delivery ORDER BY created_at")


def all_delivered(site: Site) -> bool:
    return {status for status, *_ in deliveries(site)} == {"delivered"}


@pytest.mark.both_databases
def test_what_happens_to_a_job_arrives_signed(
    site: Site, start_worker: StartWorker, receiver: Receiver, clip: bytes
) -> None:
    job_id = site.upload(clip, variations="2", webhook=receiver.url, webhookEvents=ALL)
    start_worker(**ALLOW)
    found = [receiver.wait() for _ in range(3)]
    verifier = Webhook(secret(site.server.settings["SECRET_KEY"]))
    for each in found:
        assert verifier.verify(each.body, each.headers)["data"]["jobId"] == job_id
        assert each.headers["Content-Type"] == "application/json"
        assert each.headers["User-Agent"].startswith("jobserver/")
    kinds = sorted(each.json["type"] for each in found)
    assert kinds == ["job.completed", "output.ready", "output.ready"]
    wait_for(lambda: all_delivered(site), what=site.state())
    path = f"/api/jobs/{job_id}/deliveries"
    (logged, *_) = site.client.get(path, headers=site.headers).json["deliveries"]
    site.client.post(f"{path}/{logged['id']}/replay", headers=site.headers)
    assert receiver.wait().headers["webhook-id"] == logged["id"]


@pytest.mark.parametrize(
    "step", ["claimed", "renamed", "committed", "delivering", "answered", "recorded"]
)
def test_a_worker_that_is_killed_at_any_step_loses_no_event(
    site: Site, start_worker: StartWorker, receiver: Receiver, clip: bytes, step: str
) -> None:
    site.upload(clip, variations="2", webhook=receiver.url, webhookEvents=ALL)
    killed = start_worker(f"{step}:KILL", LEASE_S="0.5", **ALLOW)
    assert killed.process.wait(30) == -signal.SIGKILL, killed.log()
    start_worker(LEASE_S="0.5", **ALLOW)
    wait_for(lambda: len(deliveries(site)) == 3 and all_delivered(site), 30, site.state())
    outputs = {row[0] for row in site.rows("SELECT id FROM output")}
    events = {(each.json["type"], each.json["data"].get("outputId")) for each in receiver.received}
    assert events == {("job.completed", None), *(("output.ready", each) for each in outputs)}
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 3


def test_a_receiver_that_hangs_holds_up_neither_a_render_nor_another_receiver(
    site: Site, start_worker: StartWorker, receiver: Receiver, clip: bytes
) -> None:
    with Receiver("127.0.0.2").running() as hanging:
        hanging.answer = hanging.hang
        cancelled_jobs(site, hanging.url, *(f"job{n}" for n in range(40)))
        start_worker(**ALLOW, LEASE_S="30")
        hanging.wait()
        site.upload(clip, variations="1", webhook=receiver.url)
        assert receiver.wait().json["type"] == "job.completed"
        ((count,),) = site.rows("""
            SELECT COUNT(*) FROM webhook_delivery
            WHERE attempts > 0 AND tried_at IS NULL AND host = '127.0.0.2'""")
        assert count <= 2  # of 40
        assert not any(answer for *_, answer in deliveries(site)[:40])


def test_a_receiver_that_fails_is_asked_again_and_one_that_has_gone_is_not(
    site: Site, start_worker: StartWorker, receiver: Receiver
) -> None:
    receiver.answer = 500
    with Receiver("127.0.0.2").running() as gone:
        gone.answer = 410
        cancelled_jobs(site, receiver.url, "a")
        cancelled_jobs(site, gone.url, "b")
        start_worker(**ALLOW)
        first = receiver.wait()
        wait_for(lambda: len([1 for *_, answer in deliveries(site) if answer]) == 2)
        assert sorted(deliveries(site)) == [("failed", 1, 410), ("pending", 1, 500)]
        receiver.answer = 200
        with closing(site.connect()) as db, exclusive(db, "housekeeping"):
            db.write("UPDATE webhook_delivery SET next_at = 0 WHERE next_at IS NOT NULL")
        second = receiver.wait()
        assert (second.body, second.headers["webhook-id"]) == (
            first.body,
            first.headers["webhook-id"],
        )
        wait_for(lambda: ("delivered", 2, 200) in deliveries(site))
        assert len(gone.received) == 1


def test_what_may_not_be_connected_to_is_not(
    site: Site, start_worker: StartWorker, receiver: Receiver
) -> None:
    """WEBHOOK_ALLOW has changed since the job was accepted."""
    cancelled_jobs(site, receiver.url, "a")
    start_worker()
    wait_for(lambda: site.rows("SELECT 1 FROM webhook_delivery WHERE tried_at IS NOT NULL"))
    assert deliveries(site) == [("pending", 1, None)]
    (error,) = site.rows("SELECT error FROM webhook_delivery")[0]
    assert error == "it is not allowed: must begin with https://"
    assert receiver.connections == 0


def test_a_worker_that_runs_once_delivers_before_it_ends(
    site: Site, receiver: Receiver, clip: bytes
) -> None:
    site.upload(clip, variations="1", webhook=receiver.url)
    site.server.settings |= {**ALLOW, "ENCODER_PRESET": "ultrafast"}
    done = site.server.flask("worker", "--once")
    assert done.returncode == 0, done.stderr
    assert [json.loads(each.body)["type"] for each in receiver.received] == ["job.completed"]
    assert deliveries(site) == [("delivered", 1, 204)]
    assert receiver.url not in done.stderr  # its path may be a secret


def test_the_secret_follows_from_the_secret_key() -> None:
    one = secret("key for tests")
    assert one.startswith("whsec_")
    new, old = secret("new key for tests,key for tests").splitlines()
    assert (old, new != old) == (one, True)
