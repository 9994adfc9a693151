"""Steps of a job's life, each in a transaction of its own as its caller would open it."""

from collections.abc import Callable, Sequence
from typing import Any

from jobserver.db import Connection, claiming, exclusive
from jobserver.jobs import queue, stages
from jobserver.jobs.model import Claim, JobDraft, JobOptions, NewFile, SourceFacts
from jobserver.jobs.queue import NewOutput
from jobserver.jobs.stages import Settled

LEASE_S = 30.0
NOW = 1_800_000_000.0
FACTS = SourceFacts(duration=1.0, width=160, height=90, sha256="ab" * 32, thumbnail=None)


def row_of(db: Connection, table: str, row_id: str) -> dict[str, Any]:
    """Return a row that must be there, by column."""
    rows = db.execute(f"SELECT * FROM {table} WHERE id = :id", {"id": row_id})  # noqa: S608
    return dict(zip([column[0] for column in rows.description], rows.fetchone(), strict=True))


def new_files(job_id: str, count: int = 1) -> list[NewFile]:
    """Return uploads named `<job id>.<n>`, n from 0."""
    names = [f"{job_id}.{n}" for n in range(count)]
    return [NewFile(name, f"clip{n}.mp4", f"{name}.mp4", 100 + n) for n, name in enumerate(names)]


def brief_draft(job_id: str) -> JobDraft:
    """Return a job of two videos, a hook and a sound, whose brief plans 3 and 2 outputs."""
    one, two, hook, music = new_files(job_id, 4)
    files = [
        one._replace(planned=3),
        two._replace(planned=2),
        hook._replace(role="hook", planned=0),
        music._replace(role="music", planned=0),
    ]
    options = JobOptions(3, "subtle", 3)
    brief = '{"formats":["9:16"]}'
    return JobDraft(job_id, files, options, title="Spring", brief=brief, total_outputs=5)


def insert_draft(db: Connection, draft: JobDraft, now: float) -> None:
    with exclusive(db, "quota"):
        queue.insert_job(db, draft, now)


def insert_job(
    db: Connection, job_id: str, files: int = 1, *, variations: int = 20, at: float = NOW
) -> None:
    options = JobOptions(variations, "subtle", 3)
    insert_draft(db, JobDraft(job_id, new_files(job_id, files), options), at)


def claim_next(
    db: Connection, now: float = NOW, worker: str = "w", near: Sequence[str] = ()
) -> Claim | None:
    with claiming(db):
        return queue.claim(db, worker, LEASE_S, now, near=near)


def claim(db: Connection, now: float = NOW, worker: str = "w") -> Claim:
    """Claim a file; fail when there is none."""
    found = claim_next(db, now, worker)
    assert found is not None
    return found


def claimed_id(db: Connection, now: float = NOW, *, near: Sequence[str] = ()) -> str:
    """Claim a file; return its id, or nothing."""
    found = claim_next(db, now, near=near)
    return found.id if found else ""


def renew(db: Connection, held: Claim, progress: float, now: float) -> bool:
    with claiming(db):
        return queue.renew(db, held, progress, lease_s=LEASE_S, now=now)


def record_source(db: Connection, held: Claim, facts: SourceFacts = FACTS) -> bool:
    with claiming(db):
        return queue.record_source(db, held, facts)


def release(db: Connection, held: Claim, now: float, progress: float = 0.25) -> bool:
    with exclusive(db, "publish"):
        return queue.release(db, held, progress, now)


def publish(
    db: Connection, held: Claim, *numbers: int, now: float = NOW, last: bool = False
) -> bool:
    """List outputs of a claim and end it; False when it was lost."""
    with exclusive(db, "publish"):
        is_held = queue.finish(db, held, now) if last else queue.release(db, held, 0.5, now)
        if is_held:
            queue.insert_outputs(db, held, [new_output(held, n) for n in numbers], now)
    return is_held


def new_output(held: Claim, number: int, **values: Any) -> NewOutput:
    output = NewOutput(
        id=f"{held.id}.{number}",
        number=number,
        name=f"{held.id}_var{number}.mp4",
        size=1000 + number,
        sha256="cd" * 32,
        crc32=2**31 + number,
        parameters={"zoom": 1.01},
        seconds=2.0,
        thumbnail=None,
        made_with="jobserver",
    )
    return output._replace(**values)


def insert_shot(db: Connection, held: Claim, key: str, size: int = 10) -> None:
    with exclusive(db, "publish"):
        db.write(
            """INSERT INTO shot (job_id, file_id, key, place, size, facts, created_at)
               VALUES (:job_id, :file_id, :key, :place, :size, '{}', :now)""",
            {
                "job_id": held.job_id,
                "file_id": held.id,
                "key": key,
                "place": f"outputs/{held.job_id}/{key}.mp4",
                "size": size,
                "now": NOW,
            },
        )


def fail(db: Connection, held: Claim, now: float, reason: str = "No.") -> bool:
    with exclusive(db, "queue"):
        return queue.fail(db, held, reason, now)


def settled(db: Connection, held: Claim, end: Callable[[], bool], now: float = NOW) -> Settled:
    """End a claim of a file of a brief by `end`, and let the others follow."""
    with exclusive(db, "publish"):
        stages.lock_files(db, held.job_id)
        assert end()
        return stages.settle(db, held.job_id, now)


def probed(db: Connection, held: Claim, now: float = NOW) -> Settled:
    """End the probe of a file of a brief."""

    def end() -> bool:
        facts = FACTS._replace(facts="{}")
        assert queue.record_source(db, held, facts)
        return queue.advance(db, held, stages.SHOTS, held.progress, now)

    return settled(db, held, end, now)


def joining(db: Connection, held: Claim, now: float = NOW) -> Settled:
    """End the shots of a video."""
    return settled(db, held, lambda: queue.advance(db, held, stages.JOINS, held.progress, now), now)


def finished(db: Connection, held: Claim, *numbers: int, now: float = NOW) -> Settled:
    """Finish a file of a brief, a video with these outputs."""

    def end() -> bool:
        is_held = queue.finish(db, held, now)
        queue.insert_outputs(db, held, [new_output(held, n) for n in numbers], now)
        return is_held

    return settled(db, held, end, now)


def failed(db: Connection, held: Claim, now: float = NOW) -> Settled:
    """Fail a file of a brief."""
    return settled(db, held, lambda: queue.fail(db, held, "No.", now), now)


def reschedule(
    db: Connection, held: Claim, delay_s: float, now: float = NOW, counted: bool = True
) -> bool:
    with claiming(db):
        return queue.reschedule(db, held, delay_s, now=now, counted=counted)


def cancel(db: Connection, job_id: str, now: float = NOW) -> int:
    with exclusive(db, "queue"):
        return queue.cancel(db, job_id, now)


def retry(db: Connection, job_id: str, now: float = NOW) -> int:
    with exclusive(db, "queue"):
        return queue.retry(db, job_id, now)


def vm_steps(db: Connection, work: Callable[[], object]) -> int:
    """Return how many instructions SQLite runs for `work`, once its statements are prepared."""
    counted = [0]

    def tick() -> None:
        counted[0] += 1

    work()
    db.set_progress_handler(tick, 1)
    work()
    db.set_progress_handler(None, 1)
    return counted[0]
