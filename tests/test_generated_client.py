"""A stranger's program: a client that a generator makes of our OpenAPI document alone."""

import hashlib
import importlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import PASSWORD, Server, Worker, wait_for

pytestmark = pytest.mark.tools

# The generator knows application/octet-stream as a file alone, so these are read as that.
CONFIG = """
package_name_override: stranger
content_type_overrides:
  video/mp4: application/octet-stream
  application/zip: application/octet-stream
  image/webp: application/octet-stream
post_hooks: []
"""


@pytest.fixture
def stranger(own_server: Server, tmp_path: Path) -> Iterator[ModuleType]:
    """The package that the generator made, from the address of the document alone."""
    own_server.start()
    (tmp_path / "config.yml").write_text(CONFIG)
    command = [
        *(Path(sys.executable).parent / "openapi-python-client", "generate", "--meta", "none"),
        *("--url", f"http://127.0.0.1:{own_server.port}/api/openapi.json"),
        *("--config", tmp_path / "config.yml", "--output-path", tmp_path / "stranger"),
    ]
    made = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "WARNING" not in made.stdout, made.stdout  # nothing that it does not understand
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module("stranger")
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "stranger"]:
        del sys.modules[name]


def call(name: str, client: object, *ids: str, **arguments: object):
    """Call one operation of the client; return what it has made of the answer."""
    operation = importlib.import_module(f"stranger.api.{name}")
    answer = operation.sync_detailed(*ids, client=client, **arguments)
    assert answer.status_code < 400, answer.content
    return answer.parsed


def ended(job: Any) -> Any:
    return None if job.status in ("queued", "processing") else job


def test_it_uploads_waits_and_downloads(
    own_server: Server, stranger: ModuleType, clip: bytes
) -> None:
    models, types = (importlib.import_module(f"stranger.{name}") for name in ("models", "types"))
    root = f"http://127.0.0.1:{own_server.port}"
    token = call(
        "auth.sign_in", stranger.Client(root), body=models.SignInBody(password=PASSWORD)
    ).token
    client = stranger.AuthenticatedClient(root, token, raise_on_unexpected_status=True)
    wrong = importlib.import_module("stranger.api.jobs.show_job").sync("none", client=client)
    assert (type(wrong).__name__, wrong.code) == ("Error", "job_not_found")

    video = types.File(BytesIO(clip), "clip.mp4", "video/mp4")
    form = models.CreateJobFilesBody(videos=[video], variations=2, title="A stranger's", seed=7)
    accepted = call("jobs.create_job", client, body=form)
    assert (accepted.total_variations, accepted.seed) == (2, 7)
    assert accepted.ignored_fields == []

    worker = Worker(own_server).start()
    try:
        job = wait_for(lambda: ended(call("jobs.show_job", client, accepted.job_id)), 60, "its end")
    finally:
        worker.stop()
    assert job.status == "completed"

    (listed,) = call("jobs.list_jobs", client, q="STRANGER", status=models.ListJobsStatus.COMPLETED)
    assert (listed.id, listed.completed_variations) == (job.id, 2)
    outputs = job.files[0].outputs
    for output in outputs:
        content = call("jobs.get_output", client, job.id, output.id).payload.read()
        assert hashlib.sha256(content).hexdigest() == output.sha256
    with zipfile.ZipFile(call("jobs.download", client, job.id).payload) as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if name.endswith(".mp4")]) == 2
    assert call("jobs.delete_job", client, job.id).status == "deleted"
