"""Jobs with a brief, from the queue to outputs: real ffmpeg, by claims in this process."""

import io
import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from PIL import Image

from jobserver import render
from jobserver.db import exclusive
from jobserver.jobs import quota
from jobserver.render import ffmpeg
from jobserver.worker import joins
from jobserver.worker.render_thread import RenderThread
from tests.support import Site, make_clip
from tests.worker.briefs import Parts, check_ended, queue_brief
from tests.worker.claims import GAVE_UP, file_versions, run_claims


@pytest.fixture(scope="session")
def hook(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A silent clip, shorter than `clip`."""
    path = tmp_path_factory.mktemp("clip") / "hook.mp4"
    return make_clip(path, 0.4, sound=False).read_bytes()


@pytest.fixture
def parts(clip: bytes, hook: bytes) -> Parts:
    return Parts(videos={"clip.mp4": clip}, hooks={"hook.mp4": hook})


@pytest.fixture
def encodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many pictures were encoded, sounds written and outputs joined by ffmpeg since."""
    counts: Counter[str] = Counter()
    run = ffmpeg.run

    def listen(command: Sequence[str], *args: Any, **named: Any) -> ffmpeg.Completed:
        counts["pictures"] += command.count("libx264")
        counts["sounds"] += list(pairwise(command)).count(("-c:a", "flac"))
        counts["joins"] += "concat" in command
        return run(command, *args, **named)

    monkeypatch.setattr(ffmpeg, "run", listen)
    return counts


def outputs_of(site: Site, job_id: str) -> dict[str, Path]:
    """The path of each output by its name."""
    query = """
        SELECT output.name, place FROM output JOIN job_file ON job_file.id = file_id
        WHERE job_id = ?"""
    return {
        name: site.output_dir / place.removeprefix("outputs/")
        for name, place in site.rows(query, job_id)
    }


def file_of(job: Any, name: str) -> Any:
    """A video, or an asset, of a job's JSON."""
    return next(each for each in (*job["files"], *job["assets"]) if each["name"] == name)


def failed_outputs(site: Site) -> list[tuple[Any, ...]]:
    return site.rows("SELECT number, reason FROM failed_output ORDER BY number")


def shots(site: Site) -> list[tuple[Any, ...]]:
    """Key and size of each shot that is kept."""
    return site.rows("SELECT key, size FROM shot ORDER BY key")


@pytest.mark.both_databases
def test_every_output_is_joined_of_shots_that_are_encoded_once(
    site: Site, render_thread: RenderThread, parts: Parts, encodes: Counter[str]
):
    job_id = queue_brief(site, parts, formats=["9:16", "1:1"], mirror=[False, True])
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 4)
    # the clip in two formats, mirrored and not; the hook in two; the clip's sound
    assert (encodes["pictures"], encodes["sounds"]) == (6, 1)
    for name, path in outputs_of(site, job_id).items():
        media = render.probe(path, render.Settings())
        assert media.displayed == ((360, 640) if "9x16" in name else (360, 360))
        assert media.packets.duration == pytest.approx(0.9, abs=0.05)
        assert len(media.audio) == 1
    names = {output["name"] for output in site.show(job_id)["files"][0]["outputs"]}
    assert names == set(outputs_of(site, job_id))


def test_the_first_outputs_wait_for_one_video_and_not_for_all(
    site: Site, render_thread: RenderThread, clip: bytes, hook: bytes
):
    parts = Parts({"a.mp4": clip, "b.mp4": clip}, hooks={"hook.mp4": hook})
    job_id = queue_brief(site, parts, formats=["1:1"])
    run_until(site, render_thread, "SELECT 1 FROM output")
    shown = site.show(job_id)["files"]
    assert [file["completedVariations"] for file in shown] == [1, 0]
    assert site.rows("SELECT stage FROM job_file WHERE name = 'b.mp4'") == [(1,)]
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 2)


def test_a_claim_that_others_waited_for_says_how_many(
    site: Site, render_thread: RenderThread, parts: Parts
):
    """So that Celery rings for each of them."""
    queue_brief(site, parts, formats=["1:1"])
    raised = []
    while render_thread.work_once():
        raised.append(render_thread.raised)
    assert raised == [0, 2, 0, 1, 0]  # two probes, shots of two files, a join


