"""The access log: a line for each request, with its time, that no client can forge."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import PROJECT, Server, wait_for

FORGED = '%0a2027-01-15T08:00:00Z 127.0.0.1 "GET /forged" 200 0 0ms -'


def new_lines(server: Server, before: int, count: int = 1) -> list[str]:
    """Return the lines that were written after so many, once there are `count`, and no others."""
    wait_for(lambda: len(server.log().splitlines()) >= before + count, 5, "the line")
    health = server.get("/api/health").headers["X-Request-ID"]
    wait_for(lambda: health in server.log(), 5, "the line after")
    return server.log().splitlines()[before:-1]


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/a%0ab", "/a%0ab"),
        ("/a%0D%0Ab%1b%5b31m", "/a%0D%0Ab%1b%5b31m"),
        ("/a%e2%80%a8b%00", "/a%e2%80%a8b%00"),
        (FORGED.replace(" ", "%20").replace('"', "%22"), None),
        ("/a%3Fsignature", "/a%3Fsignature"),
        ("/a?signature=x", "/a"),
    ],
)
def test_a_path_is_logged_as_it_was_sent(server: Server, sent: str, seen: str | None) -> None:
    before = len(server.log().splitlines())
    path = sent if sent.startswith("/") else f"/{sent}"
    server.get(path)
    (line,) = new_lines(server, before)
    assert f' "GET {seen or path}" 404 ' in line


@pytest.mark.parametrize("character", ["\x1b", "\x08", "\u2028", "\x85", "\u202e", '"', "\\"])
def test_a_header_stays_on_its_line(own_server: Server, character: str) -> None:
    """What a proxy passes on as the address of its client may be anything."""
    own_server.settings |= {
        "GUNICORN_CMD_ARGS": "--access-logformat '%(h)s %({x-forwarded-for}i)s \"%(U)s\"'"
    }
    own_server.start()
    with own_server.connect() as sock:
        sock.sendall(
            b"GET /marked HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: left"
            + character.encode()
            + b"right\r\n\r\n"
        )
        answer = sock.recv(1000)
    if answer.startswith(b"HTTP/1.1 400"):  # gunicorn takes no such header, and logs no more of it
        wait_for(lambda: "Invalid request" in own_server.log(), 5, "a line")
        assert "left" not in own_server.log()
        return
    wait_for(lambda: "/marked" in own_server.log(), 5, "the line")
    (line,) = [line for line in own_server.log().splitlines() if "/marked" in line]
    assert re.fullmatch(r'\S+Z 127\.0\.0\.1 left(\\.+)right "/marked"', line)
    assert line.isascii()
    assert line.isprintable()


def test_every_line_has_its_time_in_utc(server: Server) -> None:
    server.get("/api/health")
    wait_for(lambda: "/api/health" in server.log(), 5, "the line")
    times = [line.partition(" ")[0] for line in server.log().splitlines()]
    seen = [datetime.strptime(each, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for each in times]
    assert abs(seen[-1].timestamp() - time.time()) < 60


def test_an_error_of_the_app_cannot_forge_a_line(own_server: Server, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from flask import request\n"
        "from wsgi import app\n"
        '@app.get("/broken")\n'
        "def broken():\n"
        '    app.logger.warning("about %s", request.args["name"])\n'
        '    raise ValueError(request.args["name"])\n'
    )
    own_server.wsgi = "broken:app"
    own_server.settings["PYTHONPATH"] = f"{tmp_path}:{PROJECT}"
    own_server.start()
    before = len(own_server.log().splitlines())
    assert own_server.get("/broken?name=x%0a2027-01-15T08:00:00Z%20forged%1b").status == 500
    lines = new_lines(own_server, before)
    records = [line for line in lines if not line.startswith("    ")]
    assert len(records) == 3  # the warning, the error, the access
    assert not any(line.startswith("2027-01-15T08") for line in lines)
    assert all(line.isprintable() for line in lines)
    assert records[0].endswith(r"[WARNING] about x\n2027-01-15T08:00:00Z forged\x1b")


def test_a_server_warns_of_a_foreign_folder_on_a_line_with_its_time(own_server: Server) -> None:
    """The rooms below web/ log too, before the first request."""
    own_server.start()
    own_server.stop()
    (own_server.upload_dir / ".database").write_text("another")
    own_server.log_path.write_text("")
    own_server.start()
    (line,) = [line for line in own_server.log().splitlines() if "does not hold" in line]
    assert re.match(r"\S+Z \[\d+\] \[WARNING\] UPLOAD_DIR does not hold", line)
