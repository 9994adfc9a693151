"""tus over PostgreSQL and a bucket: two hosts, each with its own process, one upload."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobserver.ids import generate_id
from tests.bucket import BUCKET, Gateway
from tests.postgres import Cluster
from tests.support import Server, wait_for
from tests.tus import Uploads, checksum, video

pytestmark = pytest.mark.tools
MIB = 1024 * 1024


@pytest.fixture
def hosts(tmp_path: Path, cluster: Cluster, gateway: Gateway) -> Iterator[Callable[[], Server]]:
    """Make and start a host; all have one database and one bucket."""
    shared = {
        "DATABASE_URL": cluster.create_initialised(),
        "STORAGE_URL": f"s3://{BUCKET}/tus/{generate_id()}",
        **gateway.environment,
    }
    started: list[Server] = []

    def start() -> Server:
        folder = tmp_path / f"host{len(started)}"
        folder.mkdir()
        started.append(Server(folder, SCRATCH_DIR=str(folder / "scratch"), **shared).start())
        return started[-1]

    yield start
    for server in started:
        server.stop()


def kept(server: Server, gateway: Gateway) -> set[str]:
    """Return the keys of what the bucket has for a host, without the mark of its database."""
    prefix = prefix_of(server)
    keys = {key.removeprefix(f"{prefix}/") for key in gateway.keys(prefix)}
    return keys - {".database"}


def prefix_of(server: Server) -> str:
    return server.settings["STORAGE_URL"].removeprefix(f"s3://{BUCKET}/")


def test_an_upload_goes_on_at_another_host(hosts, gateway):
    """Less than a part waits in a tail; what a killed host had not stored is sent again."""
    one, other = Uploads(hosts()), Uploads(hosts())
    content = video(21 * MIB + 5)
    path = one.begin(len(content))
    upload_id = path.rpartition("/")[2]
    assert one.patch(path, 0, content[:1000]).status == 204
    assert other.patch(path, 1000, content[1000:MIB]).status == 204
    assert kept(other.server, gateway) == {f"uploads/{upload_id}.t2"}
    damaged = other.patch(path, MIB, content[MIB : 12 * MIB], **checksum(b"else"))
    assert (damaged.status, one.offset(path)) == (460, MIB)

    sock = one.open_patch(path, MIB, len(content) - MIB)
    sock.sendall(content[MIB : 9 * MIB])
    more = iter(range(9 * MIB, 13 * MIB, 16_384))

    def is_noted() -> bool:
        """Let a little come, as long as that lasts."""
        if (start := next(more, 0)) > 0:
            sock.sendall(content[start : start + 16_384])
        return one.server.rows("SELECT received FROM upload") == [(8 * MIB,)]

    wait_for(is_noted)
    wait_for(lambda: not kept(one.server, gateway))
    one.server.kill()
    sock.close()
    offset = other.offset(path)
    assert offset == 8 * MIB
    assert other.patch(path, offset, content[offset:]).status == 204
    assert kept(other.server, gateway) == {f"uploads/{upload_id}.mp4"}

    answer = other.post_job(videos=[upload_id])
    assert answer.status == 202, answer.body
    stored = gateway.client().get_object(
        Bucket=BUCKET, Key=f"{prefix_of(other.server)}/uploads/{upload_id}.mp4"
    )
    assert stored["Body"].read() == content


def test_nothing_is_left_of_an_upload_that_was_removed(hosts, gateway):
    uploads = Uploads(hosts())
    content = video(9 * MIB)
    path = uploads.begin(10 * MIB)
    assert uploads.patch(path, 0, content).status == 204
    headers = uploads.headers
    assert uploads.server.request("DELETE", path, headers=headers).status == 204
    assert kept(uploads.server, gateway) == set()
    assert gateway.unfinished(prefix_of(uploads.server)) == []
