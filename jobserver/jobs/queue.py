"""The queue: the tables of jobs are it. One function, one statement; `db` first, `now` last.

A file's life: queued -> claimed (processing) -> completed, failed or cancelled. A claim holds a
lease that its worker renews; once the lease has ended another worker may claim the file.
Every write of a claim names its token, so a worker that lost the file changes nothing.

Every function that writes needs the caller's transaction; it records events, and where the job
stands now, in it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jobserver.brief.seeds import file_seed
from jobserver.db import Connection
from jobserver.errors import QueueFull
from jobserver.jobs import events, stages, standing, webhooks
from jobserver.jobs.model import Claim, JobDraft, SourceFacts
from jobserver.jobs.search import title_key


class NewOutput(NamedTuple):
    """A whole variation in the store; see model.Output. hashes: see differences.py."""

    id: str
    number: int
    name: str
    size: int
    sha256: str
    crc32: int
    parameters: Mapping[str, Any]
    seconds: float
    thumbnail: str | None
    made_with: str
    place: str | None = None
    thumbnail_place: str | None = None
    axes: Mapping[str, Any] | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    loudness: Mapping[str, Any] | None = None
    hashes: str | None = None
    source_bits: float | None = None
    opening_bits: float | None = None
    nearest_bits: float | None = None
    nearest_output: str | None = None


def length(db: Connection) -> int:
    """Return how many files wait or are rendered, from one row that triggers keep."""
    files: int = db.value("SELECT files FROM queue_length")
    return files


def require_room(db: Connection, most: int, incoming: int) -> None:
    """Raise QueueFull when so many files more would be more than `most`.

    For certain only in the transaction that queues them, whose caller holds `exclusive`.
    """
    if length(db) + incoming > most:
        raise QueueFull(most)


def insert_job(db: Connection, draft: JobDraft, now: float) -> None:
    """Queue one job with its files: once the transaction commits, it is promised.

    The caller holds `exclusive("quota")`, where quota.reserve() has made room for it.
    """
    options = draft.options
    db.write(
        """INSERT INTO job (id, title, title_key, brief, variations_per_video, total_outputs,
                            recipe, seed, created_at)
           VALUES (:id, :title, :title_key, :brief, :variations, :total_outputs, :recipe, :seed,
                   :now)""",
        {
            "id": draft.id,
            "title": draft.title,
            "title_key": draft.title and title_key(draft.title),
            "brief": draft.brief,
            "total_outputs": draft.total_outputs,
            "now": now,
            **options._asdict(),
        },
    )
    db.write_many(
        """INSERT INTO job_file (id, job_id, position, name, stored_name, size, role, planned,
                                 weight, own_seed)
           VALUES (:id, :job_id, :position, :name, :stored_name, :size, :role, :planned,
                   :weight, :seed)""",
        [
            {
                "job_id": draft.id,
                # assets come before videos: then the first outputs wait for one video, not for all
                "position": position if file.role == "video" else position - len(draft.files),
                "seed": file_seed(options.seed, position),
                "weight": None if draft.brief is None else 0,  # the worker knows it
                **file._asdict(),
            }
            for position, file in enumerate(draft.files)
        ],
    )
    if draft.webhook is not None:
        webhooks.insert(db, draft.id, draft.webhook)
    standing.add(db, draft.id, draft.key_id)
    events.record_changes(db, draft.id, now)


_CLAIMABLE = """
    file.status >= 'processing' AND file.ready = 1
    AND (file.lease_until <= :now OR file.lease_until > :now + 2 * :lease_s)
    AND (file.not_before <= :now OR file.not_before > :now + 3600)"""
_NEXT = f"""
    SELECT file.id FROM job_standing AS job CROSS JOIN job_file AS file
    WHERE job.files > 0 AND file.job_id = job.job_id AND {_CLAIMABLE}
    ORDER BY job.turn, job.created_at, job.job_id, file.status, file.position
    LIMIT 1"""  # noqa: S608  constants
# CROSS JOIN: SQLite looks at jobs first, by their turns. >= 'processing': or 'queued', so that an
# index has a job's files in their sequence.
_CLAIM = f"""
    UPDATE job_file
    SET status = 'processing', worker = :worker, claim_token = claim_token + 1,
        lease_until = :now + :lease_s, served_at = :now, attempts = attempts + 1,
        started_at = COALESCE(started_at, :now)
    WHERE id = {{next}}
    RETURNING {", ".join(Claim._fields)}"""  # noqa: S608  constants
NEAR = 8  # files that a worker may name
# Of the job whose turn it is, a file that is named before any other.
_NEAR = f"""
    SELECT file.id FROM job_file AS file
    WHERE file.stored_name IN ({", ".join(f":near{n}" for n in range(NEAR))}) AND {_CLAIMABLE}
      AND file.job_id = (SELECT job_id FROM job_file WHERE id = ({_NEXT}))
    ORDER BY file.status, file.position
    LIMIT 1"""  # noqa: S608  constants


def claim(
    db: Connection, worker: str, lease_s: float, now: float, *, near: Sequence[str] = ()
) -> Claim | None:
    """Give the next waiting file to this worker, or return None when there is none.

    worker: name shown to operators. lease_s: seconds until another worker may take over. near:
    stored names of files that the worker need not fetch, the best first: of the job that is next
    it gets one of these, if it can. One UPDATE is atomic, so no two workers hold one file.

    Next is the job that was served longest ago, or waits longest for its first time, so that
    none starves another; of its files the one already begun. A lease further away than any
    that is renewed was given before the clock was set back: it has ended too, and no time in
    the future puts a job behind others.
    What is passed over are files that others render, that wait after a failed attempt, or for
    other files of their job (not `ready`).
    Source: https://sqlite.org/lang_returning.html (SQLite 3.35 or newer).
    """
    standing.forget_future(db, now)
    skip_locked = db.skip_locked("file")
    chosen = f"({_NEXT} {skip_locked})"
    values = {"worker": worker, "lease_s": lease_s, "now": now}
    if near:
        chosen = f"COALESCE(({_NEAR} {skip_locked}), {chosen})"
        values |= {f"near{n}": (*near[:NEAR], *[near[0]] * NEAR)[n] for n in range(NEAR)}
    found = db.one(Claim, _CLAIM.format(next=chosen), values)
    if found is not None:
        standing.serve(db, found.job_id, now)
        if events.record_change(db, found.job_id, found.id, now):
            standing.touch(db, found.job_id)
    return found


def has_claimable(db: Connection, lease_s: float, now: float) -> bool:
    """Return whether claim() would find a file; reads only, so idle workers disturb nobody."""
    return bool(db.value(f"SELECT EXISTS ({_NEXT})", {"lease_s": lease_s, "now": now}))


def renew(db: Connection, claim: Claim, progress: float, *, lease_s: float, now: float) -> bool:
    """Extend a lease and record progress (0 to 1, never less); False when the file is lost.

    What stands before other jobs is counted when the claim ends: all workers would wait for
    each other's heartbeats to write the same sums.
    """
    assignments = """lease_until = :now + :lease_s,
        progress = CASE WHEN progress < :progress THEN :progress ELSE progress END"""
    values = {"progress": progress, "lease_s": lease_s, "now": now}
    renewed = _write(db, claim, assignments, values)
    if renewed:
        standing.touch(db, claim.job_id)
    return renewed


def record_source(db: Connection, claim: Claim, facts: SourceFacts) -> bool:
    """Record what the source is; False when the file is lost."""
    assignments = """duration = :duration, width = :width, height = :height, sha256 = :sha256,
        thumbnail = :thumbnail, thumbnail_place = :thumbnail_place, facts = :facts,
        credentials = :credentials"""
    return _update(db, claim, assignments, facts._asdict())


def release(db: Connection, claim: Claim, progress: float, now: float) -> bool:
    """End a claim that went well while variations are missing; False when the file is lost.

    progress: 0 to 1, what is published now. The file waits for its next claim in its turn.
    The token grows, so that a renewal that comes late does not take the file back.
    """
    return _update(db, claim, _RELEASED, {"progress": progress, "now": now})


def advance(db: Connection, claim: Claim, stage: int, progress: float, now: float) -> bool:
    """End a claim, and with it a stage of a file of a brief; False when the file is lost.

    It waits until stages.settle(), which comes next, lets it go on.
    """
    values = {"stage": stage, "progress": progress, "now": now}
    return _update(db, claim, f"stage = :stage, ready = 0, {_RELEASED}", values)


def finish(db: Connection, claim: Claim, now: float) -> bool:
    """End a claim after which nothing is missing; False when the file is lost.

    The outputs must be inserted in the same transaction.
    """
    assignments = f"status = 'completed', finished_at = :now, {_RELEASED}"
    return _update(db, claim, assignments, {"progress": 1.0, "now": now})


_RELEASED = """claim_token = claim_token + 1, lease_until = 0, attempts = 0,
    progress = :progress, served_at = :now"""


def insert_outputs(db: Connection, claim: Claim, outputs: Iterable[NewOutput], now: float) -> None:
    """List published outputs of a file, after release() or finish() said that it was held."""
    rows = [
        {
            **output._asdict(),
            "parameters": json.dumps(dict(output.parameters)),
            "axes": _json_or_none(output.axes),
            "loudness": _json_or_none(output.loudness),
            "file_id": claim.id,
            "now": now,
        }
        for output in outputs
    ]
    db.write_many(
        """INSERT INTO output
               (id, file_id, number, name, size, sha256, crc32, parameters, seconds, thumbnail,
                made_with, place, thumbnail_place, axes, width, height, duration, loudness,
                hashes, source_bits, opening_bits, nearest_bits, nearest_output, created_at)
           VALUES (:id, :file_id, :number, :name, :size, :sha256, :crc32, :parameters, :seconds,
                   :thumbnail, :made_with, :place, :thumbnail_place, :axes, :width, :height,
                   :duration, :loudness, :hashes, :source_bits, :opening_bits, :nearest_bits,
                   :nearest_output, :now)""",
        rows,
    )
    ids = [row["id"] for row in rows]
    standing.touch(db, claim.job_id)
    events.record_outputs(db, claim.job_id, claim.id, kind="output.ready", ids=ids, now=now)
    events.record_change(db, claim.job_id, claim.id, now)


def _json_or_none(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value))


def fail(db: Connection, claim: Claim, reason: str, now: float) -> bool:
    """End a claimed file as failed; `reason` is a sentence for people."""
    assignments = "status = 'failed', error = :reason, finished_at = :now, lease_until = 0"
    failed = _update(db, claim, assignments, {"reason": reason, "now": now})
    events.record_change(db, claim.job_id, claim.id, now)
    return failed


def reschedule(
    db: Connection, claim: Claim, delay_s: float, *, now: float, counted: bool = True
) -> bool:
    """Give a claimed file back; it may be claimed again after `delay_s`. False when it is lost.

    counted: this was one of its MAX_ATTEMPTS. The token grows as in release().
    """
    values = {"at": now + delay_s, "uncounted": 0 if counted else 1}
    assignments = """claim_token = claim_token + 1, lease_until = 0, not_before = :at,
        attempts = attempts - :uncounted"""
    return _update(db, claim, assignments, values)


def cancel(db: Connection, job_id: str, now: float) -> int:
    """Cancel what waits or runs of a job; return how many files.

    What there is of shots is needed no more: shots.drop_unneeded().
    """
    query = """
        UPDATE job_file
        SET status = 'cancelled', claim_token = claim_token + 1, lease_until = 0,
            finished_at = :now
        WHERE job_id = :id AND status IN ('queued', 'processing')"""
    count = db.write(query, {"id": job_id, "now": now})
    if count:
        standing.update(db, job_id)
        events.record_changes(db, job_id, now)
    return count


def retry(db: Connection, job_id: str, now: float) -> int:
    """Queue again what a job lacks: its failed and cancelled files, and with a brief its videos

    that lack outputs. Returns how many those are; the caller asks require_room() when they count.
    """
    query = f"""
        UPDATE job_file
        SET {stages.AGAIN},
            progress = COALESCE((SELECT COUNT(*) FROM output WHERE file_id = job_file.id) * 1.0
                / NULLIF(COALESCE(planned, (SELECT variations_per_video FROM job
                                            WHERE id = job_file.job_id)), 0), 0)
        WHERE job_id = :id AND ({stages.LACKING})
          AND EXISTS (SELECT 1 FROM job WHERE id = :id AND removed_at IS NULL)"""  # noqa: S608
    count = db.write(query, {"id": job_id})
    if count:
        stages.reopen(db, job_id)
        standing.update(db, job_id)
        events.record_changes(db, job_id, now)
    return count


def is_held(db: Connection, file_id: str, claim_token: int) -> bool:
    """Return whether a claim with this token holds the file, be its lease over or not."""
    query = """
        SELECT 1 FROM job_file
        WHERE id = :id AND claim_token = :token AND status = 'processing'"""
    return db.value(query, {"id": file_id, "token": claim_token}) is not None


def _update(db: Connection, claim: Claim, assignments: str, values: Mapping[str, Any]) -> bool:
    """Write to a claimed file, and where its job stands then; False when it is lost."""
    changed = _write(db, claim, assignments, values)
    if changed:
        standing.update(db, claim.job_id)
    return changed


def _write(db: Connection, claim: Claim, assignments: str, values: Mapping[str, Any]) -> bool:
    """Write to a claimed file; False when another claim has it, or it was cancelled."""
    query = f"""
        UPDATE job_file SET {assignments}
        WHERE id = :id AND claim_token = :claim_token AND status = 'processing'"""  # noqa: S608
    return db.write(query, {**values, "id": claim.id, "claim_token": claim.claim_token}) == 1
