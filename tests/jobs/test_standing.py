"""Where jobs stand is what the rows say, though it is kept; it costs the same at any length."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db as database
from jobserver.db import Connection, claiming, exclusive
from jobserver.db.migrations import SCRIPTS
from jobserver.jobs import glance, queries, queue, retention, standing, sweep
from jobserver.jobs.model import Claim
from tests.jobs import steps
from tests.jobs.house import House
from tests.jobs.steps import LEASE_S, NOW, insert_job, vm_steps

pytestmark = pytest.mark.both_databases

DAY = 24 * 3600.0

# -- what is kept is what the rows say ------------------------------------------------------


def counted(db: Connection) -> dict[str, tuple[int, int]]:
    """Return of each job how many files are unfinished, and their work in millionths."""
    query = """
        SELECT job.id, status, progress, COALESCE(planned, variations_per_video)
        FROM job JOIN job_file ON job_file.job_id = job.id"""
    found: dict[str, tuple[int, int]] = {}
    for job_id, status, progress, variations in db.execute(query).fetchall():
        files, work = found.get(job_id, (0, 0))
        if status in ("queued", "processing"):
            files, work = files + 1, work + round((1 - progress) * variations * 1e6)
        found[job_id] = files, work
    return found


def kept(db: Connection) -> dict[str, tuple[int, int]]:
    rows = db.execute("SELECT job_id, files, work FROM job_standing").fetchall()
    return {job_id: (files, work) for job_id, files, work in rows}


def check_kept(db: Connection, renewed: set[str], before: dict[str, tuple[int, int]]) -> None:
    """Fail unless what is kept is what the rows say.

    renewed: jobs whose heartbeats said that more is done; counted once a claim ends, as `before`
    until then.
    """
    now, said = kept(db), counted(db)
    assert now.keys() == said.keys()
    for job_id, found in now.items():
        if found == said[job_id]:
            renewed.discard(job_id)
        else:
            assert job_id in renewed
            assert found == before[job_id]
            assert (found[0], found[1] > said[job_id][1]) == (said[job_id][0], True)
        glanced = glance.glance(db, job_id, NOW)
        assert glanced is None or round(glanced.variations_left * 1e6) == said[job_id][1]


def check_sums(db: Connection) -> None:
    """Fail unless every block has the sum of its jobs, and none is empty."""
    rows = db.execute("SELECT place, work FROM job_standing WHERE files > 0").fetchall()
    sums: dict[tuple[int, int], tuple[int, int]] = {}
    for place, work in rows:
        for shift in (0, 3, 6, 9, 12, 15, 18, 21):
            jobs, total = sums.get((shift, place >> shift), (0, 0))
            sums[shift, place >> shift] = jobs + 1, total + work
    stored = db.execute("SELECT shift, block, jobs, work FROM queue_sum").fetchall()
    assert {(shift, block): (jobs, work) for shift, block, jobs, work in stored} == sums


def check_estimates(db: Connection, arrived: list[str]) -> None:
    """Fail unless each waiting job knows what came before it and is unfinished."""
    jobs, work = 0, 0
    for job_id in arrived:
        files, own = kept(db)[job_id]
        if files:
            state = queries.job_state(db, job_id)
            assert state is not None
            assert state.estimate is not None
            assert state.estimate.jobs_ahead == jobs
            assert round(state.estimate.variations_ahead * 1e6) == work
            jobs, work = jobs + 1, work + own


# As claim() chose before turns were kept: from all rows.
NEXT = """
    SELECT file.id FROM job_file AS file JOIN job ON job.id = file.job_id
    WHERE file.status IN ('queued', 'processing')
      AND (file.lease_until <= :now OR file.lease_until > :now + 2 * :lease_s)
      AND (file.not_before <= :now OR file.not_before > :now + 3600)
    ORDER BY COALESCE((SELECT MAX(served_at) FROM job_file
                       WHERE job_id = job.id AND served_at <= :now),
                      CASE WHEN job.created_at <= :now THEN job.created_at ELSE 0 END),
             job.created_at, job.id, file.status = 'queued', file.position
    LIMIT 1"""


class Walk:
    """Random steps of many jobs' lives, by a clock that is set now and then."""

    def __init__(self, db: Connection, seed: int) -> None:
        self.db, self.draw = db, random.Random(seed)
        self.now = NOW
        self.arrived: list[str] = []
        self.held: list[Claim] = []
        self.renewed: set[str] = set()  # jobs of which more is rendered than is counted
        self.claims = 0

    def step(self) -> None:
        self.now += self.draw.choice((0, 1.5, 7, 40, 40, 40))
        if self.draw.random() < 0.03:
            self.now += self.draw.choice((-DAY, -3600, -90, 90, 3600, DAY))
        deed = self.draw.choice(
            (
                *(self.insert, self.claim, self.claim, self.claim, self.end, self.end),
                *(self.renew, self.cancel, self.retry, self.remove, self.lose_output),
            )
        )
        deed()

    def insert(self) -> None:
        job_id = f"job{len(self.arrived) + self.claims:04}"
        files, variations = self.draw.randint(1, 3), self.draw.choice((1, 3, 20))
        insert_job(self.db, job_id, files, variations=variations, at=self.now)
        self.arrived.append(job_id)

    def claim(self) -> None:
        expected = self.db.value(NEXT, {"now": self.now, "lease_s": LEASE_S})
        assert queue.has_claimable(self.db, LEASE_S, self.now) == (expected is not None)
        found = steps.claim_next(self.db, self.now)
        assert (found and found.id) == expected
        if found is not None:
            self.claims += 1
            self.held.append(found)

    def renew(self) -> None:
        if self.held:
            held, share = self.draw.choice(self.held), self.draw.random()
            if steps.renew(self.db, held, share, self.now):
                self.renewed.add(held.job_id)

    def end(self) -> None:
        if not self.held:
            return
        held = self.held.pop(self.draw.randrange(len(self.held)))
        self.draw.choice(
            (
                lambda: steps.release(self.db, held, self.now, self.draw.random()),
                lambda: self.publish(held, last=False),
                lambda: self.publish(held, last=True),
                lambda: steps.fail(self.db, held, self.now),
                lambda: steps.reschedule(self.db, held, self.draw.choice((0, 5, 30)), self.now),
                lambda: None,  # its worker was killed
            )
        )()

    def publish(self, held: Claim, last: bool) -> None:
        missing = {1, 2, 3} - queries.published_numbers(self.db, held.id)
        steps.publish(self.db, held, *missing, now=self.now, last=last)

    def any_job(self) -> str:
        return self.draw.choice(self.arrived) if self.arrived else "none"

    def cancel(self) -> None:
        steps.cancel(self.db, self.any_job(), self.now)

    def retry(self) -> None:
        steps.retry(self.db, self.any_job(), self.now)

    def remove(self) -> None:
        """Expire a job if it has ended, else leave it."""
        job_id = self.any_job()
        with exclusive(self.db, "queue"):
            if retention.mark(self.db, [job_id], self.now):
                retention._delete_rows(self.db, [job_id], self.now)
                self.arrived.remove(job_id)

    def lose_output(self) -> None:
        listed = sweep._listed_files(self.db)
        if listed:
            with exclusive(self.db, "publish"):
                sweep._forget(self.db, self.draw.choice(listed), self.now)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_is_what_the_rows_say_whatever_happens(db: Connection, seed: int) -> None:
    walk = Walk(db, seed)
    for _ in range(250):
        before = kept(db)
        walk.step()
        check_kept(db, walk.renewed, before)
        check_sums(db)
        check_estimates(db, walk.arrived)
    assert walk.claims > 30
    assert standing.mend(db) == 0


