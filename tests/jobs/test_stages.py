"""Which files of a job with a brief may be worked on, and what the end of one means for others."""

import random
from collections.abc import Callable
from contextlib import closing

import pytest

from jobserver.db import Connection, Place, connect, exclusive
from jobserver.jobs import queries, queue, shots
from jobserver.jobs.model import Claim
from jobserver.jobs.stages import JOINS, PROBE, SHOTS
from tests.jobs import steps
from tests.jobs.steps import NOW, claim, claim_next
from tests.jobs.test_races import at_once

pytestmark = pytest.mark.both_databases

VIDEOS, HOOK, MUSIC = ("job.0", "job.1"), "job.2", "job.3"
EVERY = (*VIDEOS, HOOK, MUSIC)


@pytest.fixture
def brief(db: Connection) -> Connection:
    """A database with one job: two videos, a hook, music."""
    steps.insert_draft(db, steps.brief_draft("job"), NOW)
    return db


def states(db: Connection) -> dict[str, tuple[str, int, int]]:
    """Status, stage and ready of each file."""
    query = "SELECT id, status, stage, ready FROM job_file"
    return {row[0]: tuple(row[1:]) for row in db.execute(query).fetchall()}


def by_id(db: Connection) -> dict[str, Claim]:
    """Claim all that can be; return the claims by file."""
    found = {}
    while held := claim_next(db):
        found[held.id] = held
    return found


def probe_all(db: Connection) -> None:
    for held in by_id(db).values():
        steps.probed(db, held)


def list_failed(db: Connection, file_id: str, number: int) -> None:
    with exclusive(db, "publish"):
        db.write(
            """INSERT INTO failed_output (file_id, number, name, axes, reason)
               VALUES (:file_id, :number, 'a', '{}', 'No.')""",
            {"file_id": file_id, "number": number},
        )


# -- who waits for whom -------------------------------------------------------------------


def test_no_shots_are_made_before_the_last_part_is_probed(brief: Connection) -> None:
    held = by_id(brief)
    assert set(held) == set(EVERY)
    for file_id in (*VIDEOS, MUSIC):
        assert steps.probed(brief, held[file_id]).raised == 0
        assert claim_next(brief) is None
    assert steps.probed(brief, held[HOOK]).raised == 4
    assert {each.id: each.stage for each in by_id(brief).values()} == dict.fromkeys(EVERY, SHOTS)


def test_a_part_that_fails_its_probe_is_waited_for_no_longer(brief: Connection) -> None:
    held = by_id(brief)
    for file_id in (*VIDEOS, MUSIC):
        steps.probed(brief, held[file_id])
    assert steps.failed(brief, held[HOOK]).raised == 3
    assert set(by_id(brief)) == {*VIDEOS, MUSIC}


def test_joins_wait_for_the_shots_of_every_asset_and_of_no_other_video(brief: Connection) -> None:
    probe_all(brief)
    held = by_id(brief)
    assert steps.joining(brief, held[VIDEOS[0]]).raised == 0
    assert steps.finished(brief, held[MUSIC]).raised == 0
    assert claim_next(brief) is None
    assert steps.finished(brief, held[HOOK]).raised == 1
    found = claim(brief)
    assert (found.id, found.stage) == (VIDEOS[0], JOINS)
    assert steps.joining(brief, held[VIDEOS[1]]).raised == 1


def test_an_asset_that_fails_is_waited_for_no_longer(brief: Connection) -> None:
    probe_all(brief)
    held = by_id(brief)
    steps.finished(brief, held[MUSIC])
    for file_id in VIDEOS:
        steps.joining(brief, held[file_id])
    assert steps.failed(brief, held[HOOK]).raised == 2
    assert set(by_id(brief)) == set(VIDEOS)


def test_a_claim_that_is_only_given_back_raises_nobody(brief: Connection) -> None:
    held = by_id(brief)
    for file_id in (*VIDEOS, MUSIC):
        steps.probed(brief, held[file_id])
    assert steps.reschedule(brief, held[HOOK], 0, NOW)
    assert by_id(brief).keys() == {HOOK}


