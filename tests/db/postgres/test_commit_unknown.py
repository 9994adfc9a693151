"""A COMMIT without an answer: nothing that belongs to a job that may be promised is removed."""

from contextlib import closing
from pathlib import Path

import pytest

from jobserver.db.errors import CommitUnknown
from jobserver.db.postgres.connection import PostgresConnection
from jobserver.jobs import sweep
from tests.postgres import Cluster
from tests.support import MP4_HEAD, Site, file_part

pytestmark = pytest.mark.tools


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path, url: str) -> Site:
    return Site(tmp_path, DATABASE_URL=url)


@pytest.mark.parametrize("was_done", [True, False])
def test_an_upload_whose_commit_has_no_answer_keeps_its_file_if_it_has_a_row(
    was_done: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = PostgresConnection.commit

    def lose(db: PostgresConnection) -> None:
        if was_done:
            commit(db)
        raise CommitUnknown

    with monkeypatch.context() as lost:
        lost.setattr(PostgresConnection, "commit", lose)
        answer = site.post(file_part(MP4_HEAD * 10))
    assert answer.status_code == 503
    assert answer.json == {"error": "The database is not available", "code": "outcome_unknown"}
    rows = site.rows("SELECT stored_name FROM job_file")
    assert len(rows) == was_done
    assert len(site.server.uploads()) == 1
    with closing(site.connect()) as db:
        assert sweep.sweep_uploads(db, site.store) == (not was_done)
    assert set(site.server.uploads()) == {name for (name,) in rows}
