"""What becomes of an upload's files when the transaction of its rows fails at its very end."""

from contextlib import closing

import pytest

from jobserver.db import CommitUnknown, DatabaseBusy, DatabaseFull
from jobserver.db.sqlite import SqliteConnection
from jobserver.jobs import sweep
from tests.support import MP4_HEAD, Site, file_part

CLIP = MP4_HEAD + b"x" * 1000


def names(site: Site) -> set[str]:
    return {path.name for path in site.upload_dir.iterdir()} - {".database"}


@pytest.mark.parametrize("committed", [True, False])
def test_files_stay_when_nobody_knows_whether_their_rows_do(
    site: Site, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    commit = SqliteConnection.commit

    def lose_the_answer(db: SqliteConnection) -> None:
        if committed:
            commit(db)
        raise CommitUnknown

    with monkeypatch.context() as patch:
        patch.setattr(SqliteConnection, "commit", lose_the_answer)
        answer = site.post(file_part(CLIP), file_part(CLIP))
    assert (answer.status_code, answer.json) == (
        503,
        {"error": "The database is not available", "code": "outcome_unknown"},
    )
    assert len(names(site)) == 2
    with closing(site.connect()) as db:
        assert sweep.sweep_uploads(db, site.store) == (0 if committed else 2)
    rows = {name for (name,) in site.rows("SELECT stored_name FROM job_file")}
    assert names(site) == rows
    assert len(rows) == (2 if committed else 0)


@pytest.mark.parametrize("failure", [DatabaseBusy, DatabaseFull])
def test_files_go_when_their_rows_surely_do_not_stay(
    site: Site, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def refuse(db: SqliteConnection) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(SqliteConnection, "commit", refuse)
        assert site.post(file_part(CLIP)).status_code in (503, 507)
    assert names(site) == set()
