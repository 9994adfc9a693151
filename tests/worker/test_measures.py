"""What the status, the matrix and the manifest say about pictures was measured on the outputs."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jobserver.db import exclusive
from jobserver.jobs import sweep
from jobserver.worker.render_thread import RenderThread
from tests.support import Site, make_clip
from tests.worker.briefs import Parts, queue_brief
from tests.worker.claims import run_claims


def outputs_of(site: Site, job_id: str) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = site.show(job_id)["files"][0]["outputs"]
    return outputs


def test_every_output_says_how_far_it_is_from_source_and_siblings(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="7")
    assert render_thread.work_once()
    first = outputs_of(site, job_id)
    ids = {each["id"] for each in first}
    assert all(each["difference"]["nearestOutput"] in ids for each in first)
    run_claims(render_thread)
    outputs = outputs_of(site, job_id)
    answer = site.client.get(f"/api/jobs/{job_id}/differences", headers=site.headers)
    found = answer.get_json()
    assert found["outputs"] == [each["id"] for each in outputs]
    for place, (output, row) in enumerate(zip(outputs, found["bits"], strict=True)):
        said = output["difference"]
        others = [(bits, n) for n, bits in enumerate(row) if n != place]
        assert said["nearest"] == min(others)[0]
        assert row[found["outputs"].index(said["nearestOutput"])] == min(others)[0]
        assert (said["label"], said["nearestLabel"]) == ("cosmetic", "cosmetic")
        assert 0 <= said["source"] < 5
        assert 0 <= said["opening"] < 5
        assert (output["width"], output["height"]) == (160, 90)
        assert output["duration"] == pytest.approx(0.5, abs=0.1)
        assert output["loudness"].keys() == {"integrated", "truePeak"}
        assert row[place] == 0
    etag = answer.headers["ETag"]
    again = {**site.headers, "If-None-Match": etag}
    assert site.client.get(f"/api/jobs/{job_id}/differences", headers=again).status_code == 304


def test_only_a_main_clip_of_the_job_has_a_matrix(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, clip, variations="1")

    def ask(job: str, query: str = "") -> tuple[int, Any]:
        answer = site.client.get(f"/api/jobs/{job}/differences{query}", headers=site.headers)
        return answer.status_code, answer.get_json()

    [first, second] = [file["id"] for file in site.show(job_id)["files"]]
    assert ask(job_id, f"?file={first}") == (200, {"outputs": [], "bits": []})
    run_claims(render_thread)
    for file in site.show(job_id)["files"]:
        [output] = file["outputs"]
        said = output["difference"]
        assert (said["nearest"], said["nearestOutput"], said["nearestLabel"]) == (None, None, None)
        assert ask(job_id, f"?file={file['id']}") == (
            200,
            {"outputs": [output["id"]], "bits": [[0.0]]},
        )
    assert ask(job_id)[0] == 400
    assert ask(job_id, "?file=other")[0] == 404
    assert ask("other")[0] == 404
    assert second != first
    refused = site.client.get(f"/api/jobs/{job_id}/differences")
    assert refused.status_code == 401


def test_the_manifest_says_what_the_status_says_and_is_as_long_whoever_is_nearest(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="2")
    run_claims(render_thread)
    outputs = outputs_of(site, job_id)

    def members() -> dict[str, bytes]:
        answer = site.client.get(f"/api/jobs/{job_id}/download", headers=site.headers)
        with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    found = members()
    [source] = json.loads(found["manifest.json"])["sources"]
    said = [each["difference"] for each in outputs]
    assert [each["difference"] for each in source["outputs"]] == said
    lines = list(csv.DictReader(io.StringIO(found["manifest.csv"].decode())))
    for line, difference in zip(lines, said, strict=True):
        for name, value in difference.items():
            assert line[f"difference{name[0].upper()}{name[1:]}"] == str(value)
    with site.connect() as db:
        forget(db, "UPDATE output SET nearest_bits = NULL, nearest_output = NULL")
    alone = members()
    assert alone != found
    assert {name: len(data) for name, data in alone.items()} == {
        name: len(data) for name, data in found.items()
    }


def test_an_output_of_before_it_was_measured_has_no_difference(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="6")
    assert render_thread.work_once()
    with site.connect() as db:
        forget(db, """UPDATE output SET hashes = NULL, source_bits = NULL, opening_bits = NULL,
                          nearest_bits = NULL, nearest_output = NULL""")  # fmt: skip
        forget(db, "UPDATE job_file SET picture = NULL")
    run_claims(render_thread)
    *old, new = outputs_of(site, job_id)
    assert [each["difference"] for each in old] == [None] * 5
    assert new["difference"]["label"] == "cosmetic"
    assert new["difference"]["nearest"] is None


def test_who_was_nearest_to_an_output_that_has_gone_finds_another(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="6")
    assert render_thread.work_once()
    gone = outputs_of(site, job_id)[0]
    (site.output_dir / job_id / gone["name"]).unlink()
    with site.connect() as db:
        assert sweep.forget_missing(db, site.store, db.clock()) == 1
    left = outputs_of(site, job_id)
    assert gone["id"] not in {each["difference"]["nearestOutput"] for each in left}
    run_claims(render_thread)
    again = [each["difference"]["nearest"] for each in outputs_of(site, job_id)]
    answer = site.client.get(f"/api/jobs/{job_id}/differences", headers=site.headers)
    rows = answer.get_json()["bits"]
    others = [[bits for n, bits in enumerate(row) if n != own] for own, row in enumerate(rows)]
    assert again == list(map(min, others))


def test_outputs_of_parts_are_measured_by_their_shots(
    site: Site, render_thread: RenderThread, tmp_path: Path
):
    main, hook = (make_clip(tmp_path / f"{n}.mp4", n, sound=True).read_bytes() for n in (2, 1))
    parts = Parts({"main.mp4": main}, hooks={"hook.mp4": hook})
    job_id = queue_brief(site, parts, hooks=[None, "hook.mp4"])
    run_claims(render_thread)
    without, behind = outputs_of(site, job_id)
    assert without["difference"]["source"] < 5
    assert without["difference"]["label"] == "cosmetic"
    assert behind["difference"]["source"] == pytest.approx(32 / 3, abs=3)  # 1 s of 3 s
    assert behind["difference"]["opening"] == pytest.approx(32 / 3, abs=3)
    assert behind["difference"]["nearestOutput"] == without["id"]
    assert behind["difference"]["nearest"] == pytest.approx(32 / 3, abs=3)


def forget(db: Any, query: str) -> None:
    with exclusive(db, "publish"):
        db.write(query)
