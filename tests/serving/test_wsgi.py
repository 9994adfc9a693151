"""The start of serving, and the flask command beside it."""

import os
import re
import signal
import socket
import struct
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import MP4_HEAD, PROJECT, WORKERS, Server, file_part, form, wait_for


def listening_addresses(port: int) -> list[str]:
    """Return the local addresses (IPv4, or "IPv6") on which somebody listens on `port`."""
    addresses = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        address, state = line.split()[1], line.split()[3]
        if state == "0A" and int(address[9:], 16) == port:
            addresses.append(socket.inet_ntoa(struct.pack("=I", int(address[:8], 16))))
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        if line.split()[3] == "0A" and int(line.split()[1][33:], 16) == port:
            addresses.append("IPv6")
    return addresses


def test_the_server_listens_on_loopback_alone(server: Server) -> None:
    assert listening_addresses(server.port) == ["127.0.0.1"]


def test_there_are_at_least_two_workers_and_the_master_serves_none(server: Server) -> None:
    assert len(server.workers()) == WORKERS >= 2


def test_serving_without_a_database_names_the_command_that_makes_it(own_server: Server) -> None:
    own_server.launch()
    assert own_server.process is not None
    assert own_server.process.wait(20) not in (0, None)
    assert own_server.log() == (
        f"jobserver: There is no database at {own_server.database}; "
        "run `flask --app wsgi init-db`\n"
    )
    assert not own_server.database.exists()


def test_flask_run_refuses_as_gunicorn_does(own_server: Server) -> None:
    done = own_server.flask("run", "--port", str(own_server.port))
    assert done.returncode == 1
    assert done.stderr.startswith("jobserver: There is no database at ")
    assert len(done.stderr.splitlines()) == 1


def test_the_flask_command_lists_init_db_and_the_routes_without_a_database(
    own_server: Server,
) -> None:
    assert "init-db" in own_server.flask("--help").stdout
    routes = own_server.flask("routes").stdout
    assert re.search(r"^jobs\.create_job +POST +/api/jobs *$", routes, re.M)
    assert re.search(r"^pages\.static +GET +/static/", routes, re.M)


def test_an_unusable_setting_stops_the_flask_command_with_one_sentence(
    own_server: Server,
) -> None:
    own_server.settings["MAX_FILES"] = "0"
    done = own_server.flask("init-db")
    assert done.returncode == 1
    assert done.stderr == "jobserver: MAX_FILES cannot be used: 0 is not at least 1\n"


def test_an_unusable_database_stops_init_db_with_one_sentence(own_server: Server) -> None:
    own_server.database.write_bytes(b"garbage " * 1000)
    done = own_server.init_db()
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: The database {own_server.database} cannot be used")
    assert len(done.stderr.splitlines()) == 1


def test_sigterm_ends_every_process_with_code_0_and_no_word_of_an_error(
    own_server: Server,
) -> None:
    own_server.start()
    workers = own_server.workers()
    assert own_server.process is not None
    os.kill(own_server.process.pid, signal.SIGTERM)
    assert own_server.process.wait(20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert "Traceback" not in own_server.log()
    assert "rror" not in own_server.log()


def test_a_killed_worker_is_replaced_and_others_go_on(own_server: Server) -> None:
    own_server.start()
    first = own_server.workers()[0]
    os.kill(first, signal.SIGKILL)
    wait_for(
        lambda: first not in own_server.workers() and len(own_server.workers()) == WORKERS,
        10,
        "a new worker",
    )
    assert own_server.get("/api/health").status == 200
    assert own_server.upload(MP4_HEAD).status == 202


def test_workers_and_files_of_the_server_are_its_own_alone(own_server: Server) -> None:
    own_server.start()
    own_server.upload(MP4_HEAD)
    (video,) = own_server.uploads().values()
    assert video.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("proxies", "location"), [("0", "/api/jobs/"), ("1", "/trusted/api/jobs/")]
)
def test_a_prefix_is_believed_from_a_trusted_proxy_alone(
    proxies: str, location: str, own_server: Server
) -> None:
    own_server.settings["TRUSTED_PROXIES"] = proxies
    own_server.start()
    body = form(file_part(MP4_HEAD))
    plain = own_server.post(body)
    assert plain.headers["Location"] == f"/api/jobs/{plain.json['jobId']}"
    prefixed = own_server.post(body, {"X-Forwarded-Prefix": "/trusted"})
    assert prefixed.headers["Location"] == location + prefixed.json["jobId"]


def test_a_port_that_is_taken_stops_the_start(own_server: Server) -> None:
    own_server.init_db()
    with closing(socket.create_server(("127.0.0.1", own_server.port))):
        done = own_server.flask("run", "--port", str(own_server.port))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_a_start_removes_what_no_row_names_and_nothing_else(own_server: Server) -> None:
    own_server.start()
    own_server.upload(MP4_HEAD)
    kept = set(own_server.uploads())
    own_server.stop()
    for name in ("L" * 22 + ".part", "L" * 22 + ".mp4"):
        (own_server.upload_dir / name).write_bytes(b"left")
    (own_server.upload_dir / "folder").mkdir()
    (own_server.upload_dir / "notes.txt").write_bytes(b"not ours to remove")
    own_server.start()
    assert set(own_server.uploads()) == {*kept, "folder", "notes.txt"}


def test_the_procfile_starts_what_these_tests_start() -> None:
    lines = (PROJECT / "Procfile").read_text().splitlines()
    assert lines == [
        "release: flask --app wsgi init-db",
        "web: gunicorn wsgi:app",
        "worker: flask --app wsgi worker",
    ]
