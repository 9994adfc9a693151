"""A real gunicorn with its own database and folders, and what tests ask of it."""

import hashlib
import http.client
import json
import multiprocessing
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import imageio_ffmpeg
import psycopg
from flask import Flask

from jobserver import create_app, prepare_serving, store_of
from jobserver.db import Connection, Place, connect, initialise
from jobserver.files.local import LocalStore
from jobserver.folders import prepare_folders
from jobserver.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PASSWORD = "correct horse"
WORKERS = max(2, os.cpu_count() or 1)  # as in gunicorn.conf.py
MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
BOUNDARY = b"----jobserver-test-boundary"

T = TypeVar("T")


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def wait_for(condition: Callable[[], T], within_s: float = 10.0, what: str = "") -> T:
    """Return the first true value of `condition()`; fail when there is none in time."""
    end = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {within_s} s: {what or condition}"
        time.sleep(0.01)
    return value


def together(count: int, work: Callable[[Place], Any], place: Place) -> list[Any]:
    """Call `work(place)` in `count` processes at the same moment; return what each returned.

    Raises AssertionError, which names the error, when one of them failed.
    """
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(count), context.SimpleQueue()

    def run() -> None:
        barrier.wait()
        try:
            results.put((work(place), None))
        except Exception:
            results.put((None, traceback.format_exc()))

    processes = [context.Process(target=run) for _ in range(count)]
    for process in processes:
        process.start()
    returned = [results.get() for _ in processes]
    for process in processes:
        process.join()
    assert [error for _, error in returned if error] == []
    return [value for value, _ in returned]


def settings_of(app: Flask) -> Settings:
    return app.extensions["settings"]


def change_settings(app: Flask, **values: Any) -> Settings:
    """Give a running app other settings: `change_settings(app, job_lifetime=60)`."""
    changed = settings_of(app).model_copy(update=values)
    app.extensions["settings"] = changed
    app.extensions["store"] = store_of(changed)
    return changed


