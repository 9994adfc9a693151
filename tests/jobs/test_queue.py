"""The queue: which worker gets which file when; a worker that lost a file can change nothing."""

import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from jobserver.db import Connection, Place, claiming, connect
from jobserver.jobs import events, queries, queue
from jobserver.jobs.model import Claim, File
from tests.jobs import steps
from tests.jobs.steps import LEASE_S, NOW, claim, claim_next, claimed_id, insert_job

pytestmark = pytest.mark.both_databases

YEAR = 365 * 24 * 3600.0


def row_of(db: Connection, file_id: str) -> dict[str, Any]:
    return steps.row_of(db, "job_file", file_id)


def file_of(db: Connection, file_id: str) -> File:
    return next(file for file in queries.files_of(db, file_id[:1]) if file.id == file_id)


def claim_all(path: Path) -> list[str]:
    """Claim until nothing is left; return the ids (in a process of its own)."""
    with closing(connect(path, 30)) as db:
        return [found.id for found in iter(lambda: claim_next(db), None)]


# -- claims ---------------------------------------------------------------------------


def test_of_several_processes_each_file_is_claimed_by_one(place: Place, db: Connection) -> None:
    for n in range(10):
        insert_job(db, f"job{n}", files=10)
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        lists = list(pool.map(claim_all, [place] * 3))
    everything = [file_id for ids in lists for file_id in ids]
    assert sorted(everything) == sorted(f"job{n}.{m}" for n in range(10) for m in range(10))


def test_a_claim_has_a_lease_and_a_token_that_grows(db: Connection) -> None:
    insert_job(db, "a")
    first = claim(db, NOW, "one")
    before = row_of(db, "a.0")
    assert (before["status"], before["worker"]) == ("processing", "one")
    assert (first.claim_token, first.attempts) == (before["claim_token"], before["attempts"])
    assert (first.claim_token, first.attempts) == (1, 1)
    assert before["lease_until"] == NOW + LEASE_S
    assert claim_next(db, NOW + LEASE_S - 1, "two") is None
    second = claim(db, NOW + LEASE_S, "two")
    after = row_of(db, "a.0")
    assert (after["worker"], second.claim_token, second.attempts) == ("two", 2, 2)
    assert after["started_at"] == before["started_at"] == NOW


def test_a_claim_names_what_a_worker_needs_of_the_file(db: Connection) -> None:
    insert_job(db, "a", files=2)
    first = claim(db)
    assert first == Claim(
        id="a.0",
        job_id="a",
        claim_token=1,
        attempts=1,
        progress=0.0,
        name="clip0.mp4",
        stored_name="a.0.mp4",
        size=100,
        sha256=None,
        own_seed=3,
    )
    assert steps.record_source(db, first)
    assert steps.renew(db, first, 0.5, NOW)
    second = claim(db, NOW + LEASE_S)
    assert second == first._replace(claim_token=2, attempts=2, progress=0.5, sha256="ab" * 32)


def test_a_renewed_lease_is_longer_and_its_progress_never_less(db: Connection) -> None:
    insert_job(db, "a")
    held = claim(db)
    assert steps.renew(db, held, 0.5, NOW + 20)
    assert steps.renew(db, held, 0.25, NOW + 21)
    assert claim_next(db, NOW + 50) is None
    assert file_of(db, "a.0").progress == 0.5
    assert claimed_id(db, NOW + 51) == "a.0"


def test_a_claim_that_is_past_its_lease_is_held_until_another_takes_the_file(
    db: Connection,
) -> None:
    insert_job(db, "a")
    held = claim(db)
    assert steps.renew(db, held, 0.5, NOW + 2 * LEASE_S)
    assert queue.is_held(db, "a.0", held.claim_token)
    assert claimed_id(db, NOW + 3 * LEASE_S) == "a.0"
    assert not queue.is_held(db, "a.0", held.claim_token)


# -- lost files -----------------------------------------------------------------------


def lose_to_another(db: Connection) -> None:
    assert claimed_id(db, NOW + LEASE_S) == "a.0"


