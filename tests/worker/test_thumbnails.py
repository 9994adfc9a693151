"""A picture of each source and of each output: small, not black, cacheable."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from jobserver import render
from jobserver.worker.render_thread import RenderThread
from tests.results import check_owned
from tests.support import Site
from tests.worker.claims import run_claims

FFMPEG = (imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y")
SIZES = {"wide": "640x360", "upright": "360x640", "small": "64x48", "odd": "641x359"}


def make_video(path: Path, graph: str, seconds: float = 1.0) -> Path:
    encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    command = [*FFMPEG, "-f", "lavfi", "-i", graph, "-t", str(seconds), *encoding, path]
    subprocess.run(command, check=True, timeout=60)
    return path


def pixels(picture: Path) -> tuple[tuple[int, int], bytes]:
    """Decode a WebP with ffmpeg: its width and height, and its luma."""
    raw = picture.with_suffix(".gray")
    shown = subprocess.run(
        [*FFMPEG, "-i", picture, "-f", "rawvideo", "-pix_fmt", "gray", raw, "-v", "info"],
        check=True, capture_output=True, text=True, timeout=30,
    ).stderr  # fmt: skip
    line = next(line for line in shown.splitlines() if "Video: rawvideo" in line)
    width, height = next(
        map(int, word.split("x"))
        for word in line.replace(",", " ").split()
        if word.partition("x")[0].isdecimal() and word.partition("x")[2].isdecimal()
    )
    assert len(raw.read_bytes()) == width * height
    return (width, height), raw.read_bytes()


def mean_luma(picture: Path) -> float:
    luma = pixels(picture)[1]
    return sum(luma) / len(luma)


def thumbnail_of(clip: Path) -> Path:
    out = clip.with_suffix(".webp")
    render.thumbnail(clip, out, render.Settings())
    return out


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_picture_is_320_pixels_wide_and_keeps_the_aspect_ratio(tmp_path: Path, size: str):
    even = "scale=trunc(iw/2)*2:trunc(ih/2)*2"
    picture = thumbnail_of(make_video(tmp_path / "clip.mp4", f"testsrc2=s={size}:r=10,{even}"))
    assert picture.read_bytes()[:4] == b"RIFF"
    assert picture.read_bytes()[8:12] == b"WEBP"
    width, height = pixels(picture)[0]
    before = [int(side) // 2 * 2 for side in size.split("x")]
    assert width == 320
    assert abs(height - 320 * before[1] / before[0]) <= 2
    assert picture.stat().st_size < 60_000


def test_a_clip_that_starts_black_has_a_picture_of_a_later_frame(tmp_path: Path):
    graph = "color=black:s=160x90:r=10:d=2[b];testsrc2=s=160x90:r=10:d=1[t];[b][t]concat"
    assert mean_luma(thumbnail_of(make_video(tmp_path / "clip.mp4", graph, 3))) > 40


def test_a_clip_that_fades_in_has_a_picture_that_is_not_black(tmp_path: Path):
    graph = "color=white:s=160x90:r=10:d=3,fade=in:0:20"
    assert mean_luma(thumbnail_of(make_video(tmp_path / "clip.mp4", graph, 3))) > 15


def test_a_clip_that_is_all_black_still_has_a_picture(tmp_path: Path):
    picture = thumbnail_of(make_video(tmp_path / "clip.mp4", "color=black:s=160x90:r=10"))
    assert pixels(picture)[0][0] == 320
    assert mean_luma(picture) < 5


def test_a_file_without_a_frame_has_no_picture(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\0" * 1000)
    with pytest.raises(render.MediaError):
        render.thumbnail(path, tmp_path / "clip.webp", render.Settings())


def test_a_rendered_job_has_a_picture_of_its_source_and_of_every_output(
    site: Site, render_thread: RenderThread, clip: bytes, tmp_path: Path
):
    job_id = site.upload(clip, variations="2")
    assert site.show(job_id)["files"][0]["thumbnailUrl"] is None
    run_claims(render_thread)
    (file,) = site.show(job_id)["files"]
    links = [file["thumbnailUrl"], *(output["thumbnailUrl"] for output in file["outputs"])]
    assert len(set(links)) == 3
    for link in links:
        answer = site.client.get(link)
        assert (answer.status_code, answer.content_type) == (200, "image/webp")
        picture = tmp_path / "seen.webp"
        picture.write_bytes(answer.data)
        assert pixels(picture)[0] == (320, 180)
        again = site.client.get(link, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert "max-age" in answer.headers["Cache-Control"]
        assert "private" in answer.headers["Cache-Control"]
        assert site.client.head(link).status_code == 200
    (listed,) = site.client.get("/api/jobs", headers=site.headers).json
    assert listed["files"][0]["thumbnailUrl"] == file["thumbnailUrl"]
    check_owned(site.server)


def test_a_source_has_its_picture_before_its_first_output(
    site: Site, render_thread: RenderThread, clip: bytes, monkeypatch: pytest.MonkeyPatch
):
    job_id, seen = site.upload(clip, variations="1"), []

    def show_then_render(*args, **named):
        seen.append(site.show(job_id)["files"][0])
        return real_render(*args, **named)

    real_render = render.render
    monkeypatch.setattr(render, "render", show_then_render)
    run_claims(render_thread)
    assert seen[0]["outputs"] == []
    assert site.client.get(seen[0]["thumbnailUrl"]).status_code == 200


def test_pictures_of_unknown_files_and_outputs_are_404s(site: Site, clip: bytes):
    job_id = site.upload(clip)
    (file,) = site.show(job_id)["files"]
    for path in (f"files/{file['id']}", "files/unknown", "outputs/unknown"):
        answer = site.client.get(f"/api/jobs/{job_id}/{path}/thumbnail", headers=site.headers)
        assert (answer.status_code, set(answer.json)) == (404, {"error", "code"})


def test_a_picture_whose_file_is_gone_is_a_410(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    run_claims(render_thread)
    link = site.show(job_id)["files"][0]["thumbnailUrl"]
    for picture in site.output_dir.glob("*/*.webp"):
        picture.unlink()
    assert site.client.get(link).status_code == 410


def test_a_source_is_described_although_there_was_first_no_space_for_its_picture(
    site: Site, render_thread: RenderThread, clip: bytes, monkeypatch: pytest.MonkeyPatch
):
    job_id, thumbnail = site.upload(clip, variations="1"), render.thumbnail

    def full(*_: object, **__: object) -> None:
        monkeypatch.setattr(render, "thumbnail", thumbnail)
        raise render.DiskFull

    monkeypatch.setattr(render, "thumbnail", full)
    monkeypatch.setattr("jobserver.worker.attempt.RETRY_DELAYS_S", (0.0, 0.0))
    run_claims(render_thread)
    file = site.show(job_id)["files"][0]
    assert file["status"] == "completed"
    assert file["sha256"]
    assert file["duration"]
    assert file["thumbnailUrl"]
