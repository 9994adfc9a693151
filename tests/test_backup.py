"""backup and restore: the copy is whole, the check finds what is not, and jobs go on from it."""

import json
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import Result

from jobserver.db import latest_version
from jobserver.worker.render_thread import RenderThread
from tests.support import Server, Site, Worker, wait_for


def flask(site: Site, *words: object) -> Result:
    return site.app.test_cli_runner().invoke(args=[str(word) for word in words])


def lose_database(server: Server) -> None:
    for path in server.database.parent.glob(f"{server.database.name}*"):
        path.unlink()


def listed(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(f"{file}.files").read_text().splitlines()]


@pytest.fixture
def rendered(site: Site, clip: bytes, render_thread: RenderThread) -> str:
    """A job that has ended, of two variations."""
    job_id = site.upload(clip, variations="2")
    while render_thread.work_once():
        pass
    return job_id


@pytest.fixture
def backup(site: Site, rendered: str, tmp_path: Path) -> Path:
    file = tmp_path / "backup.db"
    done = flask(site, "backup", file)
    assert done.exit_code == 0, done.output
    return file


def test_jobs_go_on_from_a_backup_that_was_taken_under_load(
    own_server: Server, clip: bytes, tmp_path: Path
) -> None:
    """Uploads, renders and status calls meanwhile; then the database is lost, and the servers."""
    server, file = own_server.start(), tmp_path / "backup.db"
    before = [server.upload(clip, variations="3").json["jobId"] for _ in range(3)]
    worker, stopped = Worker(server).start(), threading.Event()

    def load() -> None:
        for _ in range(6):
            if stopped.is_set():
                return
            server.upload(clip, variations="1")
            server.get(f"/api/jobs/{before[-1]}", server.token)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: server.rows("SELECT 1 FROM output"), 30, worker.log())
        done = server.flask("backup", str(file))
        assert done.returncode == 0, done.stderr
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    worker.kill()
    server.kill()
    checked = server.flask("restore", "--check", "--read", str(file))
    assert checked.returncode == 0, checked.stdout

    lose_database(server)
    restored = server.flask("restore", str(file))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    server.start()
    worker = Worker(server).start()
    try:
        for job_id in before:
            url = f"/api/jobs/{job_id}?outputs=false"
            wait_for(
                lambda url=url: server.get(url, server.token).json["status"] == "completed",
                120,
                job_id,
            )
    finally:
        worker.kill()
    count = "SELECT COUNT(*) FROM output JOIN job_file ON job_file.id = file_id WHERE job_id = ?"
    assert [server.rows(count, job_id) for job_id in before] == [[(3,)]] * 3
    assert "Traceback" not in server.log() + worker.log()
    server.check_database()


def test_a_backup_is_one_file_of_its_owner_alone_and_a_list(
    site: Site, backup: Path, rendered: str
) -> None:
    assert {path.name for path in backup.parent.glob("backup*")} == {
        "backup.db",
        "backup.db.files",
    }
    for path in (backup, Path(f"{backup}.files")):
        assert path.stat().st_mode & 0o077 == 0
    head, *files = listed(backup)
    assert head["files"] == len(files) == 1 + 1 + 2 * 2  # source, its picture, outputs, pictures
    for file in files:
        folder = site.upload_dir if str(file["key"]).startswith("uploads/") else site.output_dir
        path = folder / str(file["key"]).partition("/")[2]
        assert file["size"] in (None, path.stat().st_size)
    with closing(sqlite3.connect(f"file:{backup}?mode=ro", uri=True)) as copy:
        assert copy.execute("SELECT id FROM job").fetchall() == [(rendered,)]


def test_a_second_backup_takes_the_place_of_the_first(site: Site, backup: Path) -> None:
    site.upload(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(100))
    assert flask(site, "backup", backup).exit_code == 0
    done = flask(site, "restore", "--check", backup)
    assert (done.exit_code, "7 of 7 files are there" in done.output) == (0, True)


