"""What of a job is downloaded, under which names: one file, or all of them as a ZIP."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobserver.files.keys import output_key, safe_stem
from jobserver.files.store import Store
from jobserver.files.zip import Archive, Member, text_member
from jobserver.jobs.model import File, Job, ListedOutput, Output

# ASCII and C1 controls, and what reverses the direction of text (Unicode Bidi_Control, UAX 9).
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def content_disposition(name: str, inline: bool) -> str:
    """Return the header for a file of any name.

    The plain `filename` is ASCII for old clients; `filename*` has the exact name (RFC 6266,
    4.3; RFC 8187). Slashes are no part of a name, and control characters are left out.
    """
    name = re.sub(r"[/\\]", "_", UNPRINTABLE.sub("_", name))
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["%/\\]', "_", plain)  # some letters turn into slashes and quotes
    exact = quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def download_name(listed: ListedOutput) -> str:
    """Return `<name of the source>_var<N>.mp4`, in the client's own letters."""
    return f"{Path(listed.source_name).stem[:200] or 'video'}_var{listed.output.number}.mp4"


def archive_of(
    store: Store, job: Job, files: Sequence[File], outputs: Sequence[Output]
) -> tuple[Archive, str]:
    """Open every published output of a job, a folder a source; return the ZIP and its ETag.

    The manifest comes first and says how to make the same again. Raises FileNotFoundError when
    a file is missing, before anything is sent.
    """
    folders = {file.id: f"{file.position + 1:02}_{safe_stem(file.name)}" for file in files}
    manifest = _manifest(job, files, outputs, folders)
    newest = max(output.created_at for output in outputs)
    members = [text_member("manifest.json", manifest, newest)] + [
        Member(
            name=f"{folders[output.file_id]}/{output.name}",
            size=output.size,
            crc32=output.crc32,
            modified=output.created_at,
            content=partial(store.open, output_key(job.id, output.name)),
        )
        for output in outputs
    ]
    return Archive(members), hashlib.sha256(manifest).hexdigest()


def _manifest(
    job: Job, files: Sequence[File], outputs: Sequence[Output], folders: dict[str, str]
) -> bytes:
    by_file: dict[str, list[dict[str, Any]]] = {file.id: [] for file in files}
    for output in outputs:
        by_file[output.file_id].append(_output_entry(output, folders[output.file_id]))
    manifest = {
        "jobId": job.id,
        "recipe": job.recipe,
        "seed": job.seed,
        "variationsPerVideo": job.variations_per_video,
        "sources": [
            {
                "name": file.name,
                "size": file.size,
                "sha256": file.sha256,
                "status": file.status,
                "error": file.error,
                "outputs": by_file[file.id],
            }
            for file in files
        ],
    }
    return json.dumps(manifest, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _output_entry(output: Output, folder: str) -> dict[str, Any]:
    return {
        "index": output.number,
        "path": f"{folder}/{output.name}",
        "size": output.size,
        "sha256": output.sha256,
        "parameters": json.loads(output.parameters),
        "madeWith": output.made_with,
    }
