"""The database: created once, refused when damaged, locked, lost or exchanged."""

import io
import logging
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobserver import create_app, db, prepare_serving
from jobserver.db import DatabaseError
from jobserver.ids import generate_id
from tests.support import MP4_HEAD, PASSWORD, Server, wait_for

PAGE_SIZE = 4096  # of a database file, bytes


def together(count: int, work: Callable[[Path], Any], path: Path) -> list[Any]:
    """Call `work(path)` in `count` processes at the same moment; return what each returned."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(count), context.SimpleQueue()

    def run() -> None:
        barrier.wait()
        try:
            results.put(work(path))
        except Exception as error:
            results.put(repr(error))

    processes = [context.Process(target=run) for _ in range(count)]
    for process in processes:
        process.start()
    returned = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return returned


@contextmanager
def another_process(path: Path, *statements: str) -> Iterator[None]:
    """Let another process execute `statements` on the database and keep its connection."""
    code = """if True:
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        for statement in sys.argv[2:]:
            db.execute(statement).fetchall()
        print("done", flush=True)
        sys.stdin.read()"""
    command = [sys.executable, "-c", code, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"done\n"
            yield
        finally:
            process.stdin.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.sqlite3"


@pytest.fixture
def client(app: Flask, token: str) -> FlaskClient:
    """A client whose thread has already asked the database something."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    assert client.get("/api/jobs").status_code == 200
    return client


def upload(client: FlaskClient) -> Any:
    video = (io.BytesIO(MP4_HEAD * 100), "clip.mp4", "video/mp4")
    return client.post("/api/jobs", data={"videos": video})


def kept_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".database"}


def remove_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def add_job(database: sqlite3.Connection, job_id: str) -> None:
    database.execute(
        "INSERT INTO job (id, variations_per_video, created_at) VALUES (?, 5, 0)", (job_id,)
    )


def job_ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [job_id for (job_id,) in database.execute("SELECT id FROM job ORDER BY id")]


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE recipe (id); INSERT INTO recipe VALUES (1);")


def make_garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def make_garbage_header(path: Path) -> None:
    db.initialise(path)
    overwrite(path, 0, b"\xff" * 100)


