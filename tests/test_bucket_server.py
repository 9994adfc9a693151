"""gunicorn, a worker process and curl over a bucket, with ffmpeg in between."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.ids import generate_id
from tests.bucket import BUCKET, Gateway
from tests.postgres import Cluster
from tests.support import MP4_HEAD, Server, Worker, wait_for

pytestmark = pytest.mark.tools
MIB = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path, gateway: Gateway, cluster: Cluster) -> Iterator[Server]:
    settings = {
        "DATABASE_URL": cluster.create_initialised(),
        "STORAGE_URL": f"s3://{BUCKET}/servers/{generate_id()}",
        "STORAGE_PUBLIC_URL": gateway.url,
        "SCRATCH_DIR": str(tmp_path / "scratch"),
    }
    server = Server(tmp_path, **settings, **gateway.environment).start()
    yield server
    server.stop()


@pytest.fixture
def worker(server: Server) -> Iterator[Worker]:
    worker = Worker(server).start()
    yield worker
    worker.kill()


def test_a_job_is_uploaded_rendered_and_fetched_with_curl(
    server: Server, worker: Worker, clip: bytes, tmp_path: Path
) -> None:
    """curl -OJ follows to the store (-L) and names the file as the server does."""
    job_url = server.upload(clip, clip, variations="2").json["statusUrl"]

    def completed() -> bool:
        return bool(server.get(job_url, server.token).json["status"] == "completed")

    wait_for(completed, 60, f"a job; worker: {worker.log_path.read_text()[-2000:]}")
    for file in server.get(job_url, server.token).json["files"]:
        for output in file["outputs"]:
            subprocess.run(
                [
                    *("curl", "-sS", "-L", "-OJ", "-H", f"Authorization: Bearer {server.token}"),
                    f"http://127.0.0.1:{server.port}{job_url}/outputs/{output['id']}",
                ],
                cwd=tmp_path,
                check=True,
                timeout=30,
            )
            content = (tmp_path / output["downloadName"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == output["sha256"]
    assert worker.stop() == 0
    assert not server.upload_dir.exists()


def test_an_upload_takes_no_disk_and_no_memory_of_its_size(server: Server) -> None:
    before = {pid: peak_memory(pid) for pid in server.workers()}
    answer = server.upload(MP4_HEAD + bytes(200 * MIB))
    assert answer.status == 202
    assert sum(path.stat().st_size for path in server.temporary.rglob("*")) < MIB
    grown = max(peak_memory(pid) - before[pid] for pid in server.workers())
    assert grown < 80 * MIB


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
