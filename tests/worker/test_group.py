"""Queued files become outputs: real clips, real ffmpeg, by claims in this process or a worker's."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from jobserver import render
from jobserver.render import ffmpeg
from jobserver.worker.render_thread import RenderThread
from tests.support import Site, field_part, file_part, make_clip, wait_for
from tests.worker.claims import StartWorker, file_versions, run_claims


def unix_seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def parameters_of(seed: int, index: int, recipe: str) -> dict[str, float]:
    return dict(render.parameters(seed, index, recipe).values)


def output_sums(site: Site, job_id: str) -> list[str]:
    """The SHA-256 of each output of the job's first file."""
    return [output["sha256"] for output in site.show(job_id)["files"][0]["outputs"]]


def test_every_variation_of_every_file_is_published_and_plays(
    site: Site, render_thread: RenderThread, clip: bytes, tmp_path: Path
):
    other = make_clip(tmp_path / "other.mp4", 1, sound=False).read_bytes()
    job_id = site.upload(clip, other, variations="3", recipe="classic", seed="42")
    assert run_claims(render_thread) == 2
    site.check_completed(job_id, 3)
    job = site.show(job_id)
    for file, content, duration in zip(job["files"], (clip, other), (0.5, 1.0), strict=True):
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert (file["width"], file["height"]) == (160, 90)
        assert file["duration"] == pytest.approx(duration, abs=0.05)
        for output in file["outputs"]:
            assert output["parameters"] == parameters_of(file["seed"], output["index"], "classic")
            media = render.probe(site.output_dir / job_id / output["name"], render.Settings())
            assert media.packets.duration == pytest.approx(duration, abs=0.04)
            assert media.displayed == (160, 90)


def test_a_job_shows_when_it_started_finished_and_expires(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    queued = site.show(job_id)
    assert (queued["startedAt"], queued["finishedAt"]) == (None, None)
    assert unix_seconds(queued["expiresAt"]) - unix_seconds(queued["createdAt"]) == 24 * 3600
    run_claims(render_thread)
    job = site.show(job_id)
    steps = ("createdAt", "startedAt", "finishedAt")
    created, started, finished = (unix_seconds(job[step]) for step in steps)
    assert created <= started < finished
    assert unix_seconds(job["expiresAt"]) - finished == pytest.approx(24 * 3600, abs=0.01)


def test_twelve_variations_appear_group_by_group(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="12")
    seen = []
    while render_thread.work_once():
        job = site.show(job_id)
        (file,) = job["files"]
        assert [each["index"] for each in file["outputs"]] == [
            *range(1, file["completedVariations"] + 1)
        ]
        assert job["progress"] == file["progress"]
        seen.append((job["status"], file["completedVariations"], job["progress"]))
        site.check_sound()
    assert seen == [("processing", 5, 41), ("processing", 10, 83), ("completed", 12, 100)]
    site.check_completed(job_id, 12)


def test_a_file_starts_ffmpeg_twice_and_each_of_its_groups_twice_more(
    site: Site, render_thread: RenderThread, clip: bytes, monkeypatch: pytest.MonkeyPatch
):
    """Probe and picture of the source; render with thumbnails, and verify, of each group."""
    formats, run = [], ffmpeg.run

    def listen(command: Sequence[str], *args: Any, **named: Any) -> ffmpeg.Completed:
        formats.append({command[n + 1] for n, word in enumerate(command) if word == "-f"})
        return run(command, *args, **named)

    monkeypatch.setattr(ffmpeg, "run", listen)
    job_id = site.upload(clip, variations="7")
    run_claims(render_thread)
    site.check_completed(job_id, 7)
    check = {"mov", "framecrc", "rawvideo"}
    first = [{"mov", "mp4", "webp", "rawvideo"}, check]  # small frames of the source as well
    assert formats == [{"mov", "framecrc"}, {"mov", "webp"}, *first, {"mov", "mp4", "webp"}, check]


def test_published_variations_are_not_rendered_again(
    site: Site, render_thread: RenderThread, clip: bytes
):
    job_id = site.upload(clip, variations="7")
    assert render_thread.work_once()
    before = file_versions(site.output_dir / job_id)
    assert len([name for name in before if name.endswith(".mp4")]) == 5
    run_claims(render_thread)
    assert before.items() <= file_versions(site.output_dir / job_id).items()
    site.check_completed(job_id, 7)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("My clip (1).mp4", "My_clip_1"),
        ("../../etc/passwd.mp4", "passwd"),
        ("C:\\\\fakepath\\\\a.mp4", None),
        (".....mp4", "video"),
        ("-i.mp4", "i"),
        ("\u202egnp.mp4", "gnp"),
        ("фильм.mp4", "video"),
        ("x" * 300 + ".mp4", "x" * 80),
    ],
)
def test_an_output_has_a_safe_name_in_the_folder_of_its_job(
    site: Site, render_thread: RenderThread, clip: bytes, name: str, stem: str | None
):
    job_id = site.post(file_part(clip, name), field_part("variations", "1")).json["jobId"]
    render_thread.work_once()
    site.check_completed(job_id, 1)
    for output in site.show(job_id)["files"][0]["outputs"]:
        assert output["name"].isascii()
        assert set(output["name"]) & set("/\\ :") == set()
        ending = f"_var{output['index']}_{output['id']}.mp4"
        assert output["name"].endswith(ending)
        assert stem is None or output["name"] == stem + ending
        assert (site.output_dir / job_id / output["name"]).is_file()