# -- the end of a job ---------------------------------------------------------------------


def test_a_job_ends_with_its_last_video_whatever_is_unfinished_of_its_assets(
    brief: Connection,
) -> None:
    held = by_id(brief)
    steps.failed(brief, held[VIDEOS[0]])
    assert states(brief)[HOOK] == ("processing", PROBE, 1)
    steps.failed(brief, held[VIDEOS[1]])
    assert [states(brief)[file_id][0] for file_id in (HOOK, MUSIC)] == ["cancelled"] * 2
    job = queries.find_job(brief, "job")
    assert job is not None
    assert job.status == "failed"
    assert queue.length(brief) == 0
    kinds = brief.column("SELECT kind FROM event WHERE file_id IS NULL ORDER BY id")
    assert kinds == ["job.queued", "job.processing", "job.failed"]
    assert not steps.renew(brief, held[HOOK], 0.5, NOW)


def test_a_job_without_a_brief_has_no_stages(db: Connection) -> None:
    steps.insert_job(db, "plain", files=2)
    held = claim(db)
    assert (held.stage, held.planned) == (PROBE, None)
    assert steps.publish(db, held, 1)
    assert states(db) == {"plain.0": ("processing", 0, 1), "plain.1": ("queued", 0, 1)}


# -- what becomes of shots ----------------------------------------------------------------


def kept(db: Connection) -> set[str]:
    return set(shots.of_job(db, "job"))


def test_shots_go_with_the_last_video_that_may_need_them(brief: Connection) -> None:
    probe_all(brief)
    held = by_id(brief)
    for file_id, key in ((VIDEOS[0], "a"), (VIDEOS[1], "b"), (HOOK, "h")):
        steps.insert_shot(brief, held[file_id], key)
    for file_id in VIDEOS:
        steps.joining(brief, held[file_id])
    for file_id in (HOOK, MUSIC):
        steps.finished(brief, held[file_id])
    first, second = claim(brief), claim(brief)
    assert steps.finished(brief, first, 1, 2, 3).unneeded == ["outputs/job/a.mp4"]
    assert kept(brief) == {"b", "h"}
    assert set(steps.failed(brief, second).unneeded) == {"outputs/job/b.mp4", "outputs/job/h.mp4"}
    assert kept(brief) == set()


def test_shots_of_a_part_that_has_failed_go(brief: Connection) -> None:
    probe_all(brief)
    held = by_id(brief)
    steps.insert_shot(brief, held[HOOK], "h")
    steps.insert_shot(brief, held[VIDEOS[0]], "a")
    assert steps.failed(brief, held[HOOK]).unneeded == ["outputs/job/h.mp4"]
    assert kept(brief) == {"a"}


# -- again ----------------------------------------------------------------------------------


def test_a_retry_of_a_broken_hook_makes_the_outputs_that_needed_it(brief: Connection) -> None:
    held = by_id(brief)
    for file_id in (*VIDEOS, MUSIC):
        steps.probed(brief, held[file_id])
    steps.failed(brief, held[HOOK])
    held = by_id(brief)
    steps.finished(brief, held[VIDEOS[0]], 1, 2)
    list_failed(brief, VIDEOS[0], 3)
    steps.finished(brief, held[VIDEOS[1]], 1, 2)
    assert queries.find_job(brief, "job").status == "completed"  # type: ignore[union-attr]
    assert steps.retry(brief, "job") == 3  # the hook, the music that nobody needed, one video
    assert states(brief) == {
        VIDEOS[0]: ("queued", SHOTS, 0),
        VIDEOS[1]: ("completed", SHOTS, 1),
        HOOK: ("queued", PROBE, 1),
        MUSIC: ("queued", SHOTS, 0),
    }
    assert brief.value("SELECT COUNT(*) FROM failed_output") == 0
    assert brief.value("SELECT progress FROM job_file WHERE id = 'job.0'") == pytest.approx(2 / 3)
    steps.probed(brief, claim(brief))
    assert list(by_id(brief)) == [HOOK, MUSIC, VIDEOS[0]]


