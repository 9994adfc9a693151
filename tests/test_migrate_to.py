"""From one machine to a PostgreSQL and a bucket: nothing is lost on the way."""

import gc
import hashlib
import io
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from jobserver import db
from jobserver.db import Connection, per_thread
from jobserver.files.s3.store import S3Store
from jobserver.ids import generate_id
from jobserver.jobs import relocation
from jobserver.worker.engine import render_settings
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.render_thread import RenderThread
from tests.bucket import BUCKET, Gateway
from tests.faulty_migration import STEPS
from tests.jobs.steps import insert_job
from tests.postgres import Cluster
from tests.support import PROJECT, Server, Site, Worker, wait_for

pytestmark = pytest.mark.tools


def render_all(site: Site) -> None:
    heartbeat = Heartbeat(site.server.place)
    with heartbeat.running():
        settings = render_settings(site.settings)
        thread = RenderThread(site.server.place, site.store, settings, heartbeat)
        thread.run(threading.Event(), once=True)  # and closes what it has open


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, clip: bytes) -> Path:
    """The folder of a site with a completed, a cancelled and a queued job, and a deleted one."""
    folder = tmp_path_factory.mktemp("original")
    site = Site(folder)
    site.upload(clip, clip, variations="2")
    gone = site.upload(clip, variations="1")
    render_all(site)
    assert site.client.delete(f"/api/jobs/{gone}", headers=site.headers).status_code == 200
    site.post_action(site.upload(clip), "cancel")
    site.upload(clip, b"not a clip, but an upload" + clip, variations="3")
    return folder