def read_answer(sock: socket.socket) -> Answer:
    """Read one whole answer."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    return Answer(response.status, response.headers, response.read())


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return listener.getsockname()[1]


def part(content: bytes, headers: str) -> bytes:
    return b"--" + BOUNDARY + b"\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n"


def file_part(
    content: bytes, name: str = "clip.mp4", type_: str | None = "video/mp4", field: str = "videos"
) -> bytes:
    headers = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
    return part(content, headers if type_ is None else f"{headers}\r\nContent-Type: {type_}")


def field_part(name: str, value: str) -> bytes:
    return part(value.encode(), f'Content-Disposition: form-data; name="{name}"')


def form(*parts: bytes) -> bytes:
    """Return a whole multipart body."""
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


FORM_TYPE = "multipart/form-data; boundary=" + BOUNDARY.decode()


class Server:
    """gunicorn with the project's configuration; settings are given as environment names."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.address, self.port = "127.0.0.1", free_port()
        self.database = folder / "db.sqlite3"
        self.upload_dir = folder / "uploads"
        self.temporary = folder / "tmp"
        self.log_path = folder / "log"
        self.temporary.mkdir(exist_ok=True)
        self.wsgi = "wsgi:app"
        self.worker_count = WORKERS
        self.settings = {
            "DATABASE": str(self.database),
            "UPLOAD_DIR": str(self.upload_dir),
            "OUTPUT_DIR": str(folder / "outputs"),
            "AUTH_PASSWORD": PASSWORD,
            "SECRET_KEY": "key for tests",
            "MIN_FREE_SPACE": "0",
            "PORT": str(self.port),
            "TMPDIR": str(self.temporary),
            "LOG_FORMAT": "plain",  # as on a terminal
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._token: str | None = None

    @property
    def place(self) -> Place:
        """Where the database is, as jobserver.db names it."""
        return self.settings.get("DATABASE_URL") or self.database

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "PYTHONPATH": str(PROJECT), **self.settings}

    def init_db(self) -> subprocess.CompletedProcess[str]:
        return self.flask("init-db")

    def flask(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [BIN / "flask", "--app", "wsgi", *words]
        return subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=60
        )

    def launch(self, *prefix: str) -> None:
        """Start the process without waiting for it; `prefix` may be strace and its words."""
        command = [*prefix, sys.executable, "-m", "gunicorn", self.wsgi]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self, *prefix: str) -> "Server":
        if not (isinstance(self.place, Path) and self.database.exists()):
            done = self.init_db()
            assert done.returncode == 0, done.stderr
        self.launch(*prefix)
        wait_for(self._answers, 20, f"a start; log: {self.log()[-2000:]}")
        self._warm()
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        with suppress(OSError, http.client.HTTPException):
            return self.get("/api/health").status in (200, 503)
        return False

    def _warm(self) -> None:
        """Wait until every worker process listens, so that descriptors can be compared."""
        wait_for(lambda: self._listening_workers() >= self.worker_count, 20, "all workers")

    def _listening_workers(self) -> int:
        """Count the workers whose poller watches something: the last they do before they serve."""
        return sum(map(_polls, self.workers()))

    def stop(self, within_s: float = 40) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL the server and all its workers at once, as a power cut would."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        # the group may outlive its leader for a moment
        wait_for(lambda: not _group_lives(self.process.pid), 10, "the end of the workers")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # -- asking ---------------------------------------------------------------

    def connect(self, timeout: float = 30) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def request(
        self,
        method: str,
        path: str,
        body=None,
        headers: dict[str, str] | None = None,
        timeout: float = 30,
        port: int | None = None,
    ) -> Answer:
        with closing(
            http.client.HTTPConnection(self.address, port or self.port, timeout=timeout)
        ) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def get(self, path: str, token: str | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", path, headers={**self.bearer(token), **named})

    @staticmethod
    def bearer(token: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"} if token else {}

    def sign_in(self, password=PASSWORD, **headers: str) -> Answer:
        body = json.dumps({"password": password})
        return self.request(
            "POST", "/api/auth", body, {"Content-Type": "application/json", **headers}
        )

    @property
    def token(self) -> str:
        if self._token is None:
            self._token = self.sign_in().json["token"]
        return self._token

    def use_token(self, token: str) -> None:
        """Send this token from now on: a floor to compare with gives none of its own."""
        self._token = token

    def post(self, body, headers: dict[str, str] | None = None, timeout: float = 60) -> Answer:
        """POST a multipart body (bytes, or an iterable sent chunked) with a good token."""
        all_headers = {"Content-Type": FORM_TYPE, **self.bearer(self.token), **(headers or {})}
        return self.request("POST", "/api/jobs", body, all_headers, timeout)

    def upload(self, *contents: bytes, **fields: str) -> Answer:
        files = [file_part(content, f"clip{i}.mp4") for i, content in enumerate(contents)]
        return self.post(form(*files, *(field_part(*pair) for pair in fields.items())))

    def begin_upload(self, body_size: int, token: str | None = None) -> socket.socket:
        """Send the headers of an upload of `body_size` bytes; return the open socket."""
        sock = self.connect()
        head = (
            f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
            f"{token or self.token}\r\nContent-Type: {FORM_TYPE}\r\n"
            f"Content-Length: {body_size}\r\n\r\n"
        )
        sock.sendall(head.encode())
        return sock

    # -- looking inside ---------------------------------------------------------

    def rows(self, query: str, *values) -> list[tuple]:
        if not isinstance(self.place, Path):
            return postgres_rows(self.place, query, values)
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return db.execute(query, values).fetchall()

    def check_database(self) -> None:
        """Fail unless the database is sound; a PostgreSQL's files are not ours to look at."""
        if isinstance(self.place, Path):
            assert self.rows("PRAGMA integrity_check") == [("ok",)]

    def uploads(self) -> dict[str, Path]:
        """The files in UPLOAD_DIR by name, without the mark of their database."""
        paths = self.upload_dir.iterdir() if self.upload_dir.exists() else ()
        return {path.name: path for path in paths if path.name != ".database"}

    def stored(self, job_id: str) -> list[bytes]:
        query = "SELECT stored_name FROM job_file WHERE job_id = ? ORDER BY position"
        return [(self.upload_dir / name).read_bytes() for (name,) in self.rows(query, job_id)]

    def workers(self) -> list[int]:
        """Process ids of the gunicorn workers."""
        assert self.process is not None
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return sorted(int(pid) for pid in children)

    def descriptors(self) -> dict[int, int]:
        """Open descriptors by worker, without the connections its threads keep to the database."""
        ours = str(self.database)
        return {
            pid: sum(not path.startswith(ours) for path in open_paths(pid))
            for pid in self.workers()
        }

    def statuses(self) -> list[int]:
        """The status of every request in gunicorn's access log."""
        lines = re.findall(r'^\S+Z \S+ "[A-Z]+ \S*" (\d{3}) ', self.log(), re.M)
        return [int(status) for status in lines]

    def check_sound(self, allowed_5xx: tuple[int, ...] = (), parts: bool = False) -> None:
        """The check after every failing upload: nothing half, nothing left, still quick."""
        wait_for(
            lambda: self._files_match_rows(parts),
            5,
            f"rows {self._named()} and files {self.uploads()}",
        )
        for name, size in self.rows("SELECT stored_name, size FROM job_file"):
            assert (self.upload_dir / name).stat().st_size == size
        self.check_database()
        assert list(self.temporary.iterdir()) == []
        start = time.monotonic()
        assert self.get("/api/health").status == 200
        assert time.monotonic() - start < 1
        assert [s for s in self.statuses() if s >= 500 and s not in allowed_5xx] == []
        assert "Traceback" not in self.log()

    def _named(self) -> set[str]:
        return {name for (name,) in self.rows("SELECT stored_name FROM job_file")}

    def _files_match_rows(self, parts: bool) -> bool:
        names = set(self.uploads())
        return {name for name in names if not (parts and name.endswith(".part"))} == self._named()

    @contextmanager
    def same_descriptors(self) -> Iterator[None]:
        """Fail unless every worker comes back to the descriptors it had at the start."""
        before = self.descriptors()
        yield
        wait_for(
            lambda: all(now <= before[pid] for pid, now in self.descriptors().items()),
            15,
            f"descriptors {before} again, not {self.descriptors()}",
        )


def open_paths(pid: int) -> list[str]:
    """What each open descriptor of a process leads to; one closed meanwhile is left out."""
    paths = []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            paths.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return paths


def _polls(pid: int) -> bool:
    """Whether a process has an epoll that watches a descriptor (`tfd` in proc_pid_fdinfo(5))."""
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):
            if "tfd:" in info.read_text():
                return True
    return False


def _group_lives(group: int) -> bool:
    """Whether any process of the group still runs; zombies wait for init, not for us."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


def postgres_rows(url: str, query: str, values: Sequence[Any]) -> list[tuple]:
    with closing(psycopg.connect(url, autocommit=True)) as session:
        text = query.replace("%", "%%").replace("?", "%s") if values else query
        return session.execute(text, values or None).fetchall()


class Worker:
    """A worker process beside a Server, which need not run: its database, its folders.

    fault: `step:action`, see tests/faulty_worker.py; other settings are environment names.
    """

    def __init__(self, server: Server, fault: str = "", **settings: str) -> None:
        self.server = server
        self.log_path = server.folder / "worker.log"
        self.settings = {**QUICK, "WORKER_FAULT": fault, **settings}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Worker":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faulty_worker"],
                cwd=PROJECT,
                env={**self.server.environment, **self.settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def ask_to_stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self, within_s: float = 30) -> int:
        """SIGTERM; return the exit code once it has ended."""
        self.ask_to_stop()
        assert self.process is not None
        return self.process.wait(within_s)

    def kill(self) -> None:
        """SIGKILL the worker alone, as the kernel does when memory runs out."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def is_stopped(self) -> bool:
        assert self.process is not None
        return process_state(self.process.pid) == "T"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


# A worker of a test: seconds of its lease and so on, and an encoder that is fast.
QUICK = {
    "WORKERS": "1",
    "LEASE_S": "2",
    "HEARTBEAT_S": "0.1",
    "BEAT_S": "0.2",
    "IDLE_S": "0.05",
    "RETRY_DELAYS_S": "0.05,0.1",
    "ENCODER_PRESET": "ultrafast",
}


def process_state(pid: int) -> str:
    """Return the letter of a process's state (proc(5): after its name); X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def processes_naming(name: Path | str) -> list[int]:
    """Return the living processes whose command line has this name, as ffmpegs their folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if os.fsencode(name) in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def make_clip(path: Path, seconds: float, sound: bool = True) -> Path:
    """Make a video of 160 x 90 pixels, 25 frames a second, with a tone."""
    tone = ["-f", "lavfi", "-i", f"sine=440:d={seconds}", "-c:a", "aac"] if sound else []
    pattern = ["-f", "lavfi", "-i", f"testsrc2=s=160x90:r=25:d={seconds}"]
    encoding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    subprocess.run([*ffmpeg, *pattern, *tone, *encoding, path], check=True, timeout=60)
    return path


class Site:
    """The API without a socket, on a database and folders that workers share."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.server = Server(folder, **settings)  # not started: it names what workers need
        self.output_dir = Path(self.server.settings["OUTPUT_DIR"])
        self.upload_dir = self.server.upload_dir
        kept = (
            *("DATABASE", "DATABASE_URL", "UPLOAD_DIR", "OUTPUT_DIR"),
            *("AUTH_PASSWORD", "SECRET_KEY", "CELERY_BROKER_URL", "CORS_ORIGINS"),
            *(name for name in settings if name.startswith(("STORAGE_", "SCRATCH_"))),
        )
        given = self.server.settings
        overrides = {name: given[name] for name in kept if name in given}
        quick = {"ENCODER_PRESET": "ultrafast", "WORKERS": 1, "MIN_FREE_SPACE": 0}
        self.app = create_app({**overrides, **quick})
        prepare_folders(self.settings)
        initialise(self.server.place)
        prepare_serving(self.app)
        self.rows = self.server.rows
        token = self.client.post("/api/auth", json={"password": PASSWORD}).json["token"]
        self.headers = Server.bearer(token)

    @property
    def client(self):
        return self.app.test_client()

    def post(self, *parts: bytes):
        return self.client.post(
            "/api/jobs", data=form(*parts), content_type=FORM_TYPE, headers=self.headers
        )

    def upload(self, *contents: bytes, **fields: str) -> str:
        """Queue a job with these files, clip0.mp4 and so on; return its id."""
        files = [file_part(content, f"clip{n}.mp4") for n, content in enumerate(contents)]
        answer = self.post(*files, *(field_part(*pair) for pair in fields.items()))
        assert answer.status_code == 202, answer.json
        return answer.json["jobId"]

    def show(self, job_id: str):
        answer = self.client.get(f"/api/jobs/{job_id}", headers=self.headers)
        assert answer.status_code == 200, answer.json
        return answer.json

    def post_action(self, job_id: str, action: str):
        """POST cancel or retry; return the response."""
        return self.client.post(f"/api/jobs/{job_id}/{action}", headers=self.headers)

    @property
    def settings(self) -> Settings:
        return settings_of(self.app)

    @property
    def store(self) -> LocalStore:
        return self.app.extensions["store"]

    def change_settings(self, **values: Any) -> None:
        change_settings(self.app, **values)

    def connect(self) -> Connection:
        return connect(self.server.place)

    def wait_until(self, job_id: str, status: str, within_s: float = 30):
        wait_for(
            lambda: self.show(job_id)["status"] == status, within_s, f"{status} {self.state()}"
        )
        return self.show(job_id)

    def state(self) -> str:
        """What a failed test shows: rows and the workers' log."""
        rows = self.rows("SELECT status, attempts, claim_token, error FROM job_file")
        log = self.server.folder / "worker.log"
        return f"{rows} {log.read_text()[-3000:] if log.exists() else ''}"

    def found(self) -> set[str]:
        """Everything below OUTPUT_DIR but the jobs' own folders, as paths from there.

        os.walk passes over folders that a worker removes meanwhile; Path.glob raises.
        """
        below = {
            Path(folder, name).relative_to(self.output_dir)
            for folder, folders, files in os.walk(self.output_dir)
            for name in (*folders, *files)
        }
        return {str(path) for path in below if len(path.parts) > 1}

    def listed(self) -> dict[str, tuple[int, str]]:
        """Size and SHA-256 of every listed output, by path from OUTPUT_DIR."""
        query = """
            SELECT COALESCE(SUBSTR(place, 9), job_id || '/' || output.name), output.size,
                   output.sha256
            FROM output JOIN job_file ON job_file.id = file_id"""
        rows = self.rows(query)
        assert len({path for path, *_ in rows}) == len(rows)
        return {path: (size, sha256) for path, size, sha256 in rows}

    def pictures(self) -> set[str]:
        """Paths from OUTPUT_DIR of every listed thumbnail."""
        rows = self.rows("""
            SELECT job_id || '/' || thumbnail FROM job_file WHERE thumbnail IS NOT NULL
            UNION ALL SELECT COALESCE(SUBSTR(output.thumbnail_place, 9),
                                      job_id || '/' || output.thumbnail) FROM output
            JOIN job_file ON job_file.id = file_id WHERE output.thumbnail IS NOT NULL""")
        return {path for (path,) in rows}

    def check_sound(self) -> None:
        """Every listed output is whole, nothing else is there, and no ffmpeg is left."""
        wait_for(lambda: not processes_naming(self.server.folder), 5, "the end of every ffmpeg")
        listed = self.listed()
        expected = set(listed) | self.pictures()
        wait_for(lambda: self.found() == expected, 5, f"{self.found()} to be {expected}")
        for name, (size, sha256) in listed.items():
            content = (self.output_dir / name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (size, sha256)
        self.server.check_database()
        assert list(self.server.temporary.iterdir()) == []

    def check_completed(self, job_id: str, variations: int) -> None:
        """Fail unless each file lists each variation once, and everything is sound."""
        job = self.show(job_id)
        assert (job["status"], job["progress"]) == ("completed", 100), self.state()
        for file in job["files"]:
            assert (file["status"], file["progress"], file["error"]) == ("completed", 100, None)
            assert [each["index"] for each in file["outputs"]] == list(range(1, variations + 1))
        self.check_sound()
