"""How a job is told in JSON: rows in, plain dictionaries out, in the order of the contract."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from jobserver.jobs.store import Order, Upload

ENDED = ("completed", "failed", "cancelled")


Link: TypeAlias = Callable[..., str]  # endpoint and its ids -> signed address


class Waiting(NamedTuple):
    """What stands before a job that has not ended, and the pace at which it goes."""

    jobs_ahead: int  # older ones that have not ended
    variations_ahead: float  # of theirs, still to render
    seconds_per_variation: float | None  # None before the first output ever
    slots: int

    @classmethod
    def of(cls, first: sqlite3.Row, slots: int) -> "Waiting":
        """Take it from the first of the job's files (store.files_of)."""
        return cls(
            first["jobs_ahead"], first["variations_ahead"], first["seconds_per_variation"], slots
        )


@lru_cache(maxsize=4096)  # of a job that is asked for again, most times are the same
def timestamp(seconds: float | None) -> str | None:
    """Return Unix seconds as ISO 8601 UTC in milliseconds: 2026-01-31T12:00:00.000Z."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def accepted(
    job_id: str, uploads: Iterable[Upload], order: Order, status_url: str
) -> dict[str, Any]:
    """Tell of a job that was just queued."""
    files = [{"id": file.id, "name": file.name, "size": file.size} for file in uploads]
    return {
        "jobId": job_id,
        "status": "queued",
        "files": files,
        "variationsPerVideo": order.variations,
        "totalVariations": order.variations * len(files),
        "recipe": order.recipe,
        "seed": order.seed,
        "statusUrl": status_url,
    }


def summary(
    row: sqlite3.Row, files: Sequence[sqlite3.Row], lifetime_s: float, link: Link
) -> dict[str, Any]:
    """Tell of a job in a list."""
    return {
        "id": row["id"],
        "status": row["status"],
        "totalVideos": row["total_videos"],
        "totalVariations": row["total_videos"] * row["variations_per_video"],
        "createdAt": timestamp(row["created_at"]),
        "expiresAt": timestamp(expires_at(row["created_at"], files, lifetime_s)),
        "progress": _percent(_share(files), ended=row["status"] in ENDED),
        "files": [
            {
                "name": file["name"],
                "status": file["status"],
                "completedVariations": file["completed_variations"],
                "thumbnailUrl": thumbnail_url(file, link),
            }
            for file in files
        ],
    }


def expires_at(created_at: float, files: Iterable[sqlite3.Row], lifetime_s: float) -> float:
    """Return when a job expires: so long after it was created or, if later, has ended."""
    return max([created_at, *(file["finished_at"] or 0.0 for file in files)]) + lifetime_s


def _share(files: Sequence[sqlite3.Row]) -> float:
    """Return 0 to 1: what has ended counts whole, however it ended."""
    done = sum(1.0 if file["status"] in ENDED else file["progress"] for file in files)
    return done / max(1, len(files))


def cancelled(row: sqlite3.Row, completed: int, now: float) -> dict[str, Any]:
    """Tell of a job that was just cancelled."""
    return {
        "jobId": row["id"],
        "status": "cancelled",
        "completedVariations": completed,
        "totalVariations": row["total_videos"] * row["variations_per_video"],
        "cancelledAt": timestamp(now),
    }


def job(
    files: Sequence[sqlite3.Row],
    outputs: Iterable[sqlite3.Row],
    waiting: Waiting | None,
    lifetime_s: float,
    link: Link,
) -> dict[str, Any]:
    """Tell all of a job from its files, which tell of it too.

    waiting: None once it has ended. link: makes a signed address.
    """
    row = files[0]
    by_file = defaultdict(list)
    for output in outputs:
        by_file[output["file_id"]].append(_output(row["job_id"], output, link))
    finished_at = max(file["finished_at"] or 0.0 for file in files) if waiting is None else None
    share = _share(files)
    started = [file["started_at"] for file in files if file["started_at"] is not None]
    return {
        "jobId": row["job_id"],
        "status": row["job_status"],
        "progress": _percent(share, ended=waiting is None),
        "totalVideos": row["total_videos"],
        "variationsPerVideo": row["variations_per_video"],
        "totalVariations": row["total_videos"] * row["variations_per_video"],
        "recipe": row["recipe"],
        "seed": row["seed"],
        "downloadUrl": link("jobs.download", job_id=row["job_id"]) if by_file else None,
        "files": [_file(file, by_file[file["id"]], link) for file in files],
        "createdAt": timestamp(row["created_at"]),
        "startedAt": timestamp(min(started, default=None)),
        "finishedAt": timestamp(finished_at),
        "expiresAt": timestamp(expires_at(row["created_at"], files, lifetime_s)),
        "queuePosition": _queue_position(row, waiting),
        "etaSeconds": _eta_s(row, share, waiting),
        "error": "Every video failed" if row["job_status"] == "failed" else None,
    }


def _queue_position(row: sqlite3.Row, waiting: Waiting | None) -> int | None:
    """Return 1 for the job that is next; None once it is being rendered."""
    return None if waiting is None or row["job_status"] != "queued" else waiting.jobs_ahead + 1


def _eta_s(row: sqlite3.Row, share: float, waiting: Waiting | None) -> int | None:
    """Guess from the pace of the latest outputs: the work of older jobs, then its own."""
    if waiting is None or waiting.seconds_per_variation is None:
        return None
    own: float = (1 - share) * row["total_videos"] * row["variations_per_video"]
    work = waiting.variations_ahead + own
    return round(work * waiting.seconds_per_variation / waiting.slots)


def thumbnail_url(row: sqlite3.Row, link: Link) -> str | None:
    """Return the signed address of a source's picture, or None before there is one."""
    if row["thumbnail"] is None:
        return None
    return link("jobs.file_thumbnail", job_id=row["job_id"], file_id=row["id"])


def source_url(row: sqlite3.Row, link: Link) -> str | None:
    """Return the signed address of a source, or None before it is known to be a video."""
    if row["sha256"] is None:
        return None
    return link("jobs.get_source", job_id=row["job_id"], file_id=row["id"])


def _file(row: sqlite3.Row, outputs: list[dict[str, Any]], link: Link) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "size": row["size"],
        "status": row["status"],
        "progress": _percent(row["progress"], ended=row["status"] == "completed"),
        "error": row["error"],
        "completedVariations": len(outputs),
        "duration": row["duration"],
        "width": row["width"],
        "height": row["height"],
        "sha256": row["sha256"],
        "url": source_url(row, link),
        "thumbnailUrl": thumbnail_url(row, link),
        "outputs": outputs,
    }


def _output(job_id: str, row: sqlite3.Row, link: Link) -> dict[str, Any]:
    ids = {"job_id": job_id, "output_id": row["id"]}
    return {
        "id": row["id"],
        "index": row["number"],
        "name": row["name"],
        "size": row["size"],
        "sha256": row["sha256"],
        "parameters": json.loads(row["parameters"]),
        "url": link("jobs.get_output", **ids),
        "thumbnailUrl": link("jobs.output_thumbnail", **ids) if row["thumbnail"] else None,
    }


def _percent(share: float, ended: bool) -> int:
    """Return 0 to 99, and 100 for what has ended: rendered is not yet published."""
    return 100 if ended else min(99, int(share * 100 + 1e-9))
