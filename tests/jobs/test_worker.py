"""Queued files become outputs: real clips, real ffmpeg, by claims in this process or a worker's."""

import hashlib
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest

from jobserver import render
from jobserver.db import initialise, last_seen
from jobserver.jobs import store
from jobserver.jobs.slot import Slot
from tests.disk import fill
from tests.support import (
    BIN,
    PASSWORD,
    PROJECT,
    QUICK,
    Server,
    Site,
    Worker,
    field_part,
    file_part,
    make_clip,
    processes_naming,
    wait_for,
)

StartWorker = Callable[..., Worker]

GAVE_UP = "This video could not be rendered; 3 attempts failed."
ZEROS = bytes(1024)
FULL = re.compile(r"^\d+ \w+: (The disk is full|.*No space left on device)", re.M)  # a log line


def work(slot: Slot) -> int:
    """Work until nothing waits; return how many claims that took."""
    return sum(1 for _ in iter(slot.work_once, False))


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file is behind each name and when it was written last."""
    stats = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def parameters_of(seed: int, index: int, recipe: str) -> dict[str, float]:
    return dict(render.parameters(seed, index, recipe).values)


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobserver.jobs.slot.RETRY_DELAYS_S", (0.0, 0.0))


# -- what comes out -----------------------------------------------------------


def test_every_variation_of_every_file_is_listed_whole_and_plays(
    site: Site, slot: Slot, clip: bytes, tmp_path: Path
):
    other = make_clip(tmp_path / "other.mp4", 1, sound=False).read_bytes()
    job_id = site.upload(clip, other, variations="3", recipe="classic", seed="42")
    assert work(slot) == 2
    site.check_completed(job_id, 3)
    job = site.show(job_id)
    for file, content, duration in zip(job["files"], (clip, other), (0.5, 1.0), strict=True):
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert (file["width"], file["height"]) == (160, 90)
        assert file["duration"] == pytest.approx(duration, abs=0.05)
        for output in file["outputs"]:
            assert output["parameters"] == parameters_of(42, output["index"], "classic")
            media = render.probe(site.output_dir / job_id / output["name"], render.Settings())
            assert media.packets.duration == pytest.approx(duration, abs=0.04)
            assert media.displayed == (160, 90)


def test_a_job_tells_when_it_began_ended_and_expires(site: Site, slot: Slot, clip: bytes):
    job_id = site.upload(clip, variations="1")
    queued = site.show(job_id)
    assert (queued["startedAt"], queued["finishedAt"]) == (None, None)
    assert seconds(queued["expiresAt"]) - seconds(queued["createdAt"]) == 24 * 3600
    work(slot)
    job = site.show(job_id)
    steps = ("createdAt", "startedAt", "finishedAt")
    created, began, ended = (seconds(job[step]) for step in steps)
    assert created <= began < ended
    assert seconds(job["expiresAt"]) - ended == pytest.approx(24 * 3600, abs=0.01)


def test_twelve_variations_appear_group_by_group(site: Site, slot: Slot, clip: bytes):
    job_id = site.upload(clip, variations="12")
    seen = []
    while slot.work_once():
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


def test_what_is_listed_is_not_rendered_again(site: Site, slot: Slot, clip: bytes):
    job_id = site.upload(clip, variations="7")
    assert slot.work_once()
    before = written(site.output_dir / job_id)
    assert len([name for name in before if name.endswith(".mp4")]) == 5
    work(slot)
    assert before.items() <= written(site.output_dir / job_id).items()
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
def test_an_output_has_a_safe_name_below_its_job(
    site: Site, slot: Slot, clip: bytes, name: str, stem: str | None
):
    job_id = site.post(file_part(clip, name), field_part("variations", "1")).json["jobId"]
    slot.work_once()
    site.check_completed(job_id, 1)
    for output in site.show(job_id)["files"][0]["outputs"]:
        assert output["name"].isascii()
        assert set(output["name"]) & set("/\\ :") == set()
        ending = f"_var{output['index']}_{output['id']}.mp4"
        assert output["name"].endswith(ending)
        assert stem is None or output["name"] == stem + ending
        assert (site.output_dir / job_id / output["name"]).is_file()


def test_the_same_seed_and_recipe_give_the_same_bytes(site: Site, slot: Slot, clip: bytes):
    orders = [("7", "subtle"), ("7", "subtle"), ("8", "subtle"), ("7", "classic")]
    jobs = [site.upload(clip, variations="2", seed=s, recipe=r) for s, r in orders]
    work(slot)
    sums = [[each["sha256"] for each in site.show(j)["files"][0]["outputs"]] for j in jobs]
    assert sums[0] == sums[1]
    assert len({each for pair in sums for each in pair}) == 6


def test_a_made_seed_is_shown_and_gives_the_same_bytes_when_given(
    site: Site, slot: Slot, clip: bytes
):
    first = site.upload(clip, variations="1")
    seed = site.show(first)["seed"]
    assert seed != site.show(site.upload(clip, variations="1"))["seed"]
    again = site.upload(clip, variations="1", seed=str(seed))
    work(slot)
    sums = [site.show(j)["files"][0]["outputs"][0]["sha256"] for j in (first, again)]
    assert sums[0] == sums[1]


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

    wait_for(completed, 40, site.told())
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(set(seen)) > 4


def test_a_queue_tells_places_and_times(site: Site, slot: Slot, clip: bytes):
    first = site.upload(clip, variations="10")
    second = site.upload(clip, variations="10")
    for place, job_id in ((1, first), (2, second)):
        job = site.show(job_id)
        assert (job["queuePosition"], job["etaSeconds"]) == (place, None)
    slot.work_once()
    pace = site.rows("SELECT AVG(seconds) FROM output")[0][0]
    running, waiting = site.show(first), site.show(second)
    assert (running["queuePosition"], waiting["queuePosition"]) == (None, 2)
    assert running["etaSeconds"] == round(5 * pace)
    assert waiting["etaSeconds"] == round(15 * pace)
    work(slot)
    assert [site.show(j)["etaSeconds"] for j in (first, second)] == [None, None]


# -- what goes wrong ----------------------------------------------------------


def test_a_file_that_is_no_video_fails_with_a_sentence_and_the_next_one_renders(
    site: Site, slot: Slot, clip: bytes
):
    job_id = site.upload(ZEROS, clip, variations="2")
    work(slot)
    job = site.show(job_id)
    zeros, good = job["files"]
    assert (job["status"], job["progress"], job["error"]) == ("completed", 100, None)
    assert (zeros["status"], zeros["error"]) == ("failed", "This file is not an MP4 video.")
    assert (good["status"], good["completedVariations"]) == ("completed", 2)
    site.check_sound()


def test_a_job_fails_when_all_its_files_do(site: Site, slot: Slot):
    job_id = site.upload(ZEROS, ZEROS)
    work(slot)
    job = site.show(job_id)
    assert (job["status"], job["error"]) == ("failed", "Every video failed")
    assert job["finishedAt"]
    assert site.found() == set()


@pytest.mark.usefixtures("no_delay")
def test_a_missing_upload_fails_after_three_attempts_and_a_retry_finds_it_again(
    site: Site, slot: Slot, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    (upload,) = (path for path in site.upload_dir.iterdir() if path.name != ".database")
    aside = upload.rename(upload.with_name("aside"))
    assert work(slot) == 3
    (file,) = site.show(job_id)["files"]
    assert (file["status"], file["error"]) == ("failed", GAVE_UP)
    aside.rename(upload)
    assert site.order(job_id, "retry").status_code == 202
    assert work(slot) == 1
    site.check_completed(job_id, 1)


def test_an_attempt_that_failed_is_not_repeated_at_once(site: Site, slot: Slot, clip: bytes):
    job_id = site.upload(clip, variations="1")
    for upload in site.upload_dir.glob("*.mp4"):
        upload.unlink()
    assert slot.work_once()
    assert not slot.work_once()
    assert site.show(job_id)["status"] == "processing"


def test_a_file_that_ended_three_workers_fails_without_a_fourth_render(
    site: Site, slot: Slot, clip: bytes
):
    job_id = site.upload(clip)
    with closing(site.connect()) as db:
        for _ in range(3):
            assert store.claim(db, "killed", -1, 0)
    assert work(slot) == 1
    assert site.show(job_id)["files"][0]["error"] == GAVE_UP
    assert site.found() == set()


def test_a_database_that_is_locked_when_outputs_are_ready_costs_a_delay(
    site: Site, start_worker: StartWorker, clip: bytes
):
    job_id = site.upload(clip, variations="2")
    writer = start_worker("written:STOP", LOCK_S="0.2", HEARTBEAT_S="1")
    wait_for(writer.is_stopped, 20, writer.log())
    with closing(site.connect()) as db:
        db.execute("BEGIN IMMEDIATE")
        writer.go_on()
        wait_for(lambda: "database is locked" in writer.log(), 20, writer.log())
        db.execute("ROLLBACK")
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 2)


def test_a_volume_that_is_not_mounted_is_waited_for(
    site: Site, slot: Slot, clip: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobserver.jobs.slot.RETRY_DELAYS_S", (0.0, 0.0))
    job_id = site.upload(clip, variations="1")
    for folder in (site.upload_dir, site.output_dir):
        away = folder.rename(folder.with_name("away"))
        for make in (folder.mkdir, folder.rmdir):  # an empty mount point, and none at all
            make()
            for _ in range(store.MAX_ATTEMPTS + 1):
                assert slot.work_once()
            assert site.show(job_id)["files"][0]["completedVariations"] == 0
            assert site.rows("SELECT attempts FROM job_file") == [(0,)]
        away.rename(folder)
    assert work(slot) == 1
    site.check_completed(job_id, 1)


def test_a_worker_ends_when_another_database_takes_the_place_of_its_own(
    site: Site, start_worker: StartWorker
):
    worker = start_worker(HOUSEKEEPING_S="0.1")
    with closing(site.connect()) as db:
        wait_for(lambda: last_seen(db), what="a round of its housekeeping")
    initialise(other := site.server.folder / "other.sqlite3")
    other.replace(site.server.database)
    assert worker.process.wait(20) == 1
    assert "Another database has taken the place of ours" in worker.log()


@pytest.mark.tools
@pytest.mark.parametrize("left", [0, 16 * 1024], ids=["nothing left", "too little left"])
def test_a_full_disk_is_waited_for_however_often_it_takes(
    small_disk: Path, tmp_path: Path, clip: bytes, left: int
):
    site = Site(tmp_path, OUTPUT_DIR=str(small_disk))
    job_id = site.upload(clip, variations="3")
    filler = small_disk / "filler"
    fill(filler)
    os.truncate(filler, filler.stat().st_size - left)
    full = Worker(site.server).start()
    try:
        wait_for(lambda: len(FULL.findall(full.log())) > 4, 30, full.log())
        assert site.show(job_id)["status"] == "processing"
        filler.unlink()
        site.wait_until(job_id, "completed")
        site.check_completed(job_id, 3)
    finally:
        assert full.stop() == 0


# -- the process --------------------------------------------------------------


def test_a_worker_that_is_told_to_stop_finishes_what_is_nearly_done(
    site: Site, start_worker: StartWorker, clip: bytes
):
    job_id = site.upload(clip, variations="10")
    stopping = start_worker("written:STOP", LEASE_S="30")
    wait_for(stopping.is_stopped, 20, stopping.log())
    stopping.ask_to_stop()
    stopping.go_on()
    assert stopping.process.wait(20) == 0, stopping.log()
    assert site.show(job_id)["files"][0]["completedVariations"] == 5  # and not another group
    site.check_sound()
    start_worker()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 10)


def test_a_worker_that_is_told_to_stop_gives_back_what_would_take_too_long(
    site: Site, start_worker: StartWorker, long_clip: bytes
):
    job_id = site.upload(long_clip, variations="1")
    stopping = start_worker(GRACE_S="0.2", LEASE_S="600", ENCODER_PRESET="placebo")
    wait_for(lambda: processes_naming(site.output_dir), 20, "an ffmpeg")
    stopping.ask_to_stop()
    assert stopping.process.wait(5) == 0, stopping.log()
    site.check_sound()
    assert site.rows("SELECT status, attempts, lease_until FROM job_file") == [("processing", 0, 0)]
    start_worker()
    site.wait_until(job_id, "completed", 20)  # long before the lease of the first would end
    site.check_completed(job_id, 1)


def test_two_workers_with_two_slots_share_the_work(
    site: Site, start_worker: StartWorker, clip: bytes
):
    workers = [start_worker(WORKERS="2") for _ in range(2)]
    jobs = [site.upload(clip, clip, variations="2") for _ in range(4)]
    for job_id in jobs:
        site.wait_until(job_id, "completed")
    for job_id in jobs:
        site.check_completed(job_id, 2)
    pids = {name.split(":")[1] for (name,) in site.rows("SELECT worker FROM job_file")}
    assert pids <= {str(each.process.pid) for each in workers}
    assert [each.stop() for each in workers] == [0, 0]


@pytest.fixture
def flask_worker(site: Site) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command that operators run."""
    started: list[subprocess.Popen[str]] = []

    def start(**settings: str) -> subprocess.Popen[str]:
        command = [BIN / "flask", "--app", "wsgi", "worker"]
        environment = {**site.server.environment, **QUICK, **settings}
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=pipe, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"FFMPEG": "/bin/false"}, "exit status 1"),
        ({"ENCODER": "nothing"}, "Unknown encoder 'nothing'"),
        ({"ENCODER_PRESET": "nothing"}, "invalid preset 'nothing'"),
        ({"ENCODER_RATE": "-nothing 1"}, "Unrecognized option 'nothing'"),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else "",
)
def test_settings_that_no_ffmpeg_can_encode_with_stop_the_start(
    site: Site,
    flask_worker: Callable[..., subprocess.Popen[str]],
    settings: dict[str, str],
    reason: str,
):
    _, said = (process := flask_worker(**settings)).communicate(timeout=30)
    assert process.returncode == 1
    assert re.fullmatch("Error: FFMPEG, ENCODER, .* cannot be used: .*\n", said)
    assert reason in said