def test_the_same_seed_and_recipe_give_the_same_bytes(
    site: Site, render_thread: RenderThread, clip: bytes
):
    options = [("7", "subtle"), ("7", "subtle"), ("8", "subtle"), ("7", "classic")]
    jobs = [site.upload(clip, variations="2", seed=seed, recipe=recipe) for seed, recipe in options]
    run_claims(render_thread)
    sums = [output_sums(site, job_id) for job_id in jobs]
    assert sums[0] == sums[1]
    assert len({each for pair in sums for each in pair}) == 6


def test_a_generated_seed_is_shown_and_gives_the_same_bytes_again(
    site: Site, render_thread: RenderThread, clip: bytes
):
    first = site.upload(clip, variations="1")
    seed = site.show(first)["seed"]
    assert seed != site.show(site.upload(clip, variations="1"))["seed"]
    again = site.upload(clip, variations="1", seed=str(seed))
    run_claims(render_thread)
    assert output_sums(site, first) == output_sums(site, again)


def test_progress_only_grows_until_it_is_100(
    site: Site, start_worker: StartWorker, long_clip: bytes
):
    job_id = site.upload(long_clip, variations="6")
    start_worker(HEARTBEAT_S="0.05", ENCODER_PRESET="superfast")
    seen: list[int] = []

    def completed() -> bool:
        job = site.show(job_id)
        seen.append(job["progress"])
        assert job["progress"] < 100 or job["status"] == "completed"
        return job["status"] == "completed"

    wait_for(completed, 40, site.state())
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(set(seen)) > 4


def test_a_waiting_job_shows_its_place_in_the_queue_and_its_remaining_seconds(
    site: Site, render_thread: RenderThread, clip: bytes
):
    first = site.upload(clip, variations="10")
    second = site.upload(clip, variations="10")
    for place, job_id in ((1, first), (2, second)):
        job = site.show(job_id)
        assert (job["queuePosition"], job["etaSeconds"]) == (place, None)
    render_thread.work_once()
    average = site.rows("SELECT AVG(seconds) FROM output")[0][0]
    running, waiting = site.show(first), site.show(second)
    assert (running["queuePosition"], waiting["queuePosition"]) == (None, 2)
    assert running["etaSeconds"] == round(5 * average)
    assert waiting["etaSeconds"] == round(15 * average)
    run_claims(render_thread)
    assert [site.show(job_id)["etaSeconds"] for job_id in (first, second)] == [None, None]
