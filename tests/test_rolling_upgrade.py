"""While hosts are upgraded one after the other, servers of two versions share a database."""

import re
from contextlib import closing

import pytest

from jobserver import db
from jobserver.db import DatabaseUnusable, exclusive, latest_version
from jobserver.db.migrations import SCRIPTS
from jobserver.jobs import sweep
from jobserver.worker.render_thread import RenderThread
from tests.support import Site
from tests.worker.claims import run_claims

pytestmark = pytest.mark.both_databases
NEXT = latest_version() + 1
TABLES = sorted(set(re.findall(r"CREATE TABLE (?!new_)(\w+)", "".join(SCRIPTS))))


def upgrade(site: Site, version: int = NEXT) -> None:
    """Do what any script of a later version may do (tests/db/test_scripts.py)."""
    with closing(site.connect()) as database, exclusive(database, "schema"):
        for table in TABLES:
            database.write(f"ALTER TABLE {table} ADD COLUMN next TEXT NOT NULL DEFAULT '-'")
        database.write(
            """CREATE TABLE part_of_next (
                   job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE)"""
        )
        values = {"version": str(version)}
        database.write("UPDATE meta SET value = :version WHERE name = 'schema_version'", values)


def test_all_goes_on_while_the_database_is_of_the_next_version(
    site: Site, render_thread: RenderThread, clip: bytes
) -> None:
    before = site.upload(clip, variations="1")
    upgrade(site)
    with closing(site.connect()) as database, exclusive(database, "schema"):
        database.write("INSERT INTO part_of_next (job_id) SELECT id FROM job")
    assert db.initialise(site.server.place) == NEXT  # at a restart of a host not upgraded yet
    assert db.check(site.server.place)
    assert site.client.get("/api/health").status_code == 200
    after = site.upload(clip, variations="2")
    cancelled = site.upload(clip)
    assert site.post_action(cancelled, "cancel").status_code == 200
    assert site.post_action(cancelled, "retry").status_code == 202
    assert site.post_action(cancelled, "cancel").status_code == 200
    run_claims(render_thread)
    assert [site.show(job_id)["status"] for job_id in (before, after)] == ["completed"] * 2
    shown = site.client.get("/api/jobs", headers=site.headers).json
    assert [job["id"] for job in shown] == [cancelled, after, before]
    download = site.client.get(f"/api/jobs/{after}/download", headers=site.headers)
    assert download.status_code == 200
    with closing(site.connect()) as database:
        assert sweep.sweep_uploads(database, site.store) == 0
        assert sweep.sweep_outputs(database, site.store) == 0
    for job_id in (before, after, cancelled):
        path = f"/api/jobs/{job_id}"
        assert site.client.delete(path, headers=site.headers).status_code == 200
    for name in ("jobs", "sweep"):
        assert site.app.test_cli_runner().invoke(args=[name]).exit_code == 0
    assert site.rows("SELECT value FROM meta WHERE name = 'schema_version'") == [(str(NEXT),)]


def test_a_database_two_versions_ahead_is_refused(site: Site) -> None:
    upgrade(site, NEXT + 1)
    for use in (db.check, db.initialise):
        with pytest.raises(DatabaseUnusable, match=f"version {NEXT + 1}"):
            use(site.server.place)
    assert site.client.get("/api/health").status_code == 503
