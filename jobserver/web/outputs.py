"""HTTP out of what a job holds: variations, sources, their pictures, and all as one ZIP."""

from pathlib import PurePosixPath

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from jobserver.errors import (
    JobExpired,
    JobNotFound,
    NothingToDownload,
    OutputGone,
    OutputNotFound,
)
from jobserver.files.keys import placed_key, source_key
from jobserver.jobs import queries
from jobserver.jobs.model import File, Job, Output
from jobserver.uploads.containers import CONTAINERS, MP4
from jobserver.web import names, params
from jobserver.web.archive import JobArchive
from jobserver.web.auth import require_auth_or_link, scope
from jobserver.web.body import json_object
from jobserver.web.context import current_settings, get_db, get_store
from jobserver.web.downloads import Download, send_archive, send_file
from jobserver.web.submission import brief_of

MAX_IDS_SIZE = 64 * 1024  # bytes of a JSON body with ids
# What browsers show or play, and nothing of which is a page, by the ends of names.
TYPES = {
    **dict.fromkeys(("jpg", "jpeg"), "image/jpeg"),
    **{name: f"image/{name}" for name in ("png", "webp")},
    **{name: f"audio/{name}" for name in ("wav", "flac", "ogg")},
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
}

bp = Blueprint("outputs", __name__, url_prefix="/api/jobs")
bp.before_request(require_auth_or_link)


@bp.get("/<job_id>/outputs/<output_id>")
def get_output(job_id: str, output_id: str) -> ResponseReturnValue:
    """Answer 200, 206 or 304 with one variation; 404, 410 or 416. `?inline=1` for players.

    302 to where the store gives it, as for all that follow but the ZIP.
    """
    job = queries.find_job(get_db(), job_id)  # first: it does not outlive its outputs
    videos = queries.videos_of(get_db(), job_id)
    output = _output_or_404(job_id, output_id)
    headers = _video_headers(*names.variation(videos, output, job and job.title))
    key = placed_key(output.place, job_id, output.name)
    return _send_output(Download(key, output.sha256, output.created_at, headers, size=output.size))


@bp.get("/<job_id>/outputs/<output_id>/thumbnail")
def output_thumbnail(job_id: str, output_id: str) -> ResponseReturnValue:
    """Answer 200 with a WebP of one variation, or 304; 404 or 410."""
    output = _output_or_404(job_id, output_id)
    if output.thumbnail is None:
        raise OutputNotFound
    key = placed_key(output.thumbnail_place, job_id, output.thumbnail)
    return _send_picture(key, output.sha256, output.created_at)


@bp.get("/<job_id>/files/<file_id>")
def get_source(job_id: str, file_id: str) -> ResponseReturnValue:
    """Answer 200, 206 or 304 with a file as it was sent; 404, 410 or 416. For players."""
    job, file = _file_or_404(job_id, file_id)
    key = source_key(file.stored_name)
    headers = {**_video_headers(file.name), "Content-Type": _content_type(file)}
    download = Download(key, file_id, job.created_at, headers, size=file.size)
    lifetime_s = current_settings().link_lifetime
    return send_file(request, get_store(), download, link_lifetime_s=lifetime_s)


@bp.get("/<job_id>/files/<file_id>/thumbnail")
def file_thumbnail(job_id: str, file_id: str) -> ResponseReturnValue:
    """Answer 200 with a WebP of a source, or 304; 404 or 410."""
    job, file = _file_or_404(job_id, file_id)
    if file.thumbnail is None:
        raise OutputNotFound
    key = placed_key(file.thumbnail_place, job_id, file.thumbnail)
    return _send_picture(key, file_id, job.created_at)


@bp.get("/<job_id>/download")
def download(job_id: str) -> ResponseReturnValue:
    """Answer 200, 206 or 304 with a ZIP of all that is published; 404, 409, 410, 416 or 428.

    `?outputs=ID,ID` takes only these.
    """
    return _send_zip(job_id, params.output_ids(request.args.get("outputs")))


@bp.post("/<job_id>/download")
@scope("read")
def download_chosen(job_id: str) -> ResponseReturnValue:
    """As download(), for more ids than an address holds: `{"outputs": [ids]}`."""
    return _send_zip(job_id, params.output_ids(json_object(MAX_IDS_SIZE).get("outputs")))


def _send_zip(job_id: str, chosen: list[str] | None) -> ResponseReturnValue:
    """Answer with a ZIP. chosen: ids of outputs, None for all."""
    db, job = get_db(), _kept_job(job_id)
    files = queries.files_of(db, job_id)
    outputs, history = queries.published_outputs(db, job_id), queries.output_history(db, job_id)
    if not outputs:
        raise NothingToDownload
    if not {output.id for output in outputs}.issuperset(chosen or ()):
        raise OutputNotFound
    zipped = JobArchive(
        job,
        files,
        outputs,
        history=history,
        store=get_store(),
        brief=brief_of(db, job),
        chosen=None if chosen is None else frozenset(chosen),
    )
    try:
        archive = zipped.open()
    except FileNotFoundError as error:
        raise OutputGone from error
    name = names.archive(queries.videos_among(files), job.title)
    disposition = names.content_disposition(name.exact, inline=False, plain=name.plain)
    headers = {"Content-Disposition": disposition, "Content-Type": "application/zip"}
    return send_archive(request, archive, headers, is_shared=zipped.is_shared)


def _video_headers(name: str, plain: str | None = None) -> dict[str, str]:
    inline = request.args.get("inline") == "1"
    disposition = names.content_disposition(name, inline=inline, plain=plain)
    return {"Content-Disposition": disposition, "Content-Type": "video/mp4"}


def _content_type(file: File) -> str:
    """Return what a file is by its name: that it is one of these, its first bytes have said."""
    end = PurePosixPath(file.name).suffix[1:].lower()
    container = CONTAINERS.get(end)
    if container and file.role in ("video", "hook", "ending"):
        return container.types[0]
    return MP4 if file.role == "video" else TYPES.get(end, "application/octet-stream")


def _send_picture(key: str, source: str, modified: float) -> ResponseReturnValue:
    headers = {"Content-Type": "image/webp"}
    return _send_output(Download(key, f"{source}-thumbnail", modified, headers))


def _send_output(download: Download) -> ResponseReturnValue:
    settings = current_settings()
    return send_file(
        request,
        get_store(),
        download,
        link_lifetime_s=settings.link_lifetime,
        accel=settings.accel_redirect,
    )


def _kept_job(job_id: str) -> Job:
    """Return a job whose files are asked for. Raises JobExpired for one that was there once."""
    job = queries.find_job(get_db(), job_id)
    if job is None:
        raise JobExpired if queries.has_expired(get_db(), job_id) else JobNotFound
    return job


def _file_or_404(job_id: str, file_id: str) -> tuple[Job, File]:
    job = _kept_job(job_id)
    for file in queries.files_of(get_db(), job_id):
        if file.id == file_id:
            return job, file
    raise OutputNotFound


def _output_or_404(job_id: str, output_id: str) -> Output:
    output = queries.find_output(get_db(), job_id, output_id)
    if output is None:
        raise JobExpired if queries.has_expired(get_db(), job_id) else OutputNotFound
    return output
