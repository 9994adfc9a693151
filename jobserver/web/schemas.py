"""The JSON shape of a job: typed rows in, plain dictionaries out, in the sequence of the contract.

Times are ISO 8601 UTC with `Z`, sizes bytes, durations seconds, progress whole percent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import orjson

from jobserver.brief import recipes
from jobserver.brief.model import Brief
from jobserver.jobs.model import (
    FailedOutput,
    File,
    FileSummary,
    Job,
    JobDraft,
    JobState,
    Output,
    QueueEstimate,
    expires_at,
)
from jobserver.jobs.progress import finished_at, percent, share_of
from jobserver.jobs.seeds import seed_of
from jobserver.render.measure import label
from jobserver.web import names, shapes
from jobserver.web.credentials import credentials_json
from jobserver.web.fit import placements_of
from jobserver.web.hot_path import timestamp
from jobserver.web.shapes import Reason

Link: TypeAlias = Callable[..., str]  # endpoint and its ids -> signed address


class ShownBrief(NamedTuple):
    """A brief as its client could have sent it: its JSON, and `variations` beside it, or null.

    Both encoded, as they are kept.
    """

    document: orjson.Fragment
    looks: orjson.Fragment


def accepted_json(
    draft: JobDraft, status_url: str, ignored_fields: Sequence[str]
) -> shapes.AcceptedJob:
    """Describe a job that was just queued. ignored_fields: what was sent and means nothing."""
    files: list[shapes.AcceptedFile] = [
        {"id": file.id, "name": file.name, "size": file.size} for file in draft.videos
    ]
    options = draft.options
    return {
        "jobId": draft.id,
        "status": "queued",
        "files": files,
        "variationsPerVideo": options.variations,
        "totalVariations": draft.total_variations,
        "recipe": recipes.shown(options.recipe),
        "seed": options.seed,
        "statusUrl": status_url,
        "ignoredFields": list(ignored_fields),
        "title": draft.title,
        "assets": [
            {
                "id": file.id,
                "role": cast(shapes.AssetRole, file.role),
                "name": file.name,
                "size": file.size,
                "status": "queued",
                "error": None,
            }
            for file in draft.assets
        ],
    }


def summary_json(
    job: Job,
    files: Sequence[FileSummary],
    *,
    lifetime_s: float,
    link: Link,
    waits_for: Reason | None = None,
) -> shapes.JobSummary:
    """Describe a job in the list. files: of every role."""
    videos = [file for file in files if file.role == "video"]
    completed = sum(file.completed_variations for file in videos)
    return {
        "id": job.id,
        "status": job.status,
        "totalVideos": job.total_videos,
        "totalVariations": job.total_variations,
        "createdAt": timestamp(job.created_at),
        "expiresAt": timestamp(expires_at(job.created_at, finished_at(files), lifetime_s)),
        "progress": percent(share_of(files), ended=job.ended),
        "waitsFor": waits_for,
        "files": [
            {
                "name": file.name,
                "status": file.status,
                "completedVariations": file.completed_variations,
                "thumbnailUrl": _thumbnail_url(file, link),
            }
            for file in videos
        ],
        "jobId": job.id,
        "completedVariations": completed,
        **_ended_otherwise(videos),
        "title": job.title,
        "downloadUrl": link("outputs.download", job_id=job.id) if completed else None,
    }


def cancelled_json(job: Job, completed: int, now: float) -> shapes.CancelledJob:
    """Describe a job that was just cancelled. completed: variations that stay."""
    return {
        "jobId": job.id,
        "status": "cancelled",
        "completedVariations": completed,
        "totalVariations": job.total_variations,
        "cancelledAt": timestamp(now),
    }


def job_json(
    state: JobState,
    outputs: Mapping[str, Sequence[Any]],
    *,
    workers: int,
    lifetime_s: float,
    link: Link,
    waits_for: Reason | None = None,
    variations_left: float | None = None,
    counts: Mapping[str, int] | None = None,
    failed: Sequence[FailedOutput] = (),
    brief: ShownBrief | None = None,
) -> shapes.Job:
    """Describe all of a job. outputs: what is shown of them, by number, by the file's id.

    workers: files that are rendered at once, 0 while no worker lives.
    link: see Link. waits_for: what it waits for beside its turn; it has no estimate then.
    variations_left: of its own, else what its files say.
    counts: how many outputs the files have that have any; then outputs are not shown, nor those
    that failed. failed: of its brief.
    """
    failures: dict[str, list[FailedOutput]] = {}
    for each in failed:
        failures.setdefault(each.file_id, []).append(each)
    job, files, estimate, assets = state
    made = {file_id: len(shown) for file_id, shown in outputs.items()} if counts is None else counts
    last, share = finished_at([*files, *assets]), share_of([*files, *assets])
    left = (1 - share) * job.total_variations if variations_left is None else variations_left
    begun = (file.started_at for file in (*files, *assets))
    started = [moment for moment in begun if moment is not None]
    return {
        "jobId": job.id,
        "status": job.status,
        "progress": percent(share, ended=job.ended),
        "totalVideos": job.total_videos,
        "variationsPerVideo": job.variations_per_video,
        "totalVariations": job.total_variations,
        "recipe": recipes.shown(job.recipe),
        "seed": job.seed,
        "downloadUrl": link("outputs.download", job_id=job.id) if made else None,
        "files": [
            _with_outputs(
                _file_json(job, file, made.get(file.id, 0), link),
                failures.get(file.id, ()),
                outputs.get(file.id, ()) if counts is None else None,
            )
            for file in files
        ],
        "createdAt": timestamp(job.created_at),
        "startedAt": timestamp(min(started, default=None)),
        "finishedAt": timestamp(last if job.ended else None),
        "expiresAt": timestamp(expires_at(job.created_at, last, lifetime_s)),
        "queuePosition": _queue_position(job, estimate),
        "etaSeconds": eta_s(estimate, left, 0 if waits_for else workers),
        "waitsFor": waits_for,
        "error": "Every video failed" if job.status == "failed" else None,
        "id": job.id,
        "completedVariations": sum(made.values()),
        **_ended_otherwise(files),
        "cancelledAt": timestamp(finished_at(file for file in files if file.status == "cancelled")),
        "title": job.title,
        "brief": brief and brief.document,
        "variations": brief.looks if brief else job.variations_per_video,
        "assets": [_asset_json(file, link) for file in assets],
    }


def wished_variations(job: Job, brief: Brief | None) -> int | None:
    """Return what the field `variations` of a job's upload was read as: looks, beside a brief."""
    return job.variations_per_video if brief is None else brief.looks or None


