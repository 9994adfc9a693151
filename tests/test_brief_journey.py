"""A brief from curl to the ZIP: two hooks, one clip, a closing picture and two formats.

Through gunicorn and a worker. Each output has the shape and the length that was asked for, decodes
without a warning, and is made again, byte for byte, from what its manifest says.
"""

import csv
import hashlib
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imageio_ffmpeg
import pytest

from tests.support import Server, Worker, wait_for

pytestmark = pytest.mark.tools

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SHAPES = {"9:16": (360, 640), "1:1": (360, 360)}
STILL_S, CLIP_S = 1.0, 2.0
HOOKS = {"hook1.mp4": (1.0, 30), "hook2.mp4": (0.8, 24)}  # seconds, frames a second


class Journey(NamedTuple):
    """What a person has: a folder of files, a server's address, a token."""

    folder: Path
    server: Server

    def curl(self, *words: str, path: str = "/api/jobs") -> bytes:
        bearer = f"Authorization: Bearer {self.server.token}"
        url = f"http://127.0.0.1:{self.server.port}{path}"
        command = ["curl", "-fsS", "-H", bearer, *words, url]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, check=True, timeout=60
        ).stdout

    def send(self, **fields: str) -> dict[str, Any]:
        files = ["videos=@clip.mp4", *(f"hooks=@{name}" for name in HOOKS), "endings=@end.png"]
        texts = [word for pair in fields.items() for word in ("--form-string", "=".join(pair))]
        forms = [word for file in files for word in ("-F", file)]
        return dict(json.loads(self.curl(*forms, *texts)))

    def wait(self, job_id: str) -> dict[str, Any]:
        """Return the job once it has ended; its progress has never fallen."""
        seen = [0]

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = json.loads(self.curl(path=f"/api/jobs/{job_id}"))
            assert job["progress"] >= seen[-1]
            seen.append(job["progress"])
            return job if job["status"] in ("completed", "failed", "cancelled") else None

        job = wait_for(ended, 60, "the end of the job")
        assert job["status"] == "completed", job
        return job

    def download(self, job_id: str, query: str = "") -> zipfile.ZipFile:
        path = f"/api/jobs/{job_id}/download{query}"
        return zipfile.ZipFile(io.BytesIO(self.curl(path=path)))


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    folder = tmp_path / "files"
    folder.mkdir()
    make(folder / "clip.mp4", "-f", "lavfi", "-i", source(CLIP_S, 25), *tone(CLIP_S))
    for name, (seconds, rate) in HOOKS.items():
        make(folder / name, "-f", "lavfi", "-i", source(seconds, rate), *tone(seconds))
    make(folder / "end.png", "-f", "lavfi", "-i", "color=red:s=320x180", "-frames:v", "1")
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server").start()
    worker = Worker(server).start()
    yield Journey(folder, server)
    worker.stop()
    server.stop()


def source(seconds: float, rate: int) -> str:
    return f"testsrc2=s=160x90:r={rate}:d={seconds}"


def tone(seconds: float) -> list[str]:
    made = ["-f", "lavfi", "-i", f"sine=440:d={seconds}"]
    return [*made, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]


def make(path: Path, *words: str) -> None:
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", *words, path], check=True, timeout=60)


