"""The queue: who gets which file when, and what somebody who lost it can still do: nothing."""

import random
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest

from jobserver.db import connect, initialise, transaction
from jobserver.jobs import store

LEASE_S = 30.0
NOW = 1_800_000_000.0
YEAR = 365 * 24 * 3600.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    initialise(tmp_path / "db.sqlite3")
    with closing(connect(tmp_path / "db.sqlite3")) as db:
        yield db


def queue(db: sqlite3.Connection, job_id: str, files: int = 1, at: float = NOW) -> None:
    """Queue a job whose files are named `<job id>.<n>`, n from 0."""
    names = [f"{job_id}.{n}" for n in range(files)]
    uploads = [store.Upload(name, "clip.mp4", f"{name}.mp4", 1) for name in names]
    store.insert_job(db, job_id, uploads, store.Order(20, "subtle", 0), 0, at)


def claim(db: sqlite3.Connection, now: float = NOW, worker: str = "w") -> sqlite3.Row | None:
    return store.claim(db, worker, LEASE_S, now)


def claimed(db: sqlite3.Connection, now: float) -> str:
    row = claim(db, now)
    return row["id"] if row else ""


def let_go(db: sqlite3.Connection, file: sqlite3.Row, now: float, last: bool = False) -> bool:
    with transaction(db):
        return store.let_go(db, file, 0.25, last, now)


def file_row(db: sqlite3.Connection, file_id: str) -> dict:
    return dict(db.execute("SELECT * FROM job_file WHERE id = ?", [file_id]).fetchone())


def claim_all(path: Path) -> list[str]:
    """Claim until nothing is left; return the ids (in a process of its own)."""
    with closing(connect(path, 30)) as db:
        return [row["id"] for row in iter(lambda: claim(db), None)]


def test_of_several_processes_each_file_is_claimed_by_one(tmp_path: Path, db: sqlite3.Connection):
    for n in range(10):
        queue(db, f"job{n}", files=10)
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        lists = list(pool.map(claim_all, [tmp_path / "db.sqlite3"] * 3))
    everything = [file_id for ids in lists for file_id in ids]
    assert sorted(everything) == sorted(f"job{n}.{m}" for n in range(10) for m in range(10))


def test_a_claim_has_a_lease_and_a_token_that_grows(db: sqlite3.Connection):
    queue(db, "a")
    first = claim(db, NOW, "one")
    assert (first["status"], first["worker"], first["token"]) == ("processing", "one", 1)
    assert first["lease_until"] == NOW + LEASE_S
    assert claim(db, NOW + LEASE_S - 1, "two") is None
    second = claim(db, NOW + LEASE_S, "two")
    assert (second["worker"], second["token"], second["attempts"]) == ("two", 2, 2)
    assert second["started_at"] == first["started_at"] == NOW


def test_a_renewed_lease_is_longer_and_its_progress_never_less(db: sqlite3.Connection):
    queue(db, "a")
    file = claim(db)
    assert store.renew(db, file, 0.5, LEASE_S, NOW + 20)
    assert store.renew(db, file, 0.25, LEASE_S, NOW + 21)
    assert claim(db, NOW + 50) is None
    assert file_row(db, "a.0")["progress"] == 0.5
    assert claimed(db, NOW + 51) == "a.0"


def lose_to_another(db: sqlite3.Connection) -> None:
    assert claimed(db, NOW + LEASE_S) == "a.0"


def lose_to_a_cancel(db: sqlite3.Connection) -> None:
    assert store.cancel(db, "a", NOW) == 1


def lose_to_cancel_and_retry(db: sqlite3.Connection) -> None:
    lose_to_a_cancel(db)
    assert store.retry(db, "a") == 1


@pytest.mark.parametrize("lose", [lose_to_another, lose_to_a_cancel, lose_to_cancel_and_retry])
def test_whoever_lost_a_file_can_write_nothing_about_it(db: sqlite3.Connection, lose):
    queue(db, "a")
    file = claim(db)
    lose(db)
    before = file_row(db, "a.0")
    facts = {"duration": 1.0, "width": 1, "height": 1, "sha256": "0", "thumbnail": None}
    assert not store.renew(db, file, 0.9, LEASE_S, NOW)
    assert not store.note_media(db, file, facts)
    assert not let_go(db, file, NOW)
    assert not let_go(db, file, NOW, last=True)
    assert not store.fail(db, file, "No.", NOW)
    assert not store.try_later(db, file, 0, NOW)
    assert not store.is_held(db, "a.0", file["token"])
    assert file_row(db, "a.0") == before


@pytest.mark.parametrize("way", ["let go", "later"])
def test_a_heartbeat_that_comes_late_does_not_take_a_file_back(db: sqlite3.Connection, way: str):
    queue(db, "a")
    file = claim(db)
    assert let_go(db, file, NOW) if way == "let go" else store.try_later(db, file, 0, NOW)
    assert not store.renew(db, file, 0.5, LEASE_S, NOW)
    assert claimed(db, NOW) == "a.0"


