"""The command `jobserver`: what it prints, keeps and ends with."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobserver.client.commands import main
from tests.nginx import Nginx
from tests.results import Clip, make_job
from tests.support import MP4_HEAD, PASSWORD, PROJECT, Server, Worker, free_port
from tests.test_integrating import program

Run = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


@pytest.fixture
def run(server: Server, config: Path) -> Run:
    """Run the command with JOBSERVER_URL and a password; other settings are arguments."""

    def run(*words: object, input: str | None = None, **settings: str | None) -> Result:
        environment = {
            "XDG_CONFIG_HOME": str(config),
            "JOBSERVER_URL": f"http://127.0.0.1:{server.port}",
            "JOBSERVER_PASSWORD": PASSWORD,
            "JOBSERVER_KEY": None,
            **settings,
        }
        return CliRunner().invoke(main, list(map(str, words)), input=input, env=environment)

    return run


@pytest.fixture
def clip_path(tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(MP4_HEAD + b"content")
    return tmp_path / "clip.mp4"


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_session_is_kept_for_its_user_alone_and_used(
    run: Run, server: Server, config: Path
) -> None:
    nobody = {"JOBSERVER_URL": None, "JOBSERVER_PASSWORD": None}
    missing = run("jobs", **nobody)
    assert (missing.exit_code, missing.stdout) == (3, "")
    assert "sign in with `jobserver login URL`" in missing.stderr
    url = f"http://127.0.0.1:{server.port}"
    done = run("login", url, input=f"{PASSWORD}\n", **nobody)
    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    (kept,) = (config / "jobserver").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert run("jobs", **nobody).exit_code == 0
    other = run("jobs", JOBSERVER_URL="http://127.0.0.1:1", JOBSERVER_PASSWORD=None)
    assert (other.exit_code, "Nobody is signed in at http://127.0.0.1:1" in other.stderr) == (
        3,
        True,
    )
    kept.write_text(json.dumps({"url": url, "token": "old"}))
    old = run("jobs", **nobody)
    assert (old.exit_code, "Invalid or expired token; sign in" in old.stderr) == (3, True)
    assert run("logout").exit_code == 0
    assert run("jobs", **nobody).exit_code == 3


def test_a_key_takes_the_place_of_a_password(run: Run, server: Server) -> None:
    assert run("jobs", JOBSERVER_KEY=server.token, JOBSERVER_PASSWORD="wrong").exit_code == 0
    assert run("jobs", JOBSERVER_KEY="wrong").exit_code == 3


def test_send_prints_the_id_and_the_others_find_the_job(
    run: Run, server: Server, clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "brief.json").write_text('{"formats": ["9:16", "1:1"]}')
    sent = run("send", clip_path, "--brief", tmp_path / "brief.json", "--title", "By hand")
    assert sent.exit_code == 0, sent.output
    job_id = sent.stdout.strip()
    assert server.stored(job_id) == [clip_path.read_bytes()]
    shown = run("status", job_id)
    assert (shown.exit_code, shown.stdout.split()) == (
        0,
        [job_id, "queued", "0", "%", "0/2", "By", "hand"],
    )
    (listed,) = lines(run("jobs", "-q", "by hand", "--limit", 1, "--json"))
    assert (listed["jobId"], listed["status"], listed["totalVariations"]) == (job_id, "queued", 2)
    assert run("cancel", job_id).exit_code == 0
    ended = run("status", job_id, "--watch", "--json")
    assert (ended.exit_code, lines(ended)[-1]["status"]) == (1, "cancelled")
    again = run("cancel", job_id, "--json")
    assert again.exit_code == 4
    assert json.loads(again.stderr)["error"] == "The job has ended"


def test_download_fetches_what_is_there_and_prints_where(
    run: Run, server: Server, tmp_path: Path
) -> None:
    job = make_job(server, Clip(outputs=[b"one", b"two"]), variations=2)
    done = run("download", job.id, "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    found = {line["outputId"]: Path(line["path"]).read_bytes() for line in lines(done)}
    assert found == dict(zip(job.outputs, [b"one", b"two"], strict=True))
    plain = run("download", job.id, "--out", tmp_path / "out")
    assert sorted(plain.stdout.split()) == sorted(line["path"] for line in lines(done))
    job.paths[0].write_bytes(b"bad")
    assert run("download", job.id, "--out", tmp_path / "other").exit_code == 6


def test_what_goes_wrong_ends_with_the_code_that_help_names(
    run: Run, clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_bytes(b"text")
    (tmp_path / "bad.json").write_bytes(b"{")
    assert run("send").exit_code == 2
    assert run("send", tmp_path / "none.mp4").exit_code == 2
    assert run("login", JOBSERVER_URL=None).exit_code == 2
    assert run("status", "none").exit_code == 4
    assert run("status", "none").stderr == "jobserver: Job not found\n"
    assert run("send", tmp_path / "text.txt").exit_code == 4
    assert run("jobs", JOBSERVER_URL="videos.example").exit_code == 4
    assert run("send", clip_path, "--brief", tmp_path / "bad.json").exit_code == 6
    assert run("jobs", JOBSERVER_PASSWORD="wrong").exit_code == 3
    for code in range(7):
        assert f"  {code}  " in run("--help").stdout


def test_a_title_cannot_move_the_cursor(run: Run, server: Server) -> None:
    make_job(server, title="a\x1b[2Jb")
    assert "\x1b" not in run("jobs").output


# -- behind nginx -----------------------------------------------------------------------------


@pytest.fixture
def below_a_path(own_server: Server, tmp_path: Path) -> Iterator[str]:
    """A server and a worker behind nginx, at a path of its own; the address of it."""
    own_server.settings["TRUSTED_PROXIES"] = "1"
    own_server.start()
    worker = Worker(own_server).start()
    folder = tmp_path / "nginx"
    folder.mkdir()
    nginx = Nginx(
        folder,
        own_server.port,
        **{
            "location / {": "location /videos/ {",
            "proxy_pass http://jobserver;": "proxy_pass http://jobserver/;",
            'X-Forwarded-Prefix "";': "X-Forwarded-Prefix /videos;",
        },
    ).start()
    yield f"http://127.0.0.1:{nginx.port}/videos"
    worker.kill()
    nginx.stop()


@pytest.fixture
def folder(tmp_path: Path, clip: bytes) -> Path:
    """A folder with a clip, and with `jobserver` as pip would install it."""
    (tmp_path / "clip.mp4").write_bytes(clip)
    command = tmp_path / "bin" / "jobserver"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jobserver.client "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.mark.tools
def test_the_programs_of_the_documents_run_behind_nginx_below_a_path(
    below_a_path: str, folder: Path, config: Path
) -> None:
    """As a shell would run them, in processes of their own."""

    def run(*command: str) -> list[str]:
        done = subprocess.run(
            [*command, "clip.mp4"],
            cwd=folder,
            env={
                "PATH": f"{folder}/bin:{os.environ['PATH']}",
                "PYTHONPATH": str(PROJECT),
                "XDG_CONFIG_HOME": str(config),
                "JOBSERVER_URL": below_a_path,
                "JOBSERVER_PASSWORD": PASSWORD,
                "LANG": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    by_python = run(sys.executable, "-c", program("python", "JobRequest"))
    by_shell = run("sh", "-euc", program("sh", "jobserver send"), "sh")
    assert "completed" in by_shell[0]
    assert len(by_python) == len(by_shell[1:]) == 2
    for line in (*by_python, *by_shell[1:]):
        assert (folder / line).read_bytes()[4:8] == b"ftyp"
    assert len(list((folder / "results").iterdir())) == 4


def test_a_server_that_is_not_there_ends_with_5(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobserver.client.transport.FIRST_WAIT_S", 0.0)
    result = run("jobs", JOBSERVER_URL=f"http://127.0.0.1:{free_port()}", JOBSERVER_KEY="a")
    assert (result.exit_code, "does not answer" in result.stderr) == (5, True)