def revision(db: Connection, job_id: str) -> int:
    found: int = db.value("SELECT revision FROM job_standing WHERE job_id = :id", {"id": job_id})
    return found


def test_what_is_left_of_a_brief_is_what_it_plans_of_each_video(db: Connection) -> None:
    steps.insert_draft(db, steps.brief_draft("job"), NOW)
    assert counted(db)["job"] == (4, 5_000_000)
    video = [steps.claim(db) for _ in range(3)][-1]  # behind two assets
    steps.release(db, video, NOW, progress=1 / 3)
    assert counted(db)["job"] == (4, 4_000_000)
    steps.cancel(db, "job")
    assert counted(db)["job"] == (0, 0)
    assert steps.retry(db, "job") == 4
    assert counted(db)["job"] == (4, 5_000_000)  # nothing is published


def test_a_transaction_that_is_undone_leaves_where_jobs_stand(db: Connection) -> None:
    insert_job(db, "a")
    held = steps.claim(db)
    before = kept(db), revision(db, "a")

    def finish_and_break_off() -> None:
        with exclusive(db, "publish"):
            assert queue.finish(db, held, NOW)
            assert (kept(db), revision(db, "a")) != before
            raise InterruptedError

    with pytest.raises(InterruptedError):
        finish_and_break_off()
    assert (kept(db), revision(db, "a")) == before
    check_sums(db)


# -- other programs -------------------------------------------------------------------------


def test_what_another_program_has_changed_is_found(db: Connection) -> None:
    """As a server of the version before, while this one starts."""
    for name in ("ended", "again", "same"):
        insert_job(db, name, files=2, at=NOW)
    steps.cancel(db, "again")
    unchanged = revision(db, "same")
    with exclusive(db, "queue"):
        db.write("UPDATE job_file SET status = 'completed' WHERE job_id = 'ended'")
        db.write("UPDATE job_file SET status = 'queued' WHERE job_id = 'again'")
        db.write("INSERT INTO job (id, variations_per_video, created_at) VALUES ('new', 5, 7)")
        db.write(
            """INSERT INTO job_file (id, job_id, position, name, stored_name, size)
               VALUES ('new.0', 'new', 0, 'a.mp4', 'new.mp4', 1)"""
        )
    revisions = {name: revision(db, name) for name in ("ended", "again")}
    assert standing.mend(db) == 3
    assert kept(db) == counted(db)
    check_sums(db)
    check_estimates(db, ["again", "same", "new"])
    assert {name: revision(db, name) > before for name, before in revisions.items()} == {
        "ended": True,
        "again": True,
    }
    assert revision(db, "same") == unchanged
    assert steps.claim(db).id == "new.0"  # made first
    assert standing.mend(db) == 0