def test_a_lease_from_before_the_clock_was_set_back_has_ended(db: sqlite3.Connection):
    queue(db, "a")
    assert claimed(db, NOW + YEAR) == "a.0"
    assert claimed(db, NOW) == "a.0"
    assert claim(db, NOW - 1) is None  # a second is no set clock


def test_a_delay_from_before_the_clock_was_set_back_is_not_waited_for(db: sqlite3.Connection):
    queue(db, "a")
    assert store.try_later(db, claim(db, NOW + YEAR), 30, NOW + YEAR)
    assert claimed(db, NOW) == "a.0"


def test_a_year_forward_and_back_puts_no_job_behind_the_others(db: sqlite3.Connection):
    queue(db, "served", at=NOW - 20)
    assert let_go(db, claim(db, NOW + YEAR), NOW + YEAR)
    queue(db, "made", at=NOW + YEAR)
    queue(db, "present", files=9, at=NOW - 10)
    turns = {claim(db, NOW + second)["job_id"] for second in range(3)}
    assert turns == {"served", "made", "present"}


def test_a_job_of_one_waits_for_one_group_of_a_large_job_and_no_more(db: sqlite3.Connection):
    queue(db, "large", files=10)
    for second in range(4):
        assert let_go(db, claim(db, NOW + second), NOW + second)
    running = claim(db, NOW + 10)
    queue(db, "small", at=NOW + 11)
    assert let_go(db, running, NOW + 12)
    assert claimed(db, NOW + 13) == "small.0"


def test_a_stream_of_small_jobs_does_not_keep_a_large_one_waiting(db: sqlite3.Connection):
    queue(db, "large", files=10)
    served = []
    for second in range(20):
        queue(db, f"small{second}", at=NOW + second)
        file = claim(db, NOW + second)
        served.append(file["job_id"])
        assert let_go(db, file, NOW + second, last=file["job_id"] != "large")
    turns = [n for n, job_id in enumerate(served) if job_id == "large"]
    assert len(turns) >= 4
    assert served[1:4] != ["large"] * 3


def test_a_file_that_was_begun_is_ended_before_the_next_of_its_job(db: sqlite3.Connection):
    queue(db, "a", files=3)
    for second in range(4):
        file = claim(db, NOW + second)
        assert file["id"] == "a.0"
        assert let_go(db, file, NOW + second, last=second == 3)
    assert claimed(db, NOW + 5) == "a.1"
    assert claimed(db, NOW + 6) == "a.2"


def test_older_jobs_come_first_when_none_was_served(db: sqlite3.Connection):
    queue(db, "b", at=NOW - 1)
    queue(db, "a", at=NOW - 2)
    queue(db, "c", at=NOW - 3)
    assert [claimed(db, NOW) for _ in range(4)] == ["c.0", "a.0", "b.0", ""]


def test_an_attempt_that_counts_is_repeated_after_its_delay(db: sqlite3.Connection):
    queue(db, "a")
    assert store.try_later(db, claim(db), 30, NOW)
    assert claim(db, NOW + 29) is None
    assert claim(db, NOW + 30)["attempts"] == 2


def test_what_is_not_the_fault_of_the_file_uses_up_no_attempt(db: sqlite3.Connection):
    queue(db, "a")
    for second in range(10):
        file = claim(db, NOW + second)
        assert file["attempts"] == 1
        assert store.try_later(db, file, 0, NOW + second, counted=False)


def test_a_group_that_went_well_gives_the_next_all_its_attempts(db: sqlite3.Connection):
    queue(db, "a")
    assert store.try_later(db, claim(db), 0, NOW)
    file = claim(db, NOW)
    assert file["attempts"] == 2
    assert let_go(db, file, NOW)
    assert claim(db, NOW)["attempts"] == 1


def test_has_waiting_says_what_claim_finds(db: sqlite3.Connection):
    """In random states of five files; both answers come up often."""
    chance = random.Random(3)
    queue(db, "a", files=3)
    queue(db, "b", files=2)
    answers = []
    for _ in range(200):
        for file_id in ("a.0", "a.1", "a.2", "b.0", "b.1"):
            state = chance.choice(["queued", "processing", "completed", "failed", "cancelled"])
            times = [NOW + chance.choice([-YEAR, -60, -1, 0, 1, 29, 61, YEAR]) for _ in range(2)]
            db.execute(
                "UPDATE job_file SET status = ?, lease_until = ?, not_before = ? WHERE id = ?",
                [state if chance.random() < 0.5 else "completed", *times, file_id],
            )
        waiting = store.has_waiting(db, LEASE_S, NOW)
        assert waiting == (claim(db) is not None)
        answers.append(waiting)
    assert 20 < sum(answers) < 180