def _with_outputs(
    file: shapes.JobFile, failed: Sequence[FailedOutput], outputs: Sequence[Any] | None
) -> shapes.JobFile:
    """Return what is said of a file with its outputs; with their number alone for None."""
    file["failedVariations"] = len(failed)
    if outputs is not None:
        file["outputs"] = list(outputs)
        file["failedOutputs"] = [
            {
                "name": each.name,
                "axes": cast(shapes.OutputAxes, orjson.Fragment(each.axes)),
                "reason": each.reason,
            }
            for each in failed
        ]
    return file


def _asset_json(file: File, link: Link) -> shapes.JobAsset:
    return {
        "id": file.id,
        "role": cast(shapes.AssetRole, file.role),
        "name": file.name,
        "size": file.size,
        "status": file.status,
        "progress": percent(file.progress, ended=file.status == "completed"),
        "error": file.error,
        "duration": rounded(file.duration),
        "width": file.width,
        "height": file.height,
        "sha256": file.sha256,
        "url": _source_url(file, link),
        "thumbnailUrl": _thumbnail_url(file, link),
        "contentCredentials": credentials_json(file),
    }


def _ended_otherwise(files: Sequence[File | FileSummary]) -> shapes.EndedOtherwise:
    """Count the videos that ended without all their variations: `completed` jobs may have some."""
    statuses = [file.status for file in files]
    return {
        "failedVideos": statuses.count("failed"),
        "cancelledVideos": statuses.count("cancelled"),
    }