def test_the_worker_command_renders_and_ends_with_0_when_interrupted(
    site: Site, flask_worker: Callable[..., subprocess.Popen[str]], clip: bytes
):
    job_id = site.upload(clip, variations="1")
    process = flask_worker()
    site.wait_until(job_id, "completed")
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in log) == (0, False)
    assert PASSWORD not in log
    site.check_completed(job_id, 1)


@pytest.mark.parametrize("state", ["missing", "of version 1"])
def test_a_worker_refuses_a_database_it_cannot_work_with(
    site: Site, flask_worker: Callable[..., subprocess.Popen[str]], state: str
):
    site.server.database.unlink()
    if state == "of version 1":
        version_1(site.server.database).close()
    process = flask_worker()
    _, log = process.communicate(timeout=20)
    assert process.returncode == 1
    assert str(site.server.database) in log
    assert "Traceback" not in log


# -- databases from before ----------------------------------------------------


def version_1(path: Path) -> sqlite3.Connection:
    """Make a database as the first version did."""
    db = sqlite3.connect(path)
    schema = files("jobserver").joinpath("schema.sql").read_text()
    db.executescript("PRAGMA journal_mode = WAL;" + schema)
    db.execute("INSERT INTO meta VALUES ('schema_version', '1'), ('database_id', 'x')")
    db.commit()
    return db


def test_jobs_queued_before_there_were_workers_are_rendered(tmp_path: Path, clip: bytes):
    server = Server(tmp_path)
    server.upload_dir.mkdir()
    with closing(version_1(server.database)) as db, db:
        db.execute("INSERT INTO job VALUES ('old', 2, 1700000000)")
        for n in range(2):
            (server.upload_dir / f"{n}.mp4").write_bytes(clip)
            values = [f"file{n}", n, f"{n}.mp4", len(clip)]
            db.execute("INSERT INTO job_file VALUES (?, 'old', ?, 'a.mp4', ?, ?, 'queued')", values)
    assert server.init_db().returncode == 0
    site = Site(tmp_path)
    assert server.flask("adopt").returncode == 0  # its folders have no mark yet
    old = Worker(server).start()
    try:
        site.wait_until("old", "completed")
    finally:
        assert old.stop() == 0
    site.check_completed("old", 2)
    job = site.show("old")
    assert (job["recipe"], job["seed"]) == ("subtle", 0)
