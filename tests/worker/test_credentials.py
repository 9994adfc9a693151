"""Content Credentials of sources, from the upload to job and manifests; outputs carry none."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobserver.render import read_credentials
from jobserver.worker.render_thread import RenderThread
from tests.credentials import C2PA_BOX, in_mp4, in_png, manifest, sign, store
from tests.support import Site
from tests.worker.briefs import Parts, queue_brief
from tests.worker.claims import run_claims

SENTENCE = "The source carries Content Credentials; the variants do not."
AI_CAMERA = {"claimGenerator": "Test Camera 1.2", "aiMade": True, "sentence": SENTENCE}
EDITOR = {"claimGenerator": "Editor", "aiMade": False, "sentence": SENTENCE}


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 36), "red").save(out, "PNG")
    return out.getvalue()


def manifests_of(site: Site, job_id: str) -> tuple[Any, list[dict[str, str]]]:
    answer = site.client.get(f"/api/jobs/{job_id}/download", headers=site.headers)
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.data)) as read:
        lines = csv.DictReader(io.StringIO(read.read("manifest.csv").decode()))
        return json.loads(read.read("manifest.json")), list(lines)


def check_outputs_claim_nothing(site: Site) -> None:
    made = list(site.output_dir.rglob("*.mp4"))
    assert made
    for path in made:
        assert read_credentials(path) is None
        assert not any(mark in path.read_bytes() for mark in (C2PA_BOX, b"jumb", b"c2pa"))


@pytest.mark.both_databases
def test_the_parts_of_a_brief_that_carry_credentials_are_named(
    site: Site, render_thread: RenderThread, clip: bytes
):
    ending = in_png(picture(), store(manifest("digitalCapture", {"claim_generator": "Editor"})))
    parts = Parts(
        videos={"clip.mp4": in_mp4(clip, store())},
        hooks={"hook.mp4": clip},
        endings={"end.png": ending},
    )
    job_id = queue_brief(site, parts, stillSeconds=0.5, formats=["1:1"])
    run_claims(render_thread)
    job = site.show(job_id)
    assert job["status"] == "completed"
    assert [file["contentCredentials"] for file in job["files"]] == [AI_CAMERA]
    found = {asset["name"]: asset["contentCredentials"] for asset in job["assets"]}
    assert found == {"hook.mp4": None, "end.png": EDITOR}
    listed, (line,) = manifests_of(site, job_id)
    assert [each["contentCredentials"] for each in listed["sources"]] == [AI_CAMERA]
    assert {each["name"]: each["contentCredentials"] for each in listed["assets"]} == found
    assert line["contentCredentials"] == (
        "clip.mp4: Test Camera 1.2, marked as AI-made; end.png: Editor"
    )
    check_outputs_claim_nothing(site)


def test_garbage_in_place_of_credentials_fails_nothing(
    site: Site, render_thread: RenderThread, clip: bytes
):
    contents = [in_mp4(clip, carried) for carried in (b"\xff" * 500, store()[:80], store())]
    job_id = site.upload(*contents, variations="1")
    run_claims(render_thread)
    job = site.show(job_id)
    assert [file["status"] for file in job["files"]] == ["completed"] * 3
    assert [file["contentCredentials"] for file in job["files"]] == [None, None, AI_CAMERA]
    listed, lines = manifests_of(site, job_id)
    assert [each["contentCredentials"] for each in listed["sources"]] == [None, None, AI_CAMERA]
    assert [bool(line["contentCredentials"]) for line in lines] == [False, False, True]
    check_outputs_claim_nothing(site)


@pytest.mark.tools
def test_a_signed_video_is_recognised_and_its_variations_claim_nothing(
    site: Site, render_thread: RenderThread, clip: bytes, tmp_path: Path
):
    (tmp_path / "plain.mp4").write_bytes(clip)
    sign(
        tmp_path / "plain.mp4",
        tmp_path / "signed.mp4",
        "video/mp4",
        "trainedAlgorithmicMedia",
    )
    job_id = site.upload((tmp_path / "signed.mp4").read_bytes(), variations="1")
    run_claims(render_thread)
    (file,) = site.show(job_id)["files"]
    assert (file["status"], file["contentCredentials"]) == ("completed", AI_CAMERA)
    assert manifests_of(site, job_id)[0]["sources"][0]["contentCredentials"] == AI_CAMERA
    check_outputs_claim_nothing(site)
