"""README's ZIP line, pasted too early, in the middle, twice, and after it was interrupted.

With the programs that people use, against gunicorn itself and again through nginx: one that says
it is done has a whole ZIP.
"""

import io
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.growing import GrowingJob
from tests.nginx import Nginx
from tests.support import Server

pytestmark = pytest.mark.tools

CLIENTS = ("curl", "wget", "rclone copyurl", "rclone copyto")
RESUMING = ("curl", "wget")  # rclone begins anew
SIZE = 200_000  # bytes of an output: rclone's parts are 64 KiB and more


class Download(NamedTuple):
    """What a person types to download the ZIP of a job to `path`."""

    client: str
    url: str  # of the server
    job: GrowingJob
    token: str
    path: Path

    @property
    def command(self) -> list[str | Path]:
        header, url = f"Authorization: Bearer {self.token}", self.url + self.job.download
        parts = ["--multi-thread-cutoff", "100k", "--multi-thread-streams", "4"]
        rclone = ["rclone", "--config", "", "--retries", "1", "--low-level-retries", "1", *parts]
        return {
            "curl": ["curl", "-fsS", "-C", "-", "-o", self.path, "-H", header, url],
            "wget": ["wget", "-q", "-t", "2", "-c", "-O", self.path, f"--header={header}", url],
            "rclone copyurl": [*rclone, "--header", header, "copyurl", url, self.path],
            "rclone copyto": [
                *(*rclone, "--header", header, "copyto", "--http-url"),
                *(f"{self.url}{self.job.url}/", ":http:download", self.path),
            ],
        }[self.client]

    def run(self) -> bool:
        """Run it; whether it says that all went well. Then a whole ZIP must be there."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path.parent)}
        done = subprocess.run(self.command, env=environment, capture_output=True, timeout=60)
        if done.returncode == 0:
            assert self.variations() is not None, done.stderr
        return done.returncode == 0

    def variations(self) -> int | None:
        """How many variations the ZIP holds; None when it is none."""
        try:
            with zipfile.ZipFile(io.BytesIO(self.path.read_bytes())) as read:
                return len(read.namelist()) - 2 if read.testzip() is None else None
        except (zipfile.BadZipFile, FileNotFoundError):
            return None


@pytest.fixture(params=["gunicorn", "nginx"])
def port(request: pytest.FixtureRequest, gunicorn: Server, nginx: Nginx) -> int:
    return {"gunicorn": gunicorn.port, "nginx": nginx.port}[request.param]


@pytest.fixture
def begin(gunicorn: Server, port: int, tmp_path: Path) -> Callable[[str], Download]:
    """A download of a new job, claimed, without any output."""

    def begun(client: str) -> Download:
        job = GrowingJob(gunicorn, "clip.mp4", variations=8)
        job.claim()
        url = f"http://127.0.0.1:{port}"
        return Download(client, url, job, gunicorn.token, tmp_path / "job.zip")

    return begun


def contents(first: int) -> dict[int, bytes]:
    """Four variations, which no two parts of a ZIP have in common."""
    return {n: os.urandom(SIZE) for n in range(first, first + 4)}


def half(job: GrowingJob) -> None:
    job.publish(0, contents(1))


def rest(job: GrowingJob) -> None:
    job.claim()
    job.publish(0, contents(5), last=True)


@pytest.mark.parametrize("client", CLIENTS)
def test_too_early_is_an_error_and_the_same_line_works_later(begin, client: str):
    download = begin(client)
    assert not download.run()
    assert download.variations() is None
    half(download.job)
    rest(download.job)
    assert download.run()
    assert download.variations() == 8


@pytest.mark.parametrize("client", CLIENTS)
def test_the_zip_of_the_middle_is_never_mixed_with_that_of_the_end(begin, client: str):
    download = begin(client)
    half(download.job)
    assert download.run()
    assert download.variations() == 4
    early = download.path.read_bytes()
    rest(download.job)
    done = download.run()
    assert done == (client not in RESUMING)
    if not done:
        assert download.path.read_bytes() == early  # still the one of the middle
        download.path.unlink()
        assert download.run()
    assert download.variations() == 8


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("place", "goes_on"),
    [(1, True), (SIZE * 2, True), (4 * SIZE - 1, True), (-1, False), (-100, False), (-600, False)],
)
def test_what_was_interrupted_in_the_middle_goes_on_at_the_end_where_that_is_safe(
    begin, client: str, place: int, goes_on: bool
):
    download = begin(client)
    half(download.job)
    assert download.run()
    os.truncate(download.path, place if place > 0 else download.path.stat().st_size + place)
    rest(download.job)
    assert download.run() == (goes_on or client not in RESUMING)
    if goes_on:
        assert download.variations() == 8


@pytest.mark.parametrize("client", CLIENTS)
def test_once_it_is_complete_the_line_may_be_repeated_or_interrupted(begin, client: str):
    download = begin(client)
    half(download.job)
    rest(download.job)
    assert download.run()
    whole = download.path.read_bytes()
    for place in (len(whole), len(whole) - 1, len(whole) - 300, 5 * SIZE, 1, 0):
        os.truncate(download.path, place)
        # curl 7.83 to 7.88 takes the 416 of a file that it has whole for an error (its #10521)
        assert download.run() or (client, place) == ("curl", len(whole))
        assert download.path.read_bytes() == whole
