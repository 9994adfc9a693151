"""flask jobs: what an operator sees of jobs in a terminal, and as JSON."""

import json
import re
import sqlite3
import time
from contextlib import closing
from typing import Any

from click.testing import Result
from flask import Flask

from jobserver.cli.jobs import TITLES
from jobserver.db import exclusive
from jobserver.jobs import standing
from tests.results import Clip, make_job
from tests.support import Site


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=words)


def listed(site: Site, *words: str) -> list[str]:
    """Return the lines of the list without its header."""
    result = flask(site.app, "jobs", *words)
    assert result.exit_code == 0, result.output
    header, *lines = result.output.splitlines()
    assert header.split() == list(TITLES)
    return lines


def change(site: Site, query: str, *values: object) -> None:
    with closing(sqlite3.connect(site.server.database)) as db, db:
        db.execute(query, values)


def let_render(site: Site, job_id: str) -> None:
    """Make it look as while a worker renders the job's first file."""
    change(
        site,
        """UPDATE job_file SET status = 'processing', progress = 0.48, worker = 'host:17',
           attempts = 2, lease_until = 9e12 WHERE job_id = ? AND position = 0""",
        job_id,
    )


def test_the_newest_come_first_with_all_that_an_operator_asks_for(site: Site) -> None:
    older = make_job(site.server, created_at=1_700_000_000.0)
    failed = make_job(site.server, Clip(status="queued"), created_at=1_700_000_060.0)
    newer = make_job(site.server, Clip("a.mp4", status="queued"), Clip("b.mp4", status="queued"))
    let_render(site, newer.id)
    change(
        site,
        "UPDATE job_file SET status = 'failed', error = 'It is damaged.' WHERE job_id = ?",
        failed.id,
    )
    lines = listed(site)
    assert [line.split()[0] for line in lines] == [newer.id, failed.id, older.id]
    assert re.fullmatch(
        rf"{newer.id}  processing +24 % +4/10 +\d+ s +host:17 +a\.mp4 \+1", lines[0]
    ), lines[0]
    assert re.fullmatch(rf"{failed.id}  failed +100 % .*  - .*  It is damaged\.", lines[1]), lines[
        1
    ]
    assert re.match(rf"{older.id}  completed +100 % ", lines[2]), lines[2]


def test_an_age_has_its_largest_unit(site: Site) -> None:
    ages: list[Any] = []
    for seconds in (-5, 59, 61, 2 * 3600 + 10, 3 * 86400 + 10):
        job = make_job(site.server)
        change(site, "UPDATE job SET created_at = ? WHERE id = ?", time.time() - seconds, job.id)
        (line,) = (line for line in listed(site) if line.startswith(job.id))
        ages.append(re.search(r"/\d+ +(\d+ \w+) +", line)[1])  # type: ignore[index]
    assert ages == ["0 s", "59 s", "1 min", "2 h", "3 d"]


def test_at_most_the_limit(site: Site) -> None:
    for _ in range(3):
        make_job(site.server)
    assert len(listed(site, "--limit", "2")) == 2


def test_nothing_is_printed_for_an_empty_database(site: Site) -> None:
    for words in ((), ("--json",)):
        result = flask(site.app, "jobs", *words)
        assert (result.exit_code, result.output) == (0, "")


def test_a_name_cannot_move_the_cursor_or_begin_a_line(site: Site) -> None:
    job = make_job(site.server, Clip("a\x1b[2J\nb.mp4"))
    (line,) = listed(site)
    shown = flask(site.app, "jobs", "show", job.id).output
    for text in (line, shown.replace("\n", "")):
        assert text.isprintable()
    assert r"a\x1b[2J\nb.mp4" in shown


def test_json_has_one_object_a_line(site: Site) -> None:
    made = [make_job(site.server, Clip("ä.mp4", outputs=[b"x", b"y"])) for _ in range(2)]
    lines = flask(site.app, "jobs", "--json").output.splitlines()
    found = [json.loads(line) for line in lines]
    assert {job["id"] for job in found} == {job.id for job in made}
    api = site.show(made[0].id)
    (job,) = (job for job in found if job["id"] == made[0].id)
    for key in ("status", "progress", "completedVariations", "totalVariations", "createdAt"):
        assert job[key] == api[key], key
    for key in ("title", "expiresAt", "recipe", "seed"):
        assert job[key] == api[key], key
    for key in ("id", "name", "size", "status", "progress", "completedVariations", "error"):
        assert job["files"][0][key] == api["files"][0][key], key
    assert job["files"][0]["worker"] is None


def test_a_job_on_its_way_is_as_far_as_the_api_says(site: Site) -> None:
    job = make_job(site.server, Clip(status="queued"))
    for progress in (0.29, 1.0):
        let_render(site, job.id)
        change(site, "UPDATE job_file SET progress = ?", progress)
        with closing(site.connect()) as db, exclusive(db, "queue"):
            standing.touch(db, job.id)
        api, found = site.show(job.id), json.loads(flask(site.app, "jobs", "--json").output)
        assert found["progress"] == api["progress"]
        assert found["files"][0]["progress"] == api["files"][0]["progress"]


def test_show_tells_of_each_video_where_it_is_and_who_renders_it(site: Site) -> None:
    job = make_job(site.server, Clip("a.mp4", status="queued"), Clip("b.mp4", status="queued"))
    let_render(site, job.id)
    shown = flask(site.app, "jobs", "show", job.id)
    assert shown.exit_code == 0
    about, first, second, rest = shown.output.split("\n\n")
    assert rest == ""
    assert f"id                   {job.id}" in about
    assert "worker               host:17" in first
    assert "attempts             2" in first
    assert "worker               -" in second
    found = json.loads(flask(site.app, "jobs", "show", job.id, "--json").output)
    assert [file["worker"] for file in found["files"]] == ["host:17", None]
    assert (site.upload_dir / found["files"][0]["source"]).exists()


def test_show_of_a_job_that_is_not_there_is_a_sentence(site: Site) -> None:
    result = flask(site.app, "jobs", "show", "none")
    assert (result.exit_code, result.output) == (1, "Error: There is no job none\n")


def test_reading_makes_no_folder(site: Site) -> None:
    job = make_job(site.server)
    away = site.output_dir.rename(site.output_dir.with_name("away"))
    for words in (("jobs",), ("jobs", "--json"), ("jobs", "show", job.id)):
        assert flask(site.app, *words).exit_code == 0
    assert not site.output_dir.exists()
    away.rename(site.output_dir)
