"""One rule for footage: what curl, requests, httpx and a browser send of one file ends the same."""

import json
import mimetypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from jobserver.uploads.brands import OTHER_FORMATS
from tests.support import MP4_HEAD, Server, file_part, form

NO_MP4 = (400, "Only MP4 files are accepted")
ACCEPTED = (202, None)

Outcome = tuple[int, str | None]
Client = Callable[[Server, Path], Outcome]


def send(server: Server, path: Path, type_: str | None) -> Outcome:
    """Send one file as Python's http.client does, with this Content-Type of the part, or none."""
    answer = server.post(form(file_part(path.read_bytes(), path.name, type_)))
    return answer.status, answer.json.get("error")


def curl(server: Server, path: Path) -> Outcome:
    """Declares application/octet-stream: curl knows no type of a video."""
    url = f"http://127.0.0.1:{server.port}/api/jobs"
    bearer = f"Authorization: Bearer {server.token}"
    command = ["curl", "-sS", "-w", "\n%{http_code}", "-H", bearer, "-F", f"videos=@{path}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body).get("error")


def requests(server: Server, path: Path) -> Outcome:
    """Declares nothing: `requests.post(url, files={"videos": open(path, "rb")})`."""
    return send(server, path, None)


def httpx(server: Server, path: Path) -> Outcome:
    """Declares what Python's mimetypes makes of the name, as httpx does."""
    return send(server, path, mimetypes.guess_type(path.name)[0] or "application/octet-stream")


CLIENTS = pytest.mark.parametrize(
    "client", [pytest.param(curl, marks=pytest.mark.tools), requests, httpx]
)


def make(path: Path, *words: str) -> Path:
    """Make a second of footage with ffmpeg; words: options of the output."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-f", "lavfi"]
    subprocess.run(
        [*ffmpeg, "-i", "testsrc2=s=64x64:d=1", "-f", "lavfi", "-i", "sine=d=1", *words, path],
        check=True,
        timeout=60,
    )
    return path


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files, some of them named as what they are not."""
    folder = tmp_path_factory.mktemp("footage")
    make(folder / "clip.mp4", "-shortest", "-pix_fmt", "yuv420p")
    make(folder / "clip.mov", "-shortest", "-pix_fmt", "yuv420p")
    make(folder / "song.m4a", "-map", "1:a", "-f", "ipod")
    (folder / "renamed movie.mp4").write_bytes((folder / "clip.mov").read_bytes())
    (folder / "renamed song.mp4").write_bytes((folder / "song.m4a").read_bytes())
    (folder / "notes.txt").write_text("Text that is long enough to be looked at.\n")
    return folder


@CLIENTS
@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("clip.mp4", ACCEPTED),
        ("clip.mov", NO_MP4),
        ("renamed movie.mp4", NO_MP4),
        ("song.m4a", NO_MP4),
        ("renamed song.mp4", NO_MP4),
        ("notes.txt", NO_MP4),
    ],
)
def test_every_client_gets_the_same_answer_for_the_same_file(
    shared_server: Server, footage: Path, client: Client, name: str, outcome: Outcome
) -> None:
    before = set(shared_server.uploads())
    assert client(shared_server, footage / name) == outcome
    if outcome != ACCEPTED:
        assert set(shared_server.uploads()) == before


@pytest.mark.parametrize("brand", OTHER_FORMATS)
@pytest.mark.parametrize("type_", [None, "application/octet-stream", "video/mp4"])
def test_another_format_is_refused_whatever_it_is_declared_as(
    shared_server: Server, tmp_path: Path, brand: str, type_: str | None
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(MP4_HEAD.replace(b"ftypisom", b"ftyp" + brand.encode()) + bytes(1000))
    assert send(shared_server, path, type_) == NO_MP4


@pytest.mark.parametrize("brand", ["isom", "iso6", "mp42", "avc1", "dash", "M4V ", "XAVC", "3gp4"])
def test_every_other_brand_counts_as_mp4(shared_server: Server, tmp_path: Path, brand: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(MP4_HEAD.replace(b"ftypisom", b"ftyp" + brand.encode()) + bytes(1000))
    for type_ in (None, "video/mp4", "Video/MP4; codecs=avc1"):
        assert send(shared_server, path, type_) == ACCEPTED


@pytest.mark.parametrize(
    "type_", ["video/quicktime", "video/webm", "image/heic", "audio/mp4", "text/plain", ""]
)
def test_a_part_that_is_declared_otherwise_is_refused_whatever_is_in_it(
    shared_server: Server, footage: Path, type_: str
) -> None:
    assert send(shared_server, footage / "clip.mp4", type_) == NO_MP4