def check_plays(path: Path, shape: tuple[int, int], seconds: float) -> None:
    """Decode a file whole: no warning, its shape, sound and picture as long as they should be."""
    command = [FFMPEG, "-v", "warning", "-nostdin", "-i", path, "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    looked = subprocess.run([FFMPEG, "-i", path], capture_output=True, text=True, timeout=60).stderr
    assert f", {shape[0]}x{shape[1]}" in looked
    assert "Audio: aac" in looked
    found = re.search(r"Duration: 00:00:(\d+\.\d+)", looked)
    assert found is not None
    assert abs(float(found[1]) - seconds) < 0.1


def test_two_hooks_a_clip_and_a_still_in_two_formats_from_curl_to_zip(journey: Journey) -> None:
    brief = {"formats": list(SHAPES), "size": 360, "stillSeconds": STILL_S}
    sent = journey.send(title="Spring", brief=json.dumps(brief), seed="7")
    assert (sent["status"], sent["variationsPerVideo"], sent["totalVariations"]) == ("queued", 4, 4)
    job = journey.wait(sent["jobId"])
    (file,) = job["files"]
    assert (job["completedVariations"], file["failedOutputs"]) == (4, [])
    assert {each["status"] for each in job["assets"]} == {"completed"}
    assert {(each["axes"]["hook"], each["axes"]["format"]) for each in file["outputs"]} == {
        (hook, shape) for shape in SHAPES for hook in HOOKS
    }
    archive = journey.download(sent["jobId"])
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    lines = {
        line["path"]: line
        for line in csv.DictReader(io.StringIO(archive.read("manifest.csv").decode()))
    }
    listed = {each["path"]: each for each in manifest["sources"][0]["outputs"]}
    assert set(listed) == set(lines) == set(archive.namelist()[2:])
    assert len(listed) == 4
    for path, output in listed.items():
        content = archive.read(path)
        assert hashlib.sha256(content).hexdigest() == output["sha256"] == lines[path]["sha256"]
        shape, hook = output["axes"]["format"], output["axes"]["hook"]
        assert path.startswith("01_clip/Spring_clip_")
        assert (output["width"], output["height"]) == SHAPES[shape]
        assert (lines[path]["format"], lines[path]["hook"]) == (shape, hook)
        seconds = HOOKS[hook][0] + CLIP_S + STILL_S
        assert abs(output["duration"] - seconds) < 0.1
        assert output["loudness"]["integrated"] == pytest.approx(-14, abs=0.6)
        assert output["placements"]["TikTok In-Feed"][0].startswith("The picture ")  # too small
        assert "Meta Feed" in lines[path]["placements"].split("; ")
        (journey.folder / "output.mp4").write_bytes(content)
        check_plays(journey.folder / "output.mp4", SHAPES[shape], seconds)
    check_made_again(journey, manifest)
    check_chosen(journey, job)
    check_another_brief(journey, sent["jobId"])
    journey.server.check_sound()


def check_made_again(journey: Journey, manifest: dict[str, Any]) -> None:
    """The same files with what the manifest says give the same bytes."""
    again = journey.send(
        title=manifest["title"],
        brief=json.dumps(manifest["brief"]),
        seed=str(manifest["seed"]),
        recipe=manifest["recipe"],
    )
    job = journey.wait(again["jobId"])
    made = {each["name"]: each["sha256"] for each in job["files"][0]["outputs"]}
    assert made == {
        each["path"].rpartition("/")[2]: each["sha256"]
        for each in manifest["sources"][0]["outputs"]
    }


def check_chosen(journey: Journey, job: dict[str, Any]) -> None:
    """Two of the outputs as a ZIP of their own."""
    chosen = job["files"][0]["outputs"][1:3]
    ids = ",".join(each["id"] for each in chosen)
    with journey.download(job["jobId"], f"?outputs={ids}") as archive:
        names = [name.rpartition("/")[2] for name in archive.namelist()[2:]]
    assert sorted(names) == sorted(each["downloadName"] for each in chosen)


def check_another_brief(journey: Journey, job_id: str) -> None:
    """A new job over the same files, with another brief, without an upload."""
    body = json.dumps({"brief": {"formats": ["4:5"], "size": 360, "endings": [None]}})
    answer = json.loads(journey.curl("-d", body, path=f"/api/jobs/{job_id}/again"))
    assert (answer["totalVariations"], len(answer["assets"])) == (2, 2)
    job = journey.wait(answer["jobId"])
    outputs = job["files"][0]["outputs"]
    assert [(each["width"], each["height"]) for each in outputs] == [(360, 450)] * 2