@pytest.fixture
def source(original: Path, tmp_path: Path) -> Site:
    """A site of the test's own with those jobs; nothing has its database open."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return Site(tmp_path)


def leave_database() -> None:
    """Close what this thread has open, as a server does that is stopped."""
    kept = vars(per_thread._thread)
    if "connection" in kept:
        kept["connection"].close()
        kept.clear()


class Target:
    """Where a site moves to, and what is asked of the command that moves it."""

    def __init__(self, source: Site, cluster: Cluster, gateway: Gateway) -> None:
        self.source, self.cluster, self.gateway = source, cluster, gateway
        self.database, self.prefix = cluster.create(), f"moved/{generate_id()}"
        self.url = cluster.url(self.database)
        self.words = [
            *("migrate-to", "--database-url", self.url),
            *("--storage-url", f"s3://{BUCKET}/{self.prefix}"),
        ]

    def run(self, *more: str) -> Result:
        leave_database()
        result = self.source.app.test_cli_runner().invoke(args=[*self.words, *more])
        result.exc_info = result.exception = None  # whose frames would keep the database open
        gc.collect()
        return result

    def run_and_kill(self, step: str) -> None:
        leave_database()
        done = subprocess.run(
            [sys.executable, "-m", "tests.faulty_migration", step, *self.words],
            cwd=PROJECT,
            env={**self.source.server.environment, **self.gateway.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == -signal.SIGKILL, (done.stdout, done.stderr)

    def objects(self) -> set[str]:
        """The objects without the mark of their database."""
        keys = {key.removeprefix(f"{self.prefix}/") for key in self.gateway.keys(self.prefix)}
        return keys - {".database"}

    def site(self) -> Site:
        """A host on what was copied; it does without init-db."""
        return Site(
            self.source.server.folder,
            DATABASE_URL=self.url,
            STORAGE_URL=f"s3://{BUCKET}/{self.prefix}",
            SCRATCH_DIR=str(self.source.server.folder / "scratch"),
        )


@pytest.fixture
def target(
    source: Site, cluster: Cluster, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Target]:
    for name, value in gateway.environment.items():
        monkeypatch.setenv(name, value)
    target = Target(source, cluster, gateway)
    yield target
    cluster.drop(target.url)


def shown(site: Site) -> list[Any]:
    """All jobs as clients see them, without what changes with time."""

    def steady(value: Any) -> Any:
        if isinstance(value, dict):
            kept = (name for name in value if not name.lower().endswith(("url", "etaseconds")))
            return {name: steady(value[name]) for name in kept}
        return [steady(each) for each in value] if isinstance(value, list) else value

    jobs = site.client.get("/api/jobs", headers=site.headers).json
    return steady([site.show(job["id"]) for job in jobs])


def rows(db: Connection, table: str) -> list[str]:
    found = db.execute(f"SELECT * FROM {table}")  # noqa: S608
    names = [column[0] for column in found.description]
    return sorted(str(sorted(zip(names, row, strict=True))) for row in found.fetchall())


def sums(site: Site) -> dict[str, str]:
    """The SHA-256 of every file in the folders, by its key."""
    folders = {"uploads": site.upload_dir, "outputs": site.output_dir}
    return {
        f"{kind}/{path.relative_to(folder)}": hashlib.sha256(path.read_bytes()).hexdigest()
        for kind, folder in folders.items()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".database"
    }


def stored_sums(target: Target) -> dict[str, str]:
    client = target.gateway.client()
    bodies = {
        key: client.get_object(Bucket=BUCKET, Key=f"{target.prefix}/{key}")["Body"].read()
        for key in target.objects()
    }
    return {key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}


def check_moved(source: Site, target: Target) -> None:
    """Fail unless every row and every file is there, as it was and once."""
    assert stored_sums(target) == sums(source)
    with closing(source.connect()) as before, closing(db.connect(target.url)) as after:
        names = set(before.column(before.tables)) & set(after.column(after.tables))
        assert {"job", "job_file", "output", "event", "job_standing", "queue_sum"} < names
        assert set(after.column(after.tables)) <= names
        for name in names - {"meta", "worker"}:
            assert rows(after, name) == rows(before, name), name
        assert db.check(target.url) == db.database_id(before)


def test_all_jobs_and_files_are_the_same_there_and_go_on(source: Site, target: Target) -> None:
    before, files = shown(source), sums(source)
    done = target.run()
    assert done.exit_code == 0, done.output
    assert f"{len(files)} files of " in done.output
    assert "SECRET_KEY" in done.output
    check_moved(source, target)
    site = target.site()
    assert shown(site) == before
    assert {job["status"] for job in before} == {"completed", "cancelled", "queued"}
    render_all(site)
    (job,) = (job for job in shown(site) if job["id"] == before[0]["id"])
    assert [file["status"] for file in job["files"]] == ["completed", "failed"]
    archive = site.client.get(f"/api/jobs/{job['id']}/download", headers=site.headers).data
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        assert members.testzip() is None
        assert len(members.namelist()) == 3 + 2  # two manifests
    site.upload(b"of a new job, whose events go on behind those that came" * 9)
    assert sums(source) == files


@pytest.mark.parametrize("step", STEPS)
def test_a_move_that_was_killed_goes_on_where_it_was(
    step: str, source: Site, target: Target
) -> None:
    files = sums(source)
    target.run_and_kill(step)
    refused = source.app.test_cli_runner().invoke(args=["worker"])
    assert refused.exit_code == 1
    assert "moved to" in refused.output
    if step != "copied":
        with pytest.raises(db.DatabaseUnusable, match="not finished"):
            db.check(target.url)
    done = target.run()
    assert done.exit_code == 0, done.output
    copied_before = {"moved": 0, "file": 3, "row": len(files)}
    if before := copied_before.get(step):
        assert f"{before} files had been copied before" in done.output
    check_moved(source, target)
    again = target.run()
    assert again.exit_code == 0
    assert "had been copied before" in again.output


# -- what is refused, with nothing changed --------------------------------------------------------


def check_refused(source: Site, target: Target, sentence: str) -> None:
    files = sums(source)
    done = target.run()
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert sentence in done.output
    assert db.check(source.settings.database)
    assert sums(source) == files
    assert target.objects() == set()


def test_a_database_with_content_is_refused(source: Site, target: Target) -> None:
    db.initialise(target.url)
    with closing(db.connect(target.url)) as database:
        insert_job(database, "stranger")
    check_refused(source, target, f"{target.database} at 127.0.0.1:{target.cluster.port} has cont")
    with closing(db.connect(target.url)) as database:
        assert database.column("SELECT id FROM job") == ["stranger"]


def test_the_database_of_another_program_is_refused(source: Site, target: Target) -> None:
    target.cluster.execute("CREATE TABLE shop (id int)", target.database)
    check_refused(source, target, "the tables of another program")


def test_a_copy_of_another_database_is_refused(source: Site, target: Target) -> None:
    db.initialise(target.url)
    note = "UPDATE meta SET value = 'copy of another, not finished' WHERE name = 'schema_version'"
    target.cluster.execute(note, target.database)
    check_refused(source, target, "has content of its own")


def test_a_database_that_lets_nobody_in_is_refused(source: Site, target: Target) -> None:
    target.words[2] = target.cluster.url(target.database, password="wrong")
    check_refused(source, target, "password authentication failed")
    target.words[2] = "postgresql://127.0.0.1:1/none"
    check_refused(source, target, "none at 127.0.0.1:1 cannot be used")


def test_a_bucket_with_content_is_refused(source: Site, target: Target) -> None:
    stranger = f"{target.prefix}/uploads/a"
    target.gateway.client().put_object(Bucket=BUCKET, Key=stranger, Body=b"x")
    done = target.run()
    assert "STORAGE_URL has content of its own; nothing was copied" in done.output
    assert target.objects() == {"uploads/a"}
    target.gateway.client().put_object(
        Bucket=BUCKET, Key=f"{target.prefix}/.database", Body=b"another"
    )
    assert target.run().output == done.output
    assert db.check(source.settings.database)


def test_an_address_that_is_none_is_refused(source: Site, target: Target) -> None:
    target.words[4] = "https://media"
    done = target.run()
    assert done.exit_code == 2
    assert "it does not begin with s3://" in done.output
    assert db.check(source.settings.database)


def test_folders_of_another_database_are_refused(source: Site, target: Target) -> None:
    (source.upload_dir / ".database").write_text("another")
    check_refused(source, target, "UPLOAD_DIR does not hold the files of this database")


def test_a_server_that_runs_is_refused(source: Site, target: Target) -> None:
    server = Server(source.server.folder).start()
    try:
        assert server.token
        check_refused(source, target, "is in use; stop its server and its workers first")
    finally:
        server.stop()


def test_a_worker_that_runs_is_refused_even_if_it_is_stopped_by_a_signal(
    source: Site, target: Target
) -> None:
    worker = Worker(source.server, "claimed:STOP").start()
    try:
        wait_for(worker.is_stopped, 20, "a claim")
        check_refused(source, target, "is in use; stop its server and its workers first")
    finally:
        worker.kill()


def test_a_server_does_not_start_while_it_is_copied(source: Site, target: Target) -> None:
    leave_database()
    with (
        closing(db.open_alone(source.settings.database)),
        pytest.raises(db.DatabaseUnusable, match="locked"),
    ):
        db.check(source.settings.database)


# -- what goes on in spite of it ------------------------------------------------------------------


def test_a_store_that_is_away_is_said_and_nothing_is_out_of_use(
    source: Site, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    check_refused(source, target, "STORAGE_URL cannot be used: the store does not answer")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", target.gateway.url)
    assert target.run().exit_code == 0
    check_moved(source, target)


def test_files_that_were_missing_or_damaged_before_are_named(source: Site, target: Target) -> None:
    missing, damaged = sorted(source.listed())[:2]
    (source.output_dir / missing).unlink()
    (source.output_dir / damaged).write_bytes(b"rotten")
    done = target.run()
    assert done.exit_code == 0, done.output
    assert f"1 files were missing here before, and are there: outputs/{missing}" in done.output
    assert f"the SHA-256 of their rows, here and there: outputs/{damaged}" in done.output
    check_moved(source, target)


def test_a_move_can_be_undone_and_done_again(source: Site, target: Target) -> None:
    target.run_and_kill("file")
    undone = target.run("--undo")
    assert undone.exit_code == 0, undone.output
    assert db.check(source.settings.database)
    assert target.run("--undo").exit_code == 1
    render_all(source)
    done = target.run()
    assert done.exit_code == 0, done.output
    check_moved(source, target)
    assert target.run("--undo").exit_code == 0
    check_refused_when_undone(source, target)


def check_refused_when_undone(source: Site, target: Target) -> None:
    """What came meanwhile would be missing there, so a finished copy is not taken for one of it."""
    done = target.run()
    assert done.exit_code == 1
    assert "has content of its own" in done.output
    assert db.check(source.settings.database)


def test_bytes_that_change_on_the_way_are_noticed(
    source: Site, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = S3Store.put

    def put_less(self: S3Store, path: Path, key: str, *, sync: bool = True) -> Any:
        shorter = path.with_name("shorter")
        shorter.write_bytes(path.read_bytes()[:-1])
        try:
            return real(self, shorter, key, sync=sync)
        finally:
            shorter.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(relocation, "COPIED_AT_ONCE", 1)
        patch.setattr(S3Store, "put", put_less)
        done = target.run()
    assert done.exit_code == 1
    assert "came back different from the new store" in done.output
    assert target.run().exit_code == 0
    check_moved(source, target)
