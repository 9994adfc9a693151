"""doctor: each check says what is wrong when it is, and docs/operations.md what to do."""

import re
import subprocess
import time
from contextlib import closing

import pytest

from jobserver.cli.doctor import CHECKS
from jobserver.db import exclusive
from jobserver.jobs import workers
from jobserver.jobs.workers import Worker
from tests.support import PROJECT, Server, Site, change_settings


def findings(site: Site) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code; of each check its level and words."""
    done = site.app.test_cli_runner().invoke(args=["doctor"])
    lines = [re.split(r"\s\s+", line, maxsplit=2) for line in done.output.splitlines()]
    found = {name: (level, words) for level, name, words in lines}
    assert found.keys() == CHECKS.keys(), done.output
    return done.exit_code, found


def begin_worker(site: Site) -> None:
    row = Worker(id="w", name="host:1", threads=2, started_at=time.time(), waits_for=None)
    with closing(site.connect()) as db, exclusive(db, "housekeeping"):
        workers.renew(db, row, db.clock())


@pytest.mark.both_databases
def test_a_server_with_a_worker_is_well(site: Site) -> None:
    begin_worker(site)
    code, found = findings(site)
    assert {name: words for name, (level, words) in found.items() if level == "error"} == {}
    assert code == 0
    assert found["engine"] == ("ok", "1 workers live, 2 files at once")
    assert found["ffmpeg"][1].startswith("ffmpeg version ")


def lose_database(site: Site) -> None:
    site.server.database.unlink()


def lose_folder(site: Site) -> None:
    site.upload_dir.rename(site.upload_dir.with_name("away"))


def take_folder_of_another(site: Site) -> None:
    (site.output_dir / ".database").write_text("another")


def take_all_space(site: Site) -> None:
    change_settings(site.app, min_free_space=2**62)


def forget_password(site: Site) -> None:
    change_settings(site.app, auth_password=None)


def take_wrong_encoder(site: Site) -> None:
    change_settings(site.app, encoder="libnone")


def take_no_ffmpeg(site: Site) -> None:
    change_settings(site.app, ffmpeg="/bin/false")


def need_metrics_folder(site: Site) -> None:
    change_settings(site.app, metrics_token="t" * 12, metrics_dir=site.upload_dir / "none")


def queue_without_worker(site: Site) -> None:
    site.upload(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(100))


@pytest.mark.parametrize(
    ("harm", "name", "words"),
    [
        (lose_database, "database", "There is no database"),
        (lose_folder, "store", "UPLOAD_DIR is missing"),
        (take_folder_of_another, "store", "OUTPUT_DIR does not hold the files of this database"),
        (take_all_space, "space", "uploads are refused with a 507"),
        (forget_password, "settings", "nobody can sign in"),
        (take_wrong_encoder, "encoder", "ffmpeg cannot encode"),
        (take_no_ffmpeg, "ffmpeg", "could not be started"),
        (need_metrics_folder, "folders", "METRICS_DIR"),
        (queue_without_worker, "engine", "no worker lives"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_it(site: Site, harm, name: str, words: str) -> None:
    harm(site)
    code, found = findings(site)
    assert (code, found[name][0], words in found[name][1]) == (1, "error", True), found


def test_what_works_less_well_is_a_warning_alone(site: Site) -> None:
    change_settings(site.app, auth_password="short", encoder="h264_none")
    _, found = findings(site)
    assert found["settings"][0] == found["engine"][0] == found["landlock"][0] == "warning"
    assert "short" not in str(found)


def test_docs_say_what_to_do_about_each_check() -> None:
    text = (PROJECT / "docs/operations.md").read_text().partition("## Doctor\n")[2]
    section = text.partition("\n## ")[0]
    assert re.findall(r"^- \*\*(\w+)\*\*: ", section, re.M) == list(CHECKS)


def test_an_unusable_setting_is_said_in_one_line_by_the_command(own_server: Server) -> None:
    own_server.settings["PORT"] = "none"
    done: subprocess.CompletedProcess[str] = own_server.flask("doctor")
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "jobserver: PORT cannot be used: 'none' is not a whole number",
    )