def test_a_part_is_probed_once_whatever_is_made_of_it(
    site: Site, render_thread: RenderThread, parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    probed = []
    probe = render.probe

    def listen(path: Path, *args: Any, **named: Any) -> render.Media:
        probed.append(path)
        return probe(path, *args, **named)

    monkeypatch.setattr(render, "probe", listen)
    queue_brief(site, parts, formats=["1:1"], mirror=[False, True])
    run_claims(render_thread)
    assert len(probed) == 2


def test_endings_logos_and_music_become_part_of_outputs(
    site: Site, render_thread: RenderThread, clip: bytes, tmp_path: Path
):
    tone = ["-f", "lavfi", "-i", "sine=880:d=2", "-f", "wav", tmp_path / "tone.wav"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *tone], check=True, timeout=60)
    for name, color in (("end.png", "red"), ("logo.png", "blue")):
        Image.new("RGB", (64, 64), color).save(tmp_path / name)

    def read(name: str) -> dict[str, bytes]:
        return {name: (tmp_path / name).read_bytes()}

    parts = Parts(
        videos={"clip.mp4": clip},
        endings=read("end.png"),
        overlays=read("logo.png"),
        music=read("tone.wav"),
    )
    logo = {"overlay": "logo.png", "corner": "top-left", "width": 0.25}
    job_id = queue_brief(
        site,
        parts,
        formats=["1:1"],
        stillSeconds=0.5,
        logo=logo,
        music=["tone.wav", None],
    )
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 2)
    assert {asset["status"] for asset in site.show(job_id)["assets"]} == {"completed"}
    loudness = [json.loads(row) for (row,) in site.rows("SELECT loudness FROM output")]
    assert [found["integrated"] for found in loudness] == [pytest.approx(-14, abs=1)] * 2
    for path in outputs_of(site, job_id).values():
        assert colour_at(path, 0.7, (180, 180)) == pytest.approx((254, 0, 0), abs=20)
        assert colour_at(path, 0.7, (40, 60)) == pytest.approx((0, 0, 254), abs=20)


