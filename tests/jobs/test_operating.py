"""Storage at a glance, and what an operator asks in a terminal."""

import hashlib
import re
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from jobserver.db import note_last_seen, transaction
from jobserver.ids import generate_id
from jobserver.jobs import expiry, store
from jobserver.jobs.expiry import OWNER_FILE, Storage
from tests.results import Clip, check_owned, ids, make_job
from tests.support import Site

DAY = 24 * 3600.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    with closing(site.connect()) as db:
        expiry.claim_folders(db, Storage.of(site.app.config))
    return site


def flask(site: Site, *words: str) -> Result:
    return site.app.test_cli_runner().invoke(args=words)


def everything(site: Site) -> dict[str, str]:
    """All files by path and content, and all rows of all tables."""
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for folder in (site.upload_dir, site.output_dir)
        for path in folder.rglob("*")
    }
    tables = [name for (name,) in site.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: str(site.rows(f"SELECT * FROM {name}")) for name in tables}  # noqa: S608
    return files | rows


def leftovers(site: Site) -> list[str]:
    """Make one of each thing that a sweep removes; return what names it."""
    expired = make_job(site.server, created_at=time.time() - 2 * DAY)
    marked, kept = make_job(site.server), make_job(site.server)
    with closing(site.connect()) as db, transaction(db):
        store.mark_removed(db, marked.id, time.time())
    orphan = site.upload_dir / f"{generate_id()}.mp4"
    orphan.write_bytes(b"x")
    workshop = site.output_dir / kept.id / ".file.1"
    workshop.mkdir()
    return [expired.id, marked.id, str(orphan), str(workshop)]


# -- GET /api/storage -----------------------------------------------------------


def storage(site: Site):
    answer = site.client.get("/api/storage", headers=site.headers)
    assert answer.status_code == 200
    return answer.json


def test_storage_counts_bytes_and_jobs(site: Site):
    assert list(storage(site)) == ["used", "quota", "free", "jobs"]
    assert (storage(site)["used"], storage(site)["jobs"]) == (0, 0)
    make_job(site.server, Clip(outputs=[b"x" * 300, b"y" * 50], size=1000))
    make_job(site.server, Clip(outputs=[], size=7, status="queued"))
    assert (storage(site)["used"], storage(site)["jobs"]) == (1357, 2)


def test_a_removed_job_counts_no_more(site: Site):
    job = make_job(site.server)
    site.client.delete(job.url, headers=site.headers)
    assert (storage(site)["used"], storage(site)["jobs"]) == (0, 0)


def test_the_quota_is_told_or_null(site: Site):
    assert storage(site)["quota"] is None
    site.app.config["STORAGE_QUOTA"] = 12345
    assert storage(site)["quota"] == 12345


