"""A whole run of the real server: no secret is shown, no temporary folder is needed."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.support import FORM_TYPE, MP4_HEAD, Answer, Server, file_part, form, open_paths, wait_for

MIB = 1024 * 1024
SECRETS = {
    "password": "paSSw0rd-of-the-server",
    "wrong password": "wr0ng-paSSw0rd-of-a-client",
    "newest key": "newest-k3y-of-the-server",
    "older key": "older-k3y-of-the-server",
}


def command_lines(group: int) -> Iterator[str]:
    """Yield the command line of every process of a server."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(ProcessLookupError, FileNotFoundError):
                if os.getpgid(int(folder.name)) == group:
                    yield (folder / "cmdline").read_text().replace("\0", " ")


def whole_run(server: Server) -> list[Answer]:
    """Sign in right and wrong, upload, look and make mistakes; return the answers."""
    token = server.token
    bearer = server.bearer(token)
    job = server.upload(MP4_HEAD * 1000).json["jobId"]
    form_headers = {**bearer, "Content-Type": FORM_TYPE}
    calls: list[tuple[str, str, object, dict[str, str]]] = [
        ("GET", f"/api/jobs/{job}", None, bearer),
        ("GET", "/api/jobs", None, bearer),
        ("GET", "/api/health", None, {}),
        ("GET", f"/api/jobs?token={token}&limit=0", None, bearer),
        ("GET", f"/nowhere?password={SECRETS['password']}", None, bearer),
        ("DELETE", "/api/auth", json.dumps({"password": SECRETS["password"]}), bearer),
        ("POST", "/api/jobs", b"no form", form_headers),
        ("POST", "/api/jobs", form(file_part(b"x", type_="text/plain")), form_headers),
        ("GET", "/api/jobs", None, server.bearer(token[:-3])),
        ("GET", "/api/jobs", None, {"Authorization": f"Basic {SECRETS['password']}"}),
        ("POST", "/api/auth", f'{{"password": "{SECRETS["password"]}"', {}),
        ("POST", "/api/auth", json.dumps([SECRETS["password"]]), {}),
        ("POST", "/api/auth", SECRETS["password"] * 1000, {}),
    ]
    answers = [server.request(method, path, body, headers) for method, path, body, headers in calls]
    answers += [server.sign_in(SECRETS["wrong password"]) for _ in range(7)]
    return [*answers, server.sign_in(SECRETS["password"])]


def test_no_secret_is_in_logs_answers_the_database_or_a_command_line(own_server: Server) -> None:
    own_server.settings["AUTH_PASSWORD"] = SECRETS["password"]
    own_server.settings["SECRET_KEY"] = f"{SECRETS['newest key']},{SECRETS['older key']}"
    own_server.start()
    own_server._token = own_server.sign_in(SECRETS["password"]).json["token"]
    answers = whole_run(own_server)
    assert {answer.status for answer in answers} >= {200, 400, 401, 404, 405, 429}
    assert own_server.process is not None
    commands = list(command_lines(own_server.process.pid))
    assert len(commands) >= 3
    last = answers[-1].headers["X-Request-ID"]
    wait_for(lambda: last in own_server.log(), 5, "the last line of the log")
    own_server.stop()
    seen = {
        "log": own_server.log(),
        "answers": "".join(f"{answer.headers}{answer.body!r}" for answer in answers),
        "command lines": "\n".join(commands),
        **{
            path.name: path.read_bytes().decode("latin-1")
            for path in own_server.folder.rglob("*")
            if path.is_file() and path != own_server.log_path
        },
    }
    assert own_server.database.name in seen
    token = own_server._token
    secrets = {**SECRETS, "token": token, "signature": token.rpartition(".")[2]}
    found = [
        (what, where) for what, secret in secrets.items() for where in seen if secret in seen[where]
    ]
    assert found == []


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization Bearer sesame\r\n\r\n",
        b'{"password":"sesame"}\r\n\r\n',
        "GET /é?signature=sesame HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    ],
    ids=["a header", "a body", "a link"],
)
def test_a_malformed_request_is_not_logged(server: Server, request_: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(request_)
        assert sock.recv(100).startswith(b"HTTP/1.1 4")
    wait_for(lambda: "Invalid request from" in server.log(), what="a line in the log")
    assert "sesame" not in server.log()


def test_a_start_that_is_refused_shows_no_secret(own_server: Server) -> None:
    own_server.init_db()
    own_server.settings["AUTH_PASSWORD"] = SECRETS["password"]
    own_server.settings["SECRET_KEY"] = f"{SECRETS['newest key']},,{SECRETS['older key']}"
    own_server.launch()
    assert own_server.process is not None
    assert own_server.process.wait(20) != 0
    assert "SECRET_KEY" in own_server.log()
    assert not any(secret in own_server.log() for secret in SECRETS.values())


def large_upload(server: Server) -> None:
    """Upload 40 MiB and compare what was kept."""
    content = MP4_HEAD + os.urandom(40 * MIB)
    answer = server.upload(content)
    assert answer.status == 202
    assert server.stored(answer.json["jobId"]) == [content]


def test_a_large_upload_needs_no_temporary_folder(own_server: Server) -> None:
    own_server.settings["TMPDIR"] = str(own_server.folder / "missing")
    own_server.start()
    large_upload(own_server)
    own_server.check_sound()
    assert not (own_server.folder / "missing").exists()


def test_an_upload_in_progress_is_open_in_the_upload_folder_alone(own_server: Server) -> None:
    own_server.start()
    before = open_files(own_server)
    body = form(file_part(MP4_HEAD + bytes(8 * MIB)))
    with closing(own_server.begin_upload(len(body))) as sock:
        sock.sendall(body[: 6 * MIB])
        part = wait_for(lambda: list(own_server.upload_dir.glob("*.part")), 5, "a part")[0]
        wait_for(lambda: part.stat().st_size >= 5 * MIB, 5, "the bytes")
        opened = open_files(own_server) - before
        sock.sendall(body[6 * MIB :])
        assert sock.recv(65536).startswith(b"HTTP/1.1 202 ")
    ours = (str(own_server.upload_dir), str(own_server.database))
    assert str(part) in opened
    assert {path for path in opened if not path.startswith(ours)} == set()


def open_files(server: Server) -> set[str]:
    """Return every file, deleted ones too, that a worker has open."""
    paths = {path for pid in server.workers() for path in open_paths(pid)}
    return {path for path in paths if path.startswith("/")}


@pytest.mark.tools
def test_a_large_upload_works_with_every_temporary_folder_of_size_zero(
    own_server: Server, tmp_path: Path
) -> None:
    own_server.settings["TMPDIR"] = str(tmp_path / "zero")
    (tmp_path / "zero").mkdir()
    # what lies below /tmp stays reachable: the tests' own folders may be there
    mounts = (
        'mount -t tmpfs -o size=4k none "$TMPDIR" && mount -t tmpfs -o size=4k none /var/tmp'
        " && mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp"
        f" && mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,rw {tmp_path}"
        ' && head -c 4096 /dev/zero > "$TMPDIR/full" && exec "$@"'
    )
    own_server.start("unshare", "--mount", "sh", "-c", mounts, "sh")
    large_upload(own_server)
    own_server.check_sound()


def test_it_listens_where_host_says_and_nowhere_else(own_server: Server) -> None:
    own_server.settings["HOST"] = own_server.address = "127.0.0.2"
    own_server.start()
    assert own_server.get("/api/health").status == 200
    with pytest.raises(ConnectionRefusedError):
        own_server.connect()  # 127.0.0.1
