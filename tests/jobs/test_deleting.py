"""Deleting jobs: step by step, so that a process may be killed at any, and amid all else."""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from jobserver.db import Connection, Place, claiming, connect, exclusive
from jobserver.files.local import LocalStore
from jobserver.jobs import queue, retention, sweep
from jobserver.jobs.quota import SpaceLimits
from jobserver.jobs.retention import BATCH
from jobserver.worker.maintenance import Housekeeper
from tests.jobs.house import AT, DAY, House, check_events, delete, make_aged_jobs, run_at_once
from tests.results import Clip, Job, check_owned, ids, make_job, published
from tests.support import MP4_HEAD, Site, file_part

pytestmark = pytest.mark.both_databases

# -- deleting, step by step ---------------------------------------------------------------


def keep_house_and_die(database: Place, store: LocalStore, step: int) -> None:
    """Do a round in a process of its own that kills itself before its nth step.

    A step is a file or folder removed, a transaction begun or committed.
    """
    steps = iter(range(step))

    def reach(*_: object) -> None:
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, _arguments: object) -> None:
        if event in ("os.remove", "os.rmdir"):
            reach()

    sys.addaudithook(audit)
    db = connect(database)
    begin, commit = db.begin, db.commit
    db.begin = lambda *, alone: (reach(), begin(alone=alone))[1]  # type: ignore[method-assign]
    db.commit = lambda: (reach(), commit())[1]  # type: ignore[method-assign]
    Housekeeper(db, store, SpaceLimits(0, 0), lifetime_s=DAY, audit_s=60).round(AT, 0)


def test_a_round_killed_at_any_step_is_finished_by_the_next(site: Site) -> None:
    fork, killed, half = multiprocessing.get_context("fork"), 0, 0
    for step in range(100):
        expired = {job.id for job in make_aged_jobs(site, 2 * DAY, 3 * DAY)}
        kept = make_job(site.server, Clip(status="queued"), Clip(), created_at=AT - 9 * DAY)
        arguments = (site.server.place, site.store, step)
        process = fork.Process(target=keep_house_and_die, args=arguments)
        process.start()
        process.join(30)
        killed += process.exitcode == -signal.SIGKILL
        for job_id in expired - ids(site.server):  # hidden as soon as it is marked
            answer = site.client.get(f"/api/jobs/{job_id}/download", headers=site.headers)
            assert answer.status_code == 410
        half += bool(site.rows("SELECT 1 FROM job WHERE removed_at IS NOT NULL"))
        House(site).after(0)
        assert ids(site.server) == {kept.id}
        check_owned(site.server)
        check_events(site)
        assert delete(site, kept.id).status_code == 200
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert killed == step > 15
    assert half > 10


def check_half_deleted(site: Site, job: Job) -> None:
    """The job is hidden, and its rows are kept for the next round."""
    assert ids(site.server) == set()
    assert site.rows("SELECT id FROM job") == [(job.id,)]
    assert site.rows("SELECT DISTINCT job_id FROM event") == [(job.id,)]


def test_an_upload_that_cannot_be_removed_keeps_its_rows_until_it_can(
    site: Site, house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make_aged_jobs(site, 2 * DAY)

    def refuse(key: str) -> None:
        raise PermissionError(key)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "delete", lambda store, key: refuse(key))
        house.after(0)
    assert f"job {job.id} could not be deleted yet: uploads/" in caplog.text
    check_half_deleted(site, job)
    house.after(60)
    assert site.rows("SELECT id FROM job") == []
    assert site.server.uploads() == {}
    check_owned(site.server)
    check_events(site)