def test_free_is_what_uploads_may_still_use(site: Site):
    free = Storage.of(site.app.config).free()
    assert abs(storage(site)["free"] - free) < 2**30
    site.app.config["MIN_FREE_SPACE"] = free // 2
    assert abs(storage(site)["free"] - free // 2) < 2**30
    site.app.config["MIN_FREE_SPACE"] = 2 * free
    assert storage(site)["free"] == 0


def test_storage_needs_a_token(site: Site):
    assert site.client.get("/api/storage").status_code == 401
    assert site.client.get("/api/storage?signature=x&expires=9999999999").status_code == 401


# -- flask jobs -------------------------------------------------------------------


def test_flask_jobs_lists_the_newest_first(site: Site):
    older = make_job(site.server, created_at=1_800_000_000.0)
    newer = make_job(site.server, Clip(status="queued"), Clip(), created_at=1_800_000_060.0)
    lines = flask(site, "jobs").output.splitlines()
    assert [line.split()[0] for line in lines] == [newer.id, older.id]
    assert re.fullmatch(rf"{older.id}  completed +1 x 5  2027-01-15T08:00:00\.000Z", lines[1]), (
        lines[1]
    )
    assert "processing" in lines[0]
    assert "2 x 5" in lines[0]


def test_flask_jobs_lists_as_many_as_asked(site: Site):
    for _ in range(3):
        make_job(site.server)
    assert len(flask(site, "jobs", "--limit", "2").output.splitlines()) == 2


def test_flask_jobs_of_an_empty_database_is_silent(site: Site):
    result = flask(site, "jobs")
    assert (result.exit_code, result.output) == (0, "")


# -- flask sweep --------------------------------------------------------------------


def test_a_dry_run_explains_and_changes_nothing(site: Site):
    named = leftovers(site)
    site.app.config["STORAGE_QUOTA"] = 1
    before = everything(site)
    result = flask(site, "sweep", "--dry-run")
    assert result.exit_code == 0, result.output
    for name in named:
        assert name in result.output
    for reason in ("expired", "over the quota", "half removed", "belongs to no job"):
        assert reason in result.output
    assert "Removed" not in result.output
    assert everything(site) == before


def test_a_dry_run_in_new_folders_does_not_even_mark_them(tmp_path: Path):
    site = Site(tmp_path)
    for folder in (site.upload_dir, site.output_dir):
        (folder / OWNER_FILE).unlink()
    assert flask(site, "sweep", "--dry-run").exit_code == 0
    assert (
        everything(site)
        .keys()
        .isdisjoint({str(site.upload_dir / OWNER_FILE), str(site.output_dir / OWNER_FILE)})
    )


def test_a_sweep_does_what_its_dry_run_said(site: Site):
    named = leftovers(site)
    told = flask(site, "sweep", "--dry-run").output
    result = flask(site, "sweep")
    assert result.output.startswith(told)
    assert "Removed 2 jobs and 2 leftovers." in result.output
    check_owned(site.server)
    assert not ids(site.server) & set(named)
    assert flask(site, "sweep").output == "Removed 0 jobs and 0 leftovers.\n"


def test_a_sweep_evicts_what_is_over_the_quota_and_no_more(site: Site):
    jobs = [make_job(site.server, Clip(outputs=[], size=1000)) for _ in range(4)]
    site.app.config["STORAGE_QUOTA"] = 2500
    assert "Removed 2 jobs" in flask(site, "sweep").output
    assert ids(site.server) == {jobs[2].id, jobs[3].id}
    check_owned(site.server)


def test_a_sweep_by_a_clock_that_jumped_expires_nothing_unless_it_is_trusted(site: Site):
    now = time.time()
    job = make_job(site.server, created_at=now - 400 * 24 * 3600)
    with closing(site.connect()) as db:
        note_last_seen(db, now - 2 * 3600)
    kept = flask(site, "sweep")
    assert "The clock may have jumped: 1 jobs stay (--trust-clock)" in kept.output
    assert ids(site.server) == {job.id}
    assert "Removed 1 jobs" in flask(site, "sweep", "--trust-clock").output
    assert ids(site.server) == set()
    check_owned(site.server)


@pytest.mark.parametrize("words", [("sweep",), ("sweep", "--dry-run")])
@pytest.mark.parametrize("folder", ["upload_dir", "output_dir"])
def test_a_sweep_of_a_foreign_folder_is_refused(site: Site, folder: str, words: tuple[str, ...]):
    leftovers(site)
    (getattr(site, folder) / OWNER_FILE).write_text("another")
    before = everything(site)
    result = flask(site, *words)
    assert result.exit_code == 1
    assert "A folder is not this database's; nothing is done" in result.output
    assert everything(site) == before


@pytest.mark.parametrize("words", [("sweep",), ("jobs",)])
def test_a_missing_database_is_one_sentence(site: Site, words: tuple[str, ...]):
    for path in site.server.folder.glob("db.sqlite3*"):
        path.unlink()
    result = flask(site, *words)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.output.startswith("Error: ")
    assert not site.server.database.exists()


def test_the_commands_are_there_in_a_terminal(site: Site):
    job = make_job(site.server)
    done = site.server.flask("jobs")
    assert (done.returncode, done.stdout.split()[0]) == (0, job.id), done.stderr
    done = site.server.flask("sweep", "--dry-run")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