def test_a_check_changes_nothing(site: Site, backup: Path) -> None:
    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in backup.parent.glob("backup*")}

    before = state()
    done = flask(site, "restore", "--check", "--read", backup)
    assert (done.exit_code, state()) == (0, before)
    assert f"a whole database of version {latest_version()}" in done.output


def test_a_check_names_the_files_that_are_not_as_listed(site: Site, backup: Path) -> None:
    outputs = [str(file["key"]) for file in listed(backup)[1:] if str(file["key"]).endswith("4")]
    source, first, second = sorted(outputs, key=lambda key: not key.startswith("uploads/"))
    paths = [site.output_dir / key.partition("/")[2] for key in (first, second)]
    content = bytearray(paths[0].read_bytes())
    content[-1] ^= 1
    paths[0].write_bytes(content)
    paths[1].write_bytes(content[:-1])
    (site.upload_dir / source.partition("/")[2]).unlink()
    done = flask(site, "restore", "--check", backup)
    assert done.exit_code == 1
    assert f"{source} is missing" in done.output
    assert f"{second} has {len(content) - 1} bytes, not " in done.output
    assert "4 of 6 files are there" in done.output
    done = flask(site, "restore", "--check", "--read", backup)
    assert f"{first} does not have its SHA-256" in done.output


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def break_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 + 100 : 4096 * 3] = b"\xff" * (4096 * 2 - 100)
    path.write_bytes(content)


def make_newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("UPDATE meta SET value = '9999' WHERE name = 'schema_version'")
        copy.commit()


def take_list_of_another(path: Path) -> None:
    head, *files = path.read_text().splitlines()
    other = {**json.loads(head), "database": "another"}
    path.write_text("\n".join([json.dumps(other), *files]))


@pytest.mark.parametrize(
    ("harm", "of_list", "words"),
    [
        (break_page, False, "is damaged"),
        (Path.unlink, False, "There is no backup at"),
        (make_newer, False, "this jobserver is older"),
        (cut, True, "is not a list of files"),
        (lambda path: path.write_text(path.read_text().splitlines()[0]), True, "is cut off"),
        (take_list_of_another, True, "is not the list of"),
        (Path.unlink, True, "No such file"),
    ],
)
def test_what_is_no_whole_backup_is_refused_and_changes_nothing(
    site: Site, backup: Path, harm, of_list: bool, words: str
) -> None:
    harm(Path(f"{backup}.files") if of_list else backup)
    lose_database(site.server)
    for option in ("--check", "--read"):
        done = flask(site, "restore", option, backup)
        assert (done.exit_code, words in done.output) == (1, True), done.output
    with suppress(FileNotFoundError):
        assert not site.server.database.exists()


def test_no_database_is_written_over(site: Site, backup: Path) -> None:
    done = flask(site, "restore", backup)
    assert (done.exit_code, "is there; move it away first" in done.output) == (1, True)
    assert site.rows("SELECT COUNT(*) FROM job") == [(1,)]


def test_folders_of_another_database_become_that_of_the_backup(site: Site, backup: Path) -> None:
    lose_database(site.server)
    (site.output_dir / ".database").write_text("another")
    done = flask(site, "restore", backup)
    assert done.exit_code == 0, done.output
    head = listed(backup)[0]
    assert (site.output_dir / ".database").read_text() == head["database"]
    assert (site.upload_dir / ".database").read_text() == head["database"]


@pytest.mark.tools
@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_of_a_postgresql_the_files_are_listed_and_its_own_tools_are_named(
    site: Site, backup: Path
) -> None:
    done = flask(site, "restore", "--check", "--read", backup)
    assert (done.exit_code, "6 of 6 files are there" in done.output) == (0, True), done.output
    assert not backup.exists()
    assert "pg_dump" in flask(site, "backup", backup).output