def make_corrupt_page(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database, db.transaction(database):
        for number in range(3000):
            add_job(database, f"{number:060}")
    middle = path.stat().st_size // PAGE_SIZE // 2 * PAGE_SIZE
    overwrite(path, middle, b"\xff" * PAGE_SIZE)


def make_newer(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        database.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")


def make_without_version(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        database.execute("DELETE FROM meta")


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


UNUSABLE = [
    make_foreign,
    make_garbage,
    make_garbage_header,
    make_corrupt_page,
    make_newer,
    make_without_version,
]


def serving_app(path: Path) -> Flask:
    return create_app(
        {
            "AUTH_PASSWORD": PASSWORD,
            "SECRET_KEY": "key for tests",
            "DATABASE": path,
            "UPLOAD_DIR": path.parent / "uploads",
            "OUTPUT_DIR": path.parent / "outputs",
            "MIN_FREE_SPACE": 0,
        }
    )


# -- init-db ------------------------------------------------------------------


def test_init_db_makes_a_database_that_serving_accepts(path: Path) -> None:
    assert db.initialise(path) == db.latest_version()
    assert len(db.check(path)) == 22


def test_init_db_twice_keeps_every_row_and_the_database_id(path: Path) -> None:
    db.initialise(path)
    database_id = db.check(path)
    with closing(db.connect(path)) as database:
        add_job(database, "kept")
    assert db.initialise(path) == db.latest_version()
    assert job_ids(path) == ["kept"]
    assert db.check(path) == database_id


def test_the_init_db_command_says_which_version_the_database_has(
    own_server: Server,
) -> None:
    assert (
        own_server.init_db().stdout
        == f"The database {own_server.database} has version {db.latest_version()}.\n"
    )


def test_init_db_at_the_same_time_makes_one_database_without_an_error(tmp_path: Path) -> None:
    for number in range(30):
        path = tmp_path / f"{number}.sqlite3"
        assert together(6, db.initialise, path) == [db.latest_version()] * 6
        assert len(db.check(path)) == 22


def test_init_db_works_while_the_server_writes(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        database.execute("BEGIN IMMEDIATE")
        add_job(database, "kept")
        thread = threading.Thread(target=db.initialise, args=(path,))
        thread.start()
        database.execute("COMMIT")
        thread.join()
    assert job_ids(path) == ["kept"]


def test_init_db_brings_an_older_database_up_to_date_and_keeps_its_rows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "MIGRATIONS", ())
    db.initialise(path)
    database_id = db.check(path)
    with closing(db.connect(path)) as database:
        add_job(database, "kept")
    step = "ALTER TABLE job ADD COLUMN note TEXT DEFAULT 'a; b';\nCREATE TABLE more (id TEXT);\n"
    monkeypatch.setattr(db, "MIGRATIONS", (step,))
    with pytest.raises(DatabaseError, match="it has version 1, not 2"):
        db.check(path)
    assert db.initialise(path) == 2
    assert db.initialise(path) == 2
    assert db.check(path) == database_id
    with closing(db.connect(path)) as database:
        assert [tuple(row) for row in database.execute("SELECT id, note FROM job")] == [
            ("kept", "a; b")
        ]
        assert database.execute("SELECT * FROM more").fetchall() == []


def test_a_new_database_has_every_step_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "MIGRATIONS", ("CREATE TABLE a (id);", "CREATE TABLE b (id);"))
    assert db.initialise(path) == 3
    with closing(db.connect(path)) as database:
        assert database.execute("SELECT * FROM a, b").fetchall() == []


def test_a_step_that_fails_half_way_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "MIGRATIONS", ())
    db.initialise(path)
    monkeypatch.setattr(db, "MIGRATIONS", ("CREATE TABLE a (id);\nCREATE TABLE job (id);",))
    with pytest.raises(DatabaseError, match="table job already exists"):
        db.initialise(path)
    monkeypatch.setattr(db, "MIGRATIONS", ())
    assert db.check(path)
    with closing(db.connect(path)) as database, pytest.raises(sqlite3.OperationalError):
        database.execute("SELECT * FROM a")


@pytest.mark.parametrize("make_unusable", UNUSABLE)
def test_init_db_refuses_what_it_cannot_use_with_one_sentence_and_changes_no_byte(
    make_unusable: Callable[[Path], None], path: Path
) -> None:
    make_unusable(path)
    before = path.read_bytes()
    app = serving_app(path)
    with app.app_context():
        done = app.test_cli_runner().invoke(args=["init-db"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: The ")
    assert len(done.stderr.splitlines()) == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("make_unusable", UNUSABLE)
def test_serving_refuses_what_it_cannot_use_with_one_sentence_and_changes_no_byte(
    make_unusable: Callable[[Path], None], path: Path
) -> None:
    make_unusable(path)
    before = path.read_bytes()
    app = serving_app(path)
    orphan = app.config["UPLOAD_DIR"] / f"{generate_id()}.mp4"
    orphan.touch()
    with pytest.raises(DatabaseError, match=r"\AThe [^\n]+\Z"):
        prepare_serving(app)
    assert path.read_bytes() == before
    assert orphan.exists()


@pytest.mark.parametrize("make_unusable", [make_garbage, make_corrupt_page])
def test_gunicorn_does_not_start_on_a_damaged_database_and_changes_no_byte(
    make_unusable: Callable[[Path], None], own_server: Server
) -> None:
    make_unusable(own_server.database)
    before = own_server.database.read_bytes()
    own_server.launch()
    assert own_server.process is not None
    assert own_server.process.wait(20) not in (0, None)
    assert own_server.log().startswith(f"jobserver: The database {own_server.database} cannot be")
    assert len(own_server.log().splitlines()) == 1
    assert own_server.database.read_bytes() == before


def test_serving_refuses_an_empty_file(path: Path) -> None:
    path.touch()
    with pytest.raises(DatabaseError, match=r"\AThe database [^\n]+ cannot be used [^\n]+\Z"):
        db.check(path)
    assert path.read_bytes() == b""


def test_serving_names_the_command_that_makes_a_missing_database(path: Path) -> None:
    with pytest.raises(DatabaseError, match=f"no database at {path}; run `flask --app wsgi init"):
        db.check(path)
    assert not path.exists()


# -- connections and transactions ---------------------------------------------


def test_a_connection_is_durable_keeps_references_and_reads_beside_a_writer(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        pragmas = ("synchronous", "foreign_keys", "journal_mode", "busy_timeout")
        values = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert values == [2, 1, "wal", 5000]


JOB_FILE = "job_file (id, job_id, position, name, stored_name, size, status)"
OUTPUT = "output (id, file_id, number, name, size, sha256, parameters, seconds, created_at)"


def test_a_file_without_its_job_is_refused(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute(
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size)"
            " VALUES ('f', 'none', 0, 'n', 's', 1)"
        )


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("job (id, variations_per_video, created_at)", "('j', 0, 0)"),
        ("job (id, variations_per_video, created_at)", "('j', 21, 0)"),
        (JOB_FILE, "('f', 'kept', 0, 'n', 's', 0, 'queued')"),
        (JOB_FILE, "('f', 'kept', 0, 'n', 's', 1, 'lost')"),
        (OUTPUT, "('o', 'f', 0, 'n', 1, '', '{}', 1, 0)"),
        (OUTPUT, "('o', 'f', 21, 'n', 1, '', '{}', 1, 0)"),
    ],
)
def test_the_schema_refuses_numbers_and_states_that_do_not_exist(
    table: str, values: str, path: Path
) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        add_job(database, "kept")
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            database.execute(f"INSERT INTO {table} VALUES {values}")  # noqa: S608


def test_a_path_with_signs_of_a_uri_is_only_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory&b#c%41 d.sqlite3"
    db.initialise(path)
    assert path.exists()
    assert db.check(path)


def test_connect_makes_no_database(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        db.connect(path)
    assert not path.exists()


def test_a_transaction_that_reads_first_cannot_be_overtaken_by_a_writer(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as first, closing(db.connect(path, 0.05)) as second:
        with db.transaction(first):
            assert first.execute("SELECT COUNT(*) FROM job").fetchone()[0] == 0
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                add_job(second, "second")
            add_job(first, "first")
        add_job(second, "second")
    assert job_ids(path) == ["first", "second"]


def add_and_raise(database: sqlite3.Connection, error: type[BaseException]) -> None:
    with db.transaction(database):
        add_job(database, "undone")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_transaction_that_raises_leaves_nothing_and_lets_others_write(
    error: type[BaseException], path: Path
) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as first, closing(db.connect(path, 0.05)) as second:
        with pytest.raises(error):
            add_and_raise(first, error)
        add_job(second, "second")
    assert job_ids(path) == ["second"]


def test_a_request_that_leaves_a_transaction_open_does_not_lock_others_out(app: Flask) -> None:
    path = app.config["DATABASE"]
    with app.app_context():
        db.get_db().execute("BEGIN IMMEDIATE")
        add_job(db.get_db(), "undone")
    with closing(db.connect(path, 0.05)) as other:
        add_job(other, "other")
    assert job_ids(path) == ["other"]


def test_requests_of_one_thread_share_a_connection_and_threads_do_not(app: Flask) -> None:
    connections: list[sqlite3.Connection] = []

    def ask() -> None:
        with app.app_context():
            assert db.get_db() is db.get_db()
            connections.append(db.get_db())

    ask()
    ask()
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert connections[0] is connections[1]
    assert connections[0] is not connections[2]


# -- locked -------------------------------------------------------------------


@pytest.fixture
def short_lock_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes wait 0.1 s instead of 5."""
    monkeypatch.setattr(db.connect, "__defaults__", (0.1, False))


def test_an_upload_while_another_process_keeps_the_write_lock_is_a_503_and_leaves_nothing(
    short_lock_timeout: None, app: Flask, client: FlaskClient
) -> None:
    path = app.config["DATABASE"]
    with another_process(path, "BEGIN IMMEDIATE"):
        answer = upload(client)
        assert answer.status_code == 503
        assert answer.json == {"error": "The database is busy; try again"}
        assert int(answer.headers["Retry-After"]) > 0
        assert kept_names(app.config["UPLOAD_DIR"]) == set()
        assert client.get("/api/jobs").json == []
        assert client.get("/api/health").status_code == 200
        assert client.get("/api/jobs/none").status_code == 404
        signed = client.post("/api/auth", json={"password": PASSWORD})
        assert (signed.status_code, "Retry-After" in signed.headers) == (503, True)
    assert job_ids(path) == []
    assert upload(client).status_code == 202


def test_an_upload_waits_for_a_write_that_ends_in_time(app: Flask, client: FlaskClient) -> None:
    folder = app.config["UPLOAD_DIR"]
    with ThreadPoolExecutor(1) as thread:
        with another_process(app.config["DATABASE"], "BEGIN IMMEDIATE"):
            answer = thread.submit(upload, client)
            # once the file has its final name, the next step is the lock
            wait_for(lambda: any(name.endswith(".mp4") for name in kept_names(folder)))
            assert not answer.done()
        assert answer.result().status_code == 202


def test_a_database_that_another_process_keeps_to_itself_is_a_503_with_retry_after(
    short_lock_timeout: None, app: Flask, token: str
) -> None:
    path = app.config["DATABASE"].with_name("other.sqlite3")  # no thread has opened it
    elsewhere = serving_app(path)
    db.initialise(path)
    with another_process(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        answer = elsewhere.test_client().get(
            "/api/jobs", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0


# -- lost or exchanged --------------------------------------------------------


def replace_with(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what puts another file in the place of the database, as `mv` does."""

    def replace(path: Path) -> None:
        other = path.with_name("other")
        make(other)
        remove_database(path)
        other.rename(path)

    return replace


LOST = {
    "deleted": remove_database,
    "deleted without its log": lambda path: path.unlink(),
    "replaced by an empty file": replace_with(Path.touch),
    "replaced by garbage": replace_with(make_garbage),
    "replaced by a foreign database": replace_with(make_foreign),
    "replaced by a folder": replace_with(Path.mkdir),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_requests_after_the_database_was_lost_are_a_503_and_keep_no_file(
    lose: Callable[[Path], None], app: Flask, client: FlaskClient
) -> None:
    first = upload(client).json["files"][0]["id"]
    lose(app.config["DATABASE"])
    answers = {
        "upload": upload(client),
        "list": client.get("/api/jobs"),
        "sign in": client.post("/api/auth", json={"password": PASSWORD}),
        "health": client.get("/api/health"),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        answers, 503
    )
    assert kept_names(app.config["UPLOAD_DIR"]) == {f"{first}.mp4"}


def test_a_server_whose_database_was_made_anew_waits_until_it_adopts_the_folders(
    own_server: Server,
) -> None:
    own_server.start()
    old = own_server.upload(MP4_HEAD).json["jobId"]
    remove_database(own_server.database)
    lost = [own_server.upload(MP4_HEAD) for _ in range(4)]
    assert {answer.status for answer in lost} == {503}
    assert own_server.get("/api/health").status == 503
    assert len(own_server.uploads()) == 1
    own_server.init_db()
    assert {own_server.upload(MP4_HEAD).status for _ in range(4)} == {503}  # not its folders
    adopted = own_server.flask("adopt")
    assert (adopted.returncode, len(adopted.stdout.splitlines())) == (0, 2)
    assert own_server.get("/api/health").status == 200
    assert {own_server.upload(MP4_HEAD).status for _ in range(4)} == {202}
    assert own_server.get(f"/api/jobs/{old}", own_server.token).status == 404
    assert len(own_server.rows("SELECT id FROM job")) == 4


def test_a_restart_after_the_database_was_made_anew_removes_no_upload_and_says_why(
    own_server: Server,
) -> None:
    own_server.start()
    own_server.upload(MP4_HEAD)
    before = own_server.uploads()
    assert len(before) == 1
    own_server.stop()
    remove_database(own_server.database)
    own_server.start()
    assert own_server.uploads() == before
    assert f"{own_server.upload_dir} does not hold the files of this database" in own_server.log()


@pytest.mark.parametrize("lose", [remove_database, lambda path: path.write_bytes(b"")])
def test_the_start_on_a_new_database_removes_no_upload_of_the_old_one(
    lose: Callable[[Path], object],
    app: Flask,
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    prepare_serving(app)
    upload(client)
    before = kept_names(app.config["UPLOAD_DIR"])
    assert len(before) == 1
    remove_database(app.config["DATABASE"])
    lose(app.config["DATABASE"])
    db.initialise(app.config["DATABASE"])
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            prepare_serving(app)
        assert "does not hold the files of this database; nothing is removed" in caplog.text
        assert kept_names(app.config["UPLOAD_DIR"]) == before
        caplog.clear()


def test_the_start_on_the_folder_of_another_database_removes_nothing(
    app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_serving(app)
    orphan = app.config["UPLOAD_DIR"] / f"{generate_id()}.mp4"
    orphan.touch()
    other = serving_app(tmp_path / "other.sqlite3")  # the same UPLOAD_DIR
    db.initialise(other.config["DATABASE"])
    with caplog.at_level(logging.WARNING):
        prepare_serving(other)
    assert orphan.exists()
    assert str(app.config["UPLOAD_DIR"]) in caplog.text
    prepare_serving(app)
    assert not orphan.exists()  # as it is its own folder, the sweep works


def test_the_start_on_a_folder_with_files_and_without_an_owner_removes_nothing(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    upload_dir = app.config["UPLOAD_DIR"]
    (upload_dir / "precious.mp4").touch()
    with caplog.at_level(logging.WARNING):
        prepare_serving(app)
    assert kept_names(upload_dir) == {"precious.mp4"}
    assert "nothing is removed" in caplog.text