def _queue_position(job: Job, estimate: QueueEstimate | None) -> int | None:
    """Return 1 for the job that is next; None once it is being rendered."""
    return None if estimate is None or job.status != "queued" else estimate.jobs_ahead + 1


def eta_s(estimate: QueueEstimate | None, left: float, workers: int) -> int | None:
    """Estimate from the pace of the latest outputs: the work of older jobs, then its own.

    left: variations that it still waits for. workers: as of job_json().
    """
    if estimate is None or estimate.seconds_per_variation is None or not workers:
        return None
    work = estimate.variations_ahead + left
    return round(work * estimate.seconds_per_variation / workers)


def _thumbnail_url(file: File | FileSummary, link: Link) -> str | None:
    """Return the signed address of a source's picture, or None before there is one."""
    if file.thumbnail is None:
        return None
    return link("outputs.file_thumbnail", job_id=file.job_id, file_id=file.id)


def _source_url(file: File, link: Link) -> str | None:
    """Return the signed address of a source, or None before it is known to be a video."""
    if file.sha256 is None:
        return None
    return link("outputs.get_source", job_id=file.job_id, file_id=file.id)


def _file_json(job: Job, file: File, completed: int, link: Link) -> shapes.JobFile:
    return {
        "id": file.id,
        "name": file.name,
        "size": file.size,
        "status": file.status,
        "progress": percent(file.progress, ended=file.status == "completed"),
        "error": file.error,
        "completedVariations": completed,
        "totalVariations": job.variations_per_video if file.planned is None else file.planned,
        "duration": rounded(file.duration),
        "width": file.width,
        "height": file.height,
        "sha256": file.sha256,
        "seed": seed_of(job, file),
        "url": _source_url(file, link),
        "thumbnailUrl": _thumbnail_url(file, link),
        "contentCredentials": credentials_json(file),
        "failedVariations": 0,
    }


def rounded(seconds: float | None) -> float | None:
    """Return milliseconds as people read them."""
    return None if seconds is None else round(seconds, 3)


def output_json(job_id: str, output: Output, stem: str, link: Link) -> shapes.JobOutput:
    """Describe one variation. stem: what the name it is saved under begins with.

    axes are None without a brief.
    """
    ids = {"job_id": job_id, "output_id": output.id}
    return {
        "id": output.id,
        "index": output.number,
        "name": output.name,
        "size": output.size,
        "sha256": output.sha256,
        "parameters": orjson.loads(output.parameters),
        "url": link("outputs.get_output", **ids),
        "thumbnailUrl": link("outputs.output_thumbnail", **ids) if output.thumbnail else None,
        "downloadName": names.variation_name(stem, output),
        "axes": orjson.loads(output.axes) if output.axes else None,
        "width": output.width,
        "height": output.height,
        "duration": rounded(output.duration),
        "loudness": orjson.loads(output.loudness) if output.loudness else None,
        "placements": placements_of(output),
        "difference": difference_json(output),
    }


def difference_json(output: Output) -> shapes.Difference | None:
    """Say how far an output is from its source and its nearest sibling: bits of 64.

    None of one that was published before this was measured.
    """
    source, nearest = output.source_bits, output.nearest_bits
    if source is None and nearest is None:
        return None
    return {
        "source": source,
        "opening": output.opening_bits,
        "nearest": nearest,
        "nearestOutput": output.nearest_output,
        "label": None if source is None else label(source),
        "nearestLabel": None if nearest is None else label(nearest),
    }