def lose_to_a_cancel(db: Connection) -> None:
    assert steps.cancel(db, "a") == 1


def lose_to_cancel_and_retry(db: Connection) -> None:
    lose_to_a_cancel(db)
    assert steps.retry(db, "a") == 1


@pytest.mark.parametrize("lose", [lose_to_another, lose_to_a_cancel, lose_to_cancel_and_retry])
def test_a_worker_that_lost_a_file_can_write_nothing_about_it(
    db: Connection, lose: Callable[[Connection], None]
) -> None:
    insert_job(db, "a")
    held = claim(db)
    lose(db)
    before = row_of(db, "a.0"), events.events_of(db, "a")
    assert not steps.renew(db, held, 0.9, NOW)
    assert not steps.record_source(db, held)
    assert not steps.release(db, held, NOW)
    assert not steps.publish(db, held, 1, 2)
    assert not steps.publish(db, held, 1, 2, last=True)
    assert not steps.fail(db, held, NOW)
    assert not steps.reschedule(db, held, 0)
    assert not queue.is_held(db, "a.0", held.claim_token)
    assert (row_of(db, "a.0"), events.events_of(db, "a")) == before
    assert queries.outputs_of(db, "a") == []


ENDS = {
    "released": lambda db, held: steps.release(db, held, NOW),
    "rescheduled": lambda db, held: steps.reschedule(db, held, 0),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_heartbeat_that_comes_late_does_not_take_a_file_back(
    db: Connection, end: Callable[[Connection, Claim], bool]
) -> None:
    insert_job(db, "a")
    held = claim(db)
    assert end(db, held)
    assert not steps.renew(db, held, 0.5, NOW)
    assert claimed_id(db) == "a.0"


# -- attempts -----------------------------------------------------------------------------


def test_an_attempt_that_counts_is_repeated_after_its_delay(db: Connection) -> None:
    insert_job(db, "a")
    assert steps.reschedule(db, claim(db), 30)
    assert claim_next(db, NOW + 29) is None
    assert claim(db, NOW + 30).attempts == 2


def test_what_is_not_the_fault_of_the_file_uses_up_no_attempt(db: Connection) -> None:
    insert_job(db, "a")
    for second in range(10):
        held = claim(db, NOW + second)
        assert held.attempts == 1
        assert steps.reschedule(db, held, 0, NOW + second, counted=False)


def test_a_group_that_went_well_gives_the_next_all_its_attempts(db: Connection) -> None:
    insert_job(db, "a")
    assert steps.reschedule(db, claim(db), 0)
    held = claim(db)
    assert held.attempts == 2
    assert steps.release(db, held, NOW)
    assert claim(db).attempts == 1


# -- how a file ends, and begins again ----------------------------------------------------


def test_a_source_is_recorded_once_it_is_known(db: Connection) -> None:
    insert_job(db, "a")
    facts = steps.FACTS._replace(duration=12.48, width=1080, height=1920, thumbnail="a.webp")
    assert steps.record_source(db, claim(db), facts)
    file = file_of(db, "a.0")
    assert (file.duration, file.width, file.height) == (12.48, 1080, 1920)
    assert (file.sha256, file.thumbnail) == ("ab" * 32, "a.webp")
    assert claim(db, NOW + LEASE_S).sha256 == "ab" * 32


def test_a_finished_file_has_all_progress_and_a_time(db: Connection) -> None:
    insert_job(db, "a")
    assert steps.publish(db, claim(db), 1, 2, now=NOW + 9, last=True)
    file = file_of(db, "a.0")
    assert (file.status, file.progress, file.finished_at) == ("completed", 1.0, NOW + 9)
    assert [(each.number, each.created_at) for each in queries.outputs_of(db, "a")] == [
        (1, NOW + 9),
        (2, NOW + 9),
    ]


def test_a_failed_file_has_a_reason_that_a_retry_forgets(db: Connection) -> None:
    insert_job(db, "a", files=2)
    assert steps.fail(db, claim(db), NOW + 1, "This video cannot be read.")
    failed = file_of(db, "a.0")
    assert (failed.status, failed.finished_at) == ("failed", NOW + 1)
    assert failed.error == "This video cannot be read."
    assert steps.retry(db, "a") == 1
    queued = file_of(db, "a.0")
    assert (queued.status, queued.error, queued.finished_at) == ("queued", None, None)


def test_a_retry_gives_all_attempts_and_keeps_what_is_published(db: Connection) -> None:
    insert_job(db, "a", variations=8)
    assert steps.publish(db, claim(db), 1, 2)
    for _ in range(2):
        steps.reschedule(db, claim(db), 0)
    assert steps.fail(db, claim(db), NOW)
    assert steps.retry(db, "a") == 1
    assert file_of(db, "a.0").progress == 0.25
    assert queries.published_numbers(db, "a.0") == {1, 2}
    assert claim(db).attempts == 1


@pytest.mark.parametrize("step", [steps.cancel, steps.retry])
def test_nothing_of_an_unknown_job_is_cancelled_or_queued_again(
    db: Connection, step: Callable[[Connection, str], int]
) -> None:
    insert_job(db, "a")
    assert step(db, "b") == 0
    assert file_of(db, "a.0").status == "queued"


def test_a_write_without_a_transaction_is_refused(db: Connection) -> None:
    insert_job(db, "a")
    held = claim(db)
    before = row_of(db, "a.0")
    for write in (
        lambda: queue.renew(db, held, 0.5, lease_s=LEASE_S, now=NOW),
        lambda: queue.release(db, held, 0.5, NOW),
        lambda: queue.finish(db, held, NOW),
        lambda: queue.fail(db, held, "No.", NOW),
        lambda: queue.reschedule(db, held, 0, now=NOW),
        lambda: queue.cancel(db, "a", NOW),
        lambda: queue.retry(db, "a", NOW),
    ):
        with pytest.raises(RuntimeError, match="transaction"):
            write()
    assert row_of(db, "a.0") == before


# -- idle workers -------------------------------------------------------------------------


def test_a_file_that_waits_for_others_of_its_job_is_passed_over(db: Connection) -> None:
    insert_job(db, "a", files=2)
    insert_job(db, "b")
    with claiming(db):
        db.write("UPDATE job_file SET ready = 0 WHERE id = 'a.0'")
    assert [steps.claimed_id(db) for _ in range(3)] == ["a.1", "b.0", ""]
    assert not queue.has_claimable(db, LEASE_S, NOW)
    with claiming(db):
        db.write("UPDATE job_file SET ready = 1, stage = 2 WHERE id = 'a.0'")
    held = claim(db)
    assert (held.id, held.role, held.stage) == ("a.0", "video", 2)


def test_has_claimable_says_what_claim_finds(db: Connection) -> None:
    """In random states of five files; both answers come up often."""
    chance = random.Random(3)
    insert_job(db, "a", files=3)
    insert_job(db, "b", files=2)
    answers = []
    for _ in range(200):
        with claiming(db):
            for file_id in ("a.0", "a.1", "a.2", "b.0", "b.1"):
                state = chance.choice(["queued", "processing", "completed", "failed", "cancelled"])
                lease, not_before = (
                    NOW + chance.choice([-YEAR, -60, -1, 0, 1, 29, 61, YEAR]) for _ in range(2)
                )
                status = state if chance.random() < 0.5 else "completed"
                db.write(
                    "UPDATE job_file SET status = :status, lease_until = :lease,"
                    " not_before = :not_before WHERE id = :id",
                    {"status": status, "lease": lease, "not_before": not_before, "id": file_id},
                )
        claimable = queue.has_claimable(db, LEASE_S, NOW)
        assert claimable == (claim_next(db) is not None)
        answers.append(claimable)
    assert 20 < sum(answers) < 180


def test_has_claimable_needs_no_lock(place: Place, db: Connection) -> None:
    insert_job(db, "a")
    with closing(connect(place)) as other, claiming(other):
        assert queue.has_claimable(db, LEASE_S, NOW)