def colour_at(path: Path, second: float, place: tuple[int, int]) -> tuple[int, ...]:
    """Return the colour of a pixel of a video."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-ss", str(second), "-i", path]
    one = ["-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"]
    png = subprocess.run([*ffmpeg, *one], check=True, capture_output=True, timeout=60).stdout
    return Image.open(io.BytesIO(png)).convert("RGB").getpixel(place)  # type: ignore[return-value]


# -- parts that are broken ------------------------------------------------------------------


def test_a_broken_hook_fails_only_the_outputs_that_need_it(
    site: Site, render_thread: RenderThread, clip: bytes, hook: bytes
):
    parts = Parts(
        videos={"clip.mp4": clip}, hooks={"good.mp4": hook, "bad.mp4": hook[: len(hook) // 2]}
    )
    job_id = queue_brief(site, parts, formats=["1:1"])
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 1)
    sentence = "This video is cut off: part of the file is missing."
    assert failed_outputs(site) == [(2, f"The hook bad.mp4 could not be used: {sentence}")]
    job = site.show(job_id)
    assert [file_of(job, name)["status"] for name in ("clip.mp4", "good.mp4", "bad.mp4")] == [
        *("completed", "completed", "failed")
    ]


def test_a_video_of_which_nothing_could_be_made_has_failed(
    site: Site, render_thread: RenderThread, clip: bytes
):
    parts = Parts(videos={"clip.mp4": clip}, hooks={"bad.mp4": bytes(1024)})
    job_id = queue_brief(site, parts, formats=["1:1"])
    run_claims(render_thread)
    check_ended(site, job_id, "failed", 0)
    sentence = "The hook bad.mp4 could not be used: This file is not an MP4 video."
    assert file_of(site.show(job_id), "clip.mp4")["error"] == sentence


def test_a_job_whose_videos_are_broken_ends_without_the_shots_of_its_hooks(
    site: Site, render_thread: RenderThread, hook: bytes, encodes: Counter[str]
):
    parts = Parts(videos={"bad.mp4": bytes(1024)}, hooks={"hook.mp4": hook})
    job_id = queue_brief(site, parts, formats=["1:1"])
    assert run_claims(render_thread) == 2  # two probes
    check_ended(site, job_id, "failed", 0)
    assert file_of(site.show(job_id), "hook.mp4")["status"] == "cancelled"
    assert encodes["pictures"] == 0


def test_a_hook_that_crashed_three_workers_fails_only_what_needs_it(
    site: Site, render_thread: RenderThread, parts: Parts
):
    job_id = queue_brief(site, parts, formats=["1:1"], hooks=["hook.mp4", None])
    run_until(site, render_thread, "SELECT 1 FROM job_file WHERE stage = 1 AND ready = 1")
    with closing(site.connect()) as db, exclusive(db, "queue"):
        db.write("UPDATE job_file SET attempts = 3 WHERE role = 'hook'")
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 1)
    reason = f"The hook hook.mp4 could not be used: {GAVE_UP}"
    assert failed_outputs(site) == [(1, reason)]


def test_a_retry_makes_what_a_hook_has_lacked_and_nothing_that_is_there(
    site: Site, render_thread: RenderThread, clip: bytes, hook: bytes, encodes: Counter[str]
):
    parts = Parts(videos={"clip.mp4": clip}, hooks={"good.mp4": hook, "bad.mp4": hook})
    job_id = queue_brief(site, parts, formats=["1:1"])
    ((stored,),) = site.rows("SELECT stored_name FROM job_file WHERE name = 'bad.mp4'")
    (site.upload_dir / stored).write_bytes(bytes(len(hook)))
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 1)
    before = file_versions(site.output_dir / job_id)
    (site.upload_dir / stored).write_bytes(hook)
    encodes.clear()
    assert site.post_action(job_id, "retry").status_code == 202
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 2)
    assert failed_outputs(site) == []
    assert before.items() <= file_versions(site.output_dir / job_id).items()
    assert encodes["pictures"] == 2  # the clip's shot had gone with it


# -- shots while a job runs -----------------------------------------------------------------


def run_until(site: Site, render_thread: RenderThread, query: str, *values: object) -> None:
    """Do claims until a query finds something."""
    while not site.rows(query, *values):
        assert render_thread.work_once()


def test_shots_count_in_the_storage_and_go_with_their_last_output(
    site: Site, render_thread: RenderThread, parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(joins, "JOIN_S", 0.0)  # one output a claim
    job_id = queue_brief(site, parts, formats=["9:16", "1:1"])
    run_until(site, render_thread, "SELECT 1 FROM job_file WHERE stage = 2 AND ready = 1")
    kept = shots(site)
    assert len(kept) == 5
    with closing(site.connect()) as db:
        sources = sum(len(content) for files in parts for content in files.values())
        assert quota.used_bytes(db) == sources + sum(size for _, size in kept)
    assert render_thread.work_once()
    assert len(shots(site)) == 3  # those of one format have gone
    places = {place.removeprefix("outputs/") for (place,) in site.rows("SELECT place FROM shot")}
    assert {name for name in site.found() if "shot." in name} == places
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 2)


def test_a_shot_that_has_gone_is_made_again(
    site: Site, render_thread: RenderThread, parts: Parts, encodes: Counter[str]
):
    job_id = queue_brief(site, parts, formats=["9:16"])
    run_until(site, render_thread, "SELECT 1 FROM job_file WHERE stage = 2 AND ready = 1")
    assert encodes["pictures"] == 2
    query = "SELECT place FROM shot JOIN job_file ON job_file.id = file_id WHERE role = 'hook'"
    ((place,),) = site.rows(query)
    (site.output_dir / place.removeprefix("outputs/")).unlink()
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 1)
    assert encodes["pictures"] == 3


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_cancel_between_two_claims_leaves_no_shot_and_a_retry_makes_the_rest(
    site: Site, render_thread: RenderThread, parts: Parts, stage: int
):
    job_id = queue_brief(site, parts, formats=["9:16", "1:1"])
    query = "SELECT 1 FROM job_file WHERE stage >= ? AND attempts = 0"
    run_until(site, render_thread, query, stage)
    assert site.post_action(job_id, "cancel").status_code == 200
    check_ended(site, job_id, "cancelled", 0)
    assert site.post_action(job_id, "retry").status_code == 202
    run_claims(render_thread)
    check_ended(site, job_id, "completed", 2)


def test_a_job_that_is_deleted_between_shots_and_joins_leaves_nothing(
    site: Site, render_thread: RenderThread, parts: Parts
):
    job_id = queue_brief(site, parts, formats=["9:16"])
    run_until(site, render_thread, "SELECT 1 FROM job_file WHERE stage = 2 AND ready = 1")
    assert site.client.delete(f"/api/jobs/{job_id}", headers=site.headers).status_code == 200
    assert run_claims(render_thread) == 0
    assert [site.rows(f"SELECT * FROM {table}") for table in ("shot", "job_file")] == [[], []]  # noqa: S608
    assert list(site.output_dir.glob("*/*")) == []
    assert site.server.uploads() == {}


# -- what is seen meanwhile -----------------------------------------------------------------


def test_progress_is_of_all_that_is_encoded_and_never_falls(
    site: Site, render_thread: RenderThread, parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(joins, "JOIN_S", 0.0)
    monkeypatch.setattr(render_thread, "_settings", replace(render_thread._settings, group=1))
    job_id = queue_brief(site, parts, formats=["9:16", "1:1"], mirror=[False, True])
    seen = [site.show(job_id)["progress"]]
    while render_thread.work_once():
        seen.append(site.show(job_id)["progress"])
    assert seen == sorted(seen)
    assert seen[:3] == [0, 0, 0]  # nothing is encoded by a probe
    assert seen[-1] == 100
    assert len(set(seen)) > 5


def test_the_time_that_is_left_follows_from_what_outputs_took_with_their_shots(
    site: Site, render_thread: RenderThread, parts: Parts
):
    first = queue_brief(site, parts, formats=["9:16", "1:1"])
    run_claims(render_thread)
    assert site.show(first)["status"] == "completed"
    took = [seconds for (seconds,) in site.rows("SELECT seconds FROM output")]
    second = queue_brief(site, parts, formats=["9:16", "1:1", "4:5"])
    assert site.show(second)["etaSeconds"] == round(3 * sum(took) / 2)