def test_outputs_that_cannot_be_removed_keep_their_rows_until_they_can(
    site: Site, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    (job,) = make_aged_jobs(site, 2 * DAY)
    folder = site.output_dir / job.id
    shutil.rmtree(folder)
    folder.write_bytes(b"")  # rmtree() refuses a file
    house.after(0)
    assert f"job {job.id} could not be deleted yet" in caplog.text
    check_half_deleted(site, job)
    folder.unlink()
    house.after(60)
    assert site.rows("SELECT id FROM job") == []
    check_owned(site.server)
    check_events(site)


def test_one_job_that_cannot_be_removed_keeps_no_other(site: Site, house: House) -> None:
    jobs = make_aged_jobs(site, *(2 * DAY + n for n in range(5)))
    path = site.output_dir / jobs[2].id
    shutil.rmtree(path)
    path.touch()
    house.after(0)
    assert site.rows("SELECT id FROM job") == [(jobs[2].id,)]


def test_files_that_are_gone_already_are_no_failure(site: Site, house: House) -> None:
    (job,) = make_aged_jobs(site, 2 * DAY)
    shutil.rmtree(site.output_dir / job.id)
    for path in site.server.uploads().values():
        path.unlink()
    house.after(0)
    check_owned(site.server)
    assert site.rows("SELECT id FROM job") == []


def test_more_jobs_than_one_transaction_takes_go_in_one_round(
    site: Site, house: House, site_db: Connection
) -> None:
    insert = "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, 1, 0)"
    site_db.executemany(insert, [{"id": str(n)} for n in range(2 * BATCH + 1)])
    site_db.execute(
        "INSERT INTO job_file (id, job_id, position, name, stored_name, size, status)"
        " SELECT id, id, 0, 'clip', id || '.mp4', 1, 'completed' FROM job"
    )
    house.after(0)
    assert site.rows("SELECT COUNT(*) FROM expired_job") == [(2 * BATCH + 1,)]
    assert site.rows("SELECT COUNT(*) FROM job_file") == [(0,)]


# -- at once ------------------------------------------------------------------------------


def test_two_housekeepers_at_once_remove_each_job_once(site: Site) -> None:
    kept = make_job(site.server, created_at=AT)
    make_aged_jobs(site, *(2 * DAY + n for n in range(30)))

    def keep_house() -> None:
        House(site).after(0)

    run_at_once(keep_house, keep_house, keep_house)
    keep_house()  # what one left because another was at it
    assert ids(site.server) == {kept.id}
    check_owned(site.server)
    check_events(site)
    assert site.rows("SELECT COUNT(*) FROM expired_job") == [(30,)]


def test_a_delete_and_a_retry_at_once_leave_no_job(site: Site) -> None:
    for _ in range(20):
        job = make_job(site.server, Clip(outputs=[], status="failed"))
        answers: dict[str, int] = {}

        def ask(what: str, job: Job = job, answers: dict[str, int] = answers) -> None:
            answer = delete(site, job.id) if what == "delete" else site.post_action(job.id, what)
            answers[what] = answer.status_code

        run_at_once(partial(ask, "delete"), partial(ask, "retry"))
        assert answers["delete"] == 200
        assert answers["retry"] in (202, 404, 409)
        assert ids(site.server) == set()
    check_owned(site.server)


class Crowd:
    """Clients, workers and housekeepers of one site; each method is one thing that one does."""

    def __init__(self, site: Site) -> None:
        self._site = site
        on_a_server = isinstance(site.server.place, str)  # each step takes longer
        self._lifetime_s = 0.5 if on_a_server else 0.05
        self.statuses: set[tuple[str, int]] = set()
        self.promised: set[str] = set()

    def upload(self) -> None:
        answer = self._site.post(file_part(MP4_HEAD + bytes(500)))
        self._note("upload", answer)
        self.promised.add(answer.json["jobId"])

    def render(self) -> None:
        with closing(self._site.connect()) as db:
            with claiming(db):
                held = queue.claim(db, "worker", 30.0, time.time())
            if held is None:
                return
            try:
                folder = self._site.output_dir / held.job_id
                output = published(folder, held, 1, b"output")  # type: ignore[arg-type]
            except FileNotFoundError:  # deleted just now
                return
            with exclusive(db, "publish"):
                if queue.finish(db, held, time.time()):
                    queue.insert_outputs(db, held, [output], time.time())

    def look(self) -> None:
        site = self._site
        jobs = site.client.get("/api/jobs?limit=5", headers=site.headers).json
        for job in jobs:
            for what in ("download", "cancel", "retry"):
                method = "GET" if what == "download" else "POST"
                path = f"/api/jobs/{job['id']}/{what}"
                self._note(what, site.client.open(path, method=method, headers=site.headers))
        if jobs:
            self._note("delete", delete(site, jobs[-1]["id"]))

    def expire(self) -> None:
        with closing(self._site.connect()) as db:
            store, now = self._site.store, time.time()
            retention.expire(db, store, retention.expired_ids(db, self._lifetime_s, now), now)
            sweep.sweep_uploads(db, store)
            sweep.sweep_outputs(db, store)
            sweep.forget_missing(db, store, now)

    def _note(self, what: str, answer: Any) -> None:
        self.statuses.add((what, answer.status_code))
        answer.close()


def test_expiry_amid_uploads_claims_downloads_cancels_retries_and_deletes(site: Site) -> None:
    """For 2 s, and until each has succeeded once."""
    start, crowd = time.monotonic(), Crowd(site)
    wanted = {("upload", 202), ("download", 200), ("delete", 200)}

    def is_over() -> bool:
        passed = time.monotonic() - start
        return passed > 30 or (passed > 2 and wanted <= crowd.statuses)

    def repeat(action: Callable[[], None]) -> Callable[[], None]:
        def repeated() -> None:
            while not is_over():
                action()

        return repeated

    look, expire = crowd.look, crowd.expire
    run_at_once(*map(repeat, (crowd.upload, crowd.render, look, look, expire, expire)))
    House(site, now=time.time()).after(0)
    check_owned(site.server)
    check_events(site)
    assert {code for _, code in crowd.statuses} <= {200, 202, 404, 409, 410}
    assert wanted <= crowd.statuses
    known = {
        job_id for (job_id,) in site.rows("SELECT id FROM job UNION SELECT id FROM expired_job")
    }
    assert crowd.promised <= known  # none was lost without having ended or been deleted
