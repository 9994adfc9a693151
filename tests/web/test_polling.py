"""An ETag of a job changes exactly when its JSON does; what is unchanged is answered at once."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from jobserver.db import Connection, claiming, exclusive
from jobserver.jobs import queries, queue, sweep, workers
from jobserver.jobs.model import Claim
from jobserver.jobs.workers import Worker
from jobserver.web import polling
from tests.jobs import steps
from tests.support import MP4_HEAD, Site, file_part
from tests.uploads.brief_parts import brief_part, parts


class Poller:
    """A client that polls one job, and compares each 304 with what it would have been sent."""

    def __init__(self, site: Site, job_id: str, query: str = "") -> None:
        self._site, self._path, self._query = site, f"/api/jobs/{job_id}", query
        self.etag, self.body = self._fetch()

    def changed(self) -> bool:
        """Poll; fail when a 304 hides a change, or the ETag changed for nothing."""
        headers = self._site.headers | {"If-None-Match": self.etag}
        polled = self._site.client.get(self._path + self._query, headers=headers)
        etag, body = self._fetch()
        assert (polled.status_code == 304) == (etag == self.etag) == (body == self.body)
        assert polled.data in (b"", body)  # what was kept of it is the same
        changed = etag != self.etag
        self.etag, self.body = etag, body
        return changed

    def _fetch(self) -> tuple[str, bytes]:
        """Get the job as if nothing of an answer had been kept."""
        for kept in ("answers", "pieces"):
            self._site.client.application.extensions[kept] = polling.Answers()
        answer = self._site.client.get(self._path + self._query, headers=self._site.headers)
        assert answer.status_code == 200
        return answer.headers["ETag"], answer.data


def post(site: Site, files: int = 1) -> str:
    job_id: str = site.post(*(file_part(MP4_HEAD, f"{n}.mp4") for n in range(files))).json["jobId"]
    return job_id


@pytest.fixture
def db(site: Site) -> Iterator[Connection]:
    with closing(site.connect()) as db:
        yield db


def renew_worker(db: Connection, waits_for: Any = None, at: float | None = None) -> None:
    worker = Worker("w", "host:1", threads=2, started_at=1.0, waits_for=waits_for)
    with claiming(db):
        workers.renew(db, worker, at or time.time())


def test_the_etag_changes_exactly_when_what_is_shown_does(site: Site, db: Connection) -> None:
    older, job_id = post(site), post(site, files=2)
    poller = Poller(site, job_id)
    held: list[Claim] = []

    def claim() -> None:
        held.append(steps.claim(db, time.time()))

    def publish(*numbers: int, last: bool = False) -> None:
        steps.publish(db, held[-1], *numbers, now=time.time(), last=last)

    def lose_an_output() -> None:
        row = next(row for row in sweep._listed_files(db) if row.job_id == job_id)
        with exclusive(db, "publish"):
            assert sweep._forget(db, row, time.time())

    def change(what: str, work: Callable[[], object]) -> None:
        work()
        assert poller.changed(), what
        assert not poller.changed(), f"again after: {what}"

    assert not poller.changed()
    change("a worker appears", lambda: renew_worker(db))
    renew_worker(db)
    assert not poller.changed()
    change("it waits for a disk", lambda: renew_worker(db, "disk_space"))
    change("it waits no more", lambda: renew_worker(db))
    claim()  # of the older job
    assert held[-1].job_id == older
    assert not poller.changed()
    post(site)  # behind it
    assert not poller.changed()
    change("the job before it has ended", lambda: steps.cancel(db, older, time.time()))
    change("its file is claimed", claim)
    assert held[-1].job_id == job_id
    change("its source is known", lambda: steps.record_source(db, held[-1]))
    change("progress", lambda: steps.renew(db, held[-1], 0.1, time.time()))
    change("outputs are published", lambda: publish(1, 2))
    change("an output is lost", lose_an_output)
    assert (steps.retry(db, job_id), steps.cancel(db, older)) == (0, 0)
    assert not poller.changed()
    claim()  # of the job behind
    claim()
    assert held[-1].job_id == job_id  # again: nothing of that is shown
    assert not poller.changed()
    change("a file failed", lambda: steps.fail(db, held[-1], time.time()))
    change("cancelled", lambda: steps.cancel(db, job_id, time.time()))
    change("queued again", lambda: steps.retry(db, job_id, time.time()))
    change("its worker dies", lambda: renew_worker(db, at=time.time() - workers.ALIVE_S - 1))
    change("another appears", lambda: renew_worker(db))


def test_the_etag_changes_with_the_parts_of_a_brief_and_what_failed(
    site: Site, db: Connection
) -> None:
    sent = (*parts("videos", "a.mp4"), *parts("hooks", "b.mp4"), brief_part(formats=["9:16"]))
    poller = Poller(site, site.post(*sent).json["jobId"])
    hook, video = steps.claim(db, time.time()), steps.claim(db, time.time())
    assert (hook.role, video.role) == ("hook", "video")
    assert poller.changed()
    assert not poller.changed()
    steps.fail(db, hook, time.time(), "This part is broken.")
    assert poller.changed()
    assert json.loads(poller.body)["assets"][0]["error"] == "This part is broken."
    with exclusive(db, "publish"):
        db.write(
            """INSERT INTO failed_output (file_id, number, name, axes, reason)
               VALUES (:id, 1, 'a_1', '{"hook": "b.mp4"}', 'This part is broken.')""",
            {"id": video.id},
        )
        assert queue.release(db, video, 0.5, time.time())
    assert poller.changed()
    assert not poller.changed()
    (file,) = json.loads(poller.body)["files"]
    assert [each["name"] for each in file["failedOutputs"]] == ["a_1"]


def test_the_etag_changes_with_the_window_of_the_links(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller, now = Poller(site, post(site)), time.time()
    monkeypatch.setattr(time, "time", lambda: now + site.settings.link_lifetime / 2)
    headers = site.headers | {"If-None-Match": poller.etag}
    assert site.client.get(poller._path, headers=headers).status_code == 200
    assert poller.etag != poller._fetch()[0]


def test_without_outputs_all_else_is_there(site: Site, db: Connection) -> None:
    job_id = post(site)
    steps.publish(db, steps.claim(db, time.time()), 1, 2, now=time.time())
    with_outputs, without = Poller(site, job_id), Poller(site, job_id, "?outputs=false")
    assert with_outputs.etag != without.etag
    shown, rest = json.loads(with_outputs.body), json.loads(without.body)
    assert len(shown["files"][0].pop("outputs")) == 2
    assert shown["files"][0].pop("failedOutputs") == []
    assert shown == rest
    assert rest["completedVariations"] == rest["files"][0]["completedVariations"] == 2


def test_an_answer_before_flask_is_that_of_flask(site: Site) -> None:
    """Also to who asks in an unusual way, without a token, for nothing, or as another server."""
    job_id = post(site)
    etag = Poller(site, job_id).etag
    app = site.client.application

    def ask(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        answer = site.client.get(path, headers=site.headers | headers)
        shown = {name: value for name, value in answer.headers if name != "X-Request-ID"}
        assert len(answer.headers["X-Request-ID"]) == 16
        return answer.status_code, shown, answer.data

    cases: list[tuple[str, dict[str, str]]] = [
        (f"/api/jobs/{job_id}{query}", {"If-None-Match": tag} if tag else {})
        for query in ("", "?outputs=false", "?outputs=true", "?a=b")
        for tag in ("", etag, f"W/{etag}", f'"other", {etag}', '"other"', "*", etag[1:-1])
    ]
    cases += [
        (f"/api/jobs/{'a' * 22}", {}),
        (f"/api/jobs/{job_id}", {"Authorization": "Bearer no"}),
        (f"/api/jobs/{job_id}", {"Authorization": ""}),
    ]
    ask(f"/api/jobs/{job_id}")
    ask(f"/api/jobs/{job_id}?outputs=false")
    before = [ask(path, **headers) for path, headers in cases]
    polls = app.wsgi_app._app  # below the limits of clients
    app.wsgi_app._app = polls._below
    assert [ask(path, **headers) for path, headers in cases] == before
    assert {status for status, _, _ in before} == {200, 304, 401, 404}


def test_an_unchanged_job_is_not_built(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    poller = Poller(site, post(site))

    def build(*_: object, **__: object) -> None:
        raise AssertionError("it was built")

    monkeypatch.setattr(queries, "job_state", build)
    unchanged = {"If-None-Match": poller.etag}
    for headers, status in (
        (site.headers | unchanged, 304),
        (site.headers, 200),
    ):
        assert site.client.get(poller._path, headers=headers).status_code == status


def test_answers_are_kept_up_to_a_size() -> None:
    answers = polling.Answers(100)
    for n in range(5):
        answers.keep(str(n), b"x" * 40)
        answers.keep("0", b"y" * 40)
    assert [answers.get(str(n)) is not None for n in range(5)] == [True, False, False, False, True]
    answers.keep("large", b"z" * 101)
    assert answers.get("large") is None
