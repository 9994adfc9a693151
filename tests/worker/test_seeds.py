"""Variations are drawn for each video of a job, and can be made again from what is said of them."""

import hashlib
import io
import json
import zipfile
from contextlib import closing
from pathlib import Path

from jobserver import render
from jobserver.worker.render_thread import RenderThread
from tests.support import Site
from tests.worker.claims import run_claims


def numbers_of(file: dict) -> list[tuple[float, ...]]:
    return [tuple(output["parameters"].values()) for output in file["outputs"]]


def sums_of(job: dict) -> list[str]:
    return [output["sha256"] for file in job["files"] for output in file["outputs"]]


def test_no_two_videos_of_a_job_get_the_same_variations(
    site: Site, render_thread: RenderThread, clip: bytes
) -> None:
    job_id = site.upload(clip, clip, clip, variations="3", seed="41")
    run_claims(render_thread)
    numbers = [each for file in site.show(job_id)["files"] for each in numbers_of(file)]
    assert len(set(numbers)) == 9


def test_a_job_of_one_video_has_the_variations_that_it_always_had(
    site: Site, render_thread: RenderThread, clip: bytes
) -> None:
    job_id = site.upload(clip, variations="2", seed="41")
    run_claims(render_thread)
    (file,) = site.show(job_id)["files"]
    assert file["seed"] == 41
    assert [output["parameters"] for output in file["outputs"]] == [
        dict(render.parameters(41, n).values) for n in (1, 2)
    ]


def test_the_same_files_and_seed_give_the_same_bytes_again(
    site: Site, render_thread: RenderThread, clip: bytes
) -> None:
    jobs = [site.upload(clip, clip, variations="2", seed="41") for _ in range(2)]
    run_claims(render_thread)
    first, second = (sums_of(site.show(job_id)) for job_id in jobs)
    assert first == second
    assert len(set(first)) == 4


def test_a_video_alone_with_its_own_seed_gives_what_it_gave_among_others(
    site: Site, render_thread: RenderThread, clip: bytes
) -> None:
    together = site.upload(clip, clip, variations="2")
    seed = site.show(together)["files"][1]["seed"]
    alone = site.upload(clip, variations="2", seed=str(seed))
    run_claims(render_thread)
    assert sums_of(site.show(together))[2:] == sums_of(site.show(alone))


def test_the_manifest_says_how_to_make_every_output_again(
    site: Site, render_thread: RenderThread, clip: bytes, tmp_path: Path
) -> None:
    job_id = site.upload(clip, clip, variations="1", recipe="classic")
    run_claims(render_thread)
    answer = site.client.get(f"/api/jobs/{job_id}/download", headers=site.headers)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    (tmp_path / "again.mp4").write_bytes(clip)
    settings = render.Settings(encoding=render.Encoding(preset="ultrafast"))
    media = render.probe(tmp_path / "again.mp4", settings)
    for source in manifest["sources"]:
        (output,) = source["outputs"]
        parameters = render.parameters(source["seed"], output["index"], manifest["recipe"])
        assert output["parameters"] == dict(parameters.values)
        wanted = [(parameters, tmp_path / "made.mp4")]
        (made,) = render.render(tmp_path / "again.mp4", media, wanted, settings)
        assert hashlib.sha256(made.path.read_bytes()).hexdigest() == output["sha256"]


def test_a_job_that_an_older_version_queued_goes_on_with_the_seed_of_the_job(
    site: Site, render_thread: RenderThread, clip: bytes
) -> None:
    """What is missing after an upgrade belongs to what was published before it."""
    job_id = site.upload(clip, clip, variations="2", seed="41")
    with closing(site.connect()) as db:
        db.execute("UPDATE job_file SET own_seed = NULL")  # as an upgrade leaves it
    run_claims(render_thread)
    first, second = site.show(job_id)["files"]
    assert first["seed"] == second["seed"] == 41
    assert numbers_of(first) == numbers_of(second)
