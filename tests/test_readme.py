"""README's sessions, pasted into a shell as they stand, do what it says."""

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import MP4_HEAD, PASSWORD, PROJECT, Server, Worker
from tests.uploads.brief_parts import MP3, PNG

pytestmark = pytest.mark.tools

SECTION = r"^##+ {}$.*?^```sh\n(.*?)^```$"
FILES = {
    "clip.mp4": MP4_HEAD,
    "hook1.mp4": MP4_HEAD + b"1",
    "hook2.mp4": MP4_HEAD + b"2",
    "end.png": PNG,
    "logo.png": PNG,
    "song.mp3": MP3,
}
COUNTS = ("variationsPerVideo", "totalVariations")


def commands(title: str) -> str:
    """Return the first commands of a section."""
    section = re.compile(SECTION.format(title), re.M | re.S)
    found = section.search((PROJECT / "README.md").read_text())
    assert found is not None
    return found[1]


def paste(server: Server, folder: Path, text: str) -> list[Any]:
    """Run lines as a person pastes them; return the JSON that each curl has shown."""
    environment = {
        "PATH": os.environ["PATH"],
        "URL": f"http://127.0.0.1:{server.port}",
        "TOKEN": server.token,
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=text,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_brief_of_readme_is_accepted_and_makes_what_readme_says(
    shared_server: Server, tmp_path: Path
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    text = commands("Briefs")
    answers = paste(shared_server, tmp_path, text)
    said = [
        tuple(int(count) for count in found)
        for found in re.findall(r'"variationsPerVideo":(\d+),"totalVariations":(\d+)', text)
    ]
    assert len(answers) == text.count("curl ") == len(said) == 3
    for answer, counts in zip(answers, said, strict=True):
        assert answer.get("status") == "queued", answer
        assert tuple(answer[key] for key in COUNTS) == counts


def test_the_resumable_upload_of_readme_becomes_a_job(
    shared_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(MP4_HEAD * 1000)
    [answer] = paste(shared_server, tmp_path, commands("Resumable uploads"))
    assert answer["totalVariations"] == 3, answer
    assert shared_server.stored(answer["jobId"]) == [MP4_HEAD * 1000]


def test_the_session_of_readme_renders_and_downloads(
    own_server: Server, clip: bytes, tmp_path: Path
) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance/password").write_text(f"{PASSWORD}\n")
    (tmp_path / "instance/sample.mp4").write_bytes(clip)
    own_server.start()
    worker = Worker(own_server).start()
    try:
        text = re.sub("^URL=.*$", "", commands("A whole session with curl"), flags=re.M)
        *_, job, listed, storage, deleted, health = paste(own_server, tmp_path, text)
    finally:
        worker.stop()
    assert (job["status"], job["completedVariations"]) == ("completed", 3)
    assert [each["id"] for each in listed] == [job["jobId"]]
    assert storage["used"] > 0
    assert deleted["status"] == "deleted"
    assert health["status"] == "ok"
    (output,) = tmp_path.glob("sample_var*.mp4")
    with zipfile.ZipFile(tmp_path / "job.zip") as archive:
        assert output.read_bytes() in [archive.read(name) for name in archive.namelist()]