def test_each_job_is_mended_in_a_transaction_of_its_own(
    db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        insert_job(db, name)
    with exclusive(db, "queue"):
        db.write("DELETE FROM job_standing")
        db.write("DELETE FROM queue_sum")
    add, begun = standing.add, []

    def add_and_break_off(db: Connection, job_id: str) -> None:
        begun.append(job_id)
        if len(begun) == 3:
            raise InterruptedError
        add(db, job_id)

    monkeypatch.setattr(standing, "add", add_and_break_off)
    with pytest.raises(InterruptedError):
        standing.mend(db)
    assert set(db.column("SELECT job_id FROM job_standing")) == set(begun[:2])
    monkeypatch.undo()
    assert standing.mend(db) == 1
    assert kept(db) == counted(db)


def test_a_round_of_the_housekeeping_mends(house: House, site_db: Connection) -> None:
    with exclusive(site_db, "queue"):
        site_db.write("INSERT INTO job (id, variations_per_video, created_at) VALUES ('a', 5, 7)")
        site_db.write(
            """INSERT INTO job_file (id, job_id, position, name, stored_name, size)
               VALUES ('a.0', 'a', 0, 'a.mp4', 'a.mp4', 1)"""
        )
    assert not queue.has_claimable(site_db, LEASE_S, NOW)
    house.after(60)
    assert queue.has_claimable(site_db, LEASE_S, NOW)


# -- what it costs ----------------------------------------------------------------------------


def filled(path: Path, jobs: int, files: int) -> None:
    """Make a database of version 7 with so many jobs of so many files; then upgrade it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for script in SCRIPTS[:7]:
            db.executescript(script)
        db.execute("INSERT INTO meta (name, value) VALUES ('schema_version', '7')")
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO job (id, variations_per_video, created_at) VALUES (?, 5, ?)",
            ((f"job{n:06}", n) for n in range(jobs)),
        )
        db.executemany(
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size)"
            " VALUES (?, ?, ?, 'a.mp4', ?, 1)",
            (
                (f"{n}.{m}", f"job{n:06}", m, f"{n}.{m}.mp4")
                for n in range(jobs)
                for m in range(files)
            ),
        )
        db.execute("COMMIT")
    database.initialise(path)


def costs(path: Path, last: str) -> dict[str, int]:
    """Return the instructions that SQLite runs for what is done most."""
    with closing(database.connect(path)) as db:
        moments = iter(range(10**6, 10**7))

        def claim() -> None:
            with claiming(db):
                assert queue.claim(db, "w", LEASE_S, next(moments)) is not None

        work: dict[str, Callable[[], object]] = {
            "claim": claim,
            "has_claimable": lambda: queue.has_claimable(db, LEASE_S, 10**6),
            "status": lambda: queries.job_state(db, last),
        }
        return {name: vm_steps(db, each) for name, each in work.items()}


def test_a_claim_and_a_status_cost_the_same_with_100_as_with_20_000_jobs(tmp_path: Path) -> None:
    few, many = tmp_path / "few.sqlite3", tmp_path / "many.sqlite3"
    filled(few, 100, 1)
    filled(many, 20_000, 1)
    small, large = costs(few, "job000099"), costs(many, "job019999")
    assert {name: large[name] / small[name] for name in small} == {
        "claim": pytest.approx(1, abs=0.05),
        "has_claimable": pytest.approx(1, abs=0.05),
        "status": pytest.approx(1, abs=0.3),
    }


def test_a_claim_costs_the_same_of_jobs_with_1_file_as_with_300(tmp_path: Path) -> None:
    few, many = tmp_path / "few.sqlite3", tmp_path / "many.sqlite3"
    filled(few, 100, 1)
    filled(many, 100, 300)
    small, large = costs(few, "none"), costs(many, "none")
    assert large["claim"] == pytest.approx(small["claim"], rel=0.05)
    assert large["has_claimable"] == pytest.approx(small["has_claimable"], rel=0.05)


def test_an_upgrade_keeps_turns_and_counts_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    filled(path, 30, 2)
    with closing(database.connect(path)) as db:
        assert kept(db) == counted(db)
        check_sums(db)
        check_estimates(db, [f"job{n:06}" for n in range(30)])
        for now in range(100, 160):
            expected = db.value(NEXT, {"now": now, "lease_s": LEASE_S})
            assert steps.claimed_id(db, now) == (expected or "")