def test_a_retry_of_a_video_lets_the_shots_of_its_assets_be_made_again(brief: Connection) -> None:
    probe_all(brief)
    held = by_id(brief)
    steps.insert_shot(brief, held[HOOK], "h")
    for file_id in (HOOK, MUSIC):
        steps.finished(brief, held[file_id])
    for file_id in VIDEOS:
        steps.joining(brief, held[file_id])
    steps.finished(brief, claim(brief), 1, 2, 3)
    assert steps.failed(brief, claim(brief)).unneeded == ["outputs/job/h.mp4"]
    assert steps.retry(brief, "job") == 1
    assert states(brief) == {
        VIDEOS[0]: ("completed", JOINS, 1),
        VIDEOS[1]: ("queued", SHOTS, 1),
        HOOK: ("queued", SHOTS, 1),
        MUSIC: ("queued", SHOTS, 1),
    }


def test_a_retry_beside_a_video_that_is_joined_lets_it_wait_for_what_is_made_again(
    brief: Connection,
) -> None:
    held = by_id(brief)
    for file_id in (*VIDEOS, MUSIC):
        steps.probed(brief, held[file_id])
    steps.failed(brief, held[HOOK])
    held = by_id(brief)
    steps.finished(brief, held[MUSIC])
    steps.joining(brief, held[VIDEOS[0]])
    joined = claim(brief)
    list_failed(brief, VIDEOS[0], 3)
    assert steps.retry(brief, "job") == 1
    assert steps.release(brief, joined, NOW)  # it goes on with what it had begun
    hook = claim(brief)
    assert (hook.id, claim_next(brief)) == (HOOK, None)
    steps.probed(brief, hook)
    found = by_id(brief)
    assert {each.id: each.stage for each in found.values()} == dict.fromkeys(
        (VIDEOS[0], HOOK, MUSIC), SHOTS
    )


def test_a_retry_finds_nothing_in_a_job_that_lacks_nothing(brief: Connection) -> None:
    probe_all(brief)
    for held in by_id(brief).values():
        steps.finished(brief, held)
    before = states(brief)
    assert steps.retry(brief, "job") == 0
    assert states(brief) == before


# -- at once --------------------------------------------------------------------------------


def test_of_stages_that_end_at_once_the_last_raises_all(place: Place, db: Connection) -> None:
    for n in range(10):
        steps.insert_draft(db, steps.brief_draft(f"job{n}"), NOW - n)
        held = [claim(db) for _ in range(4)]
        ends: list[Callable[[Connection], int]] = [
            lambda own, each=each: steps.probed(own, each).raised  # type: ignore[misc]
            for each in held
        ]
        assert sorted(at_once(place, *ends)) == [0, 0, 0, 4]
        steps.cancel(db, f"job{n}")


def test_the_end_of_a_job_waits_for_no_worker_that_waits_for_it(
    place: Place, db: Connection
) -> None:
    """The last video ends its assets while their workers renew their leases."""
    for n in range(10):
        steps.insert_draft(db, steps.brief_draft(f"job{n}"), NOW - n)
        *assets, first, last = [claim(db) for _ in range(4)]
        steps.failed(db, first)

        def renew(own: Connection, each: Claim) -> int:
            return sum(steps.renew(own, each, k / 100, NOW) for k in range(random.randint(5, 20)))

        ended, *renewed = at_once(
            place,
            lambda own, last=last: len(steps.failed(own, last).unneeded),  # type: ignore[misc]
            *[lambda own, each=each: renew(own, each) for each in assets],  # type: ignore[misc]
        )
        assert ended == 0
        assert all(isinstance(each, int) for each in renewed), renewed
        assert queries.find_job(db, f"job{n}").status == "failed"  # type: ignore[union-attr]
    with closing(connect(place)) as own:
        assert queue.length(own) == 0
