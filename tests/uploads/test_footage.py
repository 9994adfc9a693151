"""One rule for footage: what curl, requests, httpx and a browser send of one file ends the same."""

import json
import mimetypes
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from jobserver.uploads.brands import OTHER_FORMATS
from tests.support import MP4_HEAD, Server, Worker, field_part, file_part, form, wait_for

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


EVERYTHING = "Only MP4, MOV, WebM and MKV files are accepted"
TYPES = {
    "clip.mp4": "video/mp4",
    "clip.mov": "video/quicktime",
    "clip.webm": "video/webm",
    "clip.mkv": "video/x-matroska",
}


@pytest.fixture(scope="module")
def wide_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that accepts every container."""
    folder = tmp_path_factory.mktemp("wide")
    server = Server(folder, ACCEPT="mp4,mov,webm,mkv", MAX_FILE_SIZE=str(8 * 1024 * 1024)).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def wide_footage(footage: Path) -> Path:
    """The same folder with a WebM and an MKV, and one that is cut off."""
    vp8 = ("-shortest", "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus")
    whole = make(footage / "clip.webm", *vp8).read_bytes()
    make(footage / "clip.mkv", "-shortest", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le")
    (footage / "cut.webm").write_bytes(whole[: len(whole) // 2])
    (footage / "renamed.mp4").write_bytes(whole)
    return footage


def test_every_container_is_rendered_and_shown_as_what_it_is(
    wide_server: Server, wide_footage: Path
) -> None:
    names = [*TYPES, "renamed.mp4", "cut.webm"]
    parts = [file_part((wide_footage / name).read_bytes(), name, None) for name in names]
    address = wide_server.post(form(*parts, field_part("variations", "1"))).json["statusUrl"]

    def job() -> dict[str, Any]:
        return wide_server.get(address, wide_server.token).json

    worker = Worker(wide_server).start()
    wait_for(lambda: job()["status"] in ("completed", "failed"), 60, "the end of the job")
    worker.stop()
    files = {file["name"]: file for file in job()["files"]}
    cut = files.pop("cut.webm")
    assert cut["error"] == "This video is cut off: part of the file is missing."
    for name, file in files.items():
        assert (file["status"], file["error"], len(file["outputs"])) == ("completed", None, 1)
        source = wide_server.get(f"{address}/files/{file['id']}", wide_server.token)
        assert source.body == (wide_footage / name).read_bytes()
        assert source.headers["Content-Type"] == TYPES.get(name, "video/mp4")


@CLIENTS
@pytest.mark.parametrize("name", [*TYPES, "renamed.mp4", "song.m4a", "notes.txt"])
def test_a_server_that_accepts_more_gives_every_client_the_same_answer(
    wide_server: Server, wide_footage: Path, client: Client, name: str
) -> None:
    refused = name in ("song.m4a", "notes.txt")
    outcome = (400, EVERYTHING) if refused else ACCEPTED
    assert client(wide_server, wide_footage / name) == outcome


def test_the_page_says_and_offers_what_is_accepted(
    shared_server: Server, wide_server: Server
) -> None:
    page, wide = (server.get("/").body.decode() for server in (shared_server, wide_server))
    assert "MP4, up to" in page
    assert 'accept="video/mp4,.mp4"' in page
    assert "MP4, MOV, WebM and MKV, up to" in wide
    assert ".mov,.webm,.mkv" in wide
    assert """data-accept='["mp4", "mov", "webm", "mkv"]'""" in wide
