"""A job is inserted whole, with its files in their sequence, or not at all."""

from contextlib import closing

import pytest

from jobserver.brief.seeds import file_seed
from jobserver.db import Connection, ConstraintViolated, DatabaseBusy, Place, connect, exclusive
from jobserver.jobs import queries, queue
from jobserver.jobs.model import File, Job, JobDraft, JobOptions, NewFile
from tests.jobs.steps import brief_draft, insert_draft, insert_job, new_files

pytestmark = pytest.mark.both_databases


def options(variations: int = 5) -> JobOptions:
    return JobOptions(variations, "subtle", 3)


def test_an_inserted_job_is_found_with_its_files_in_their_sequence(db: Connection) -> None:
    files = new_files("job", 3)[::-1]  # neither by id nor by name
    insert_draft(db, JobDraft("job", files, options(7)), 12.5)
    job = Job(
        id="job",
        title=None,
        recipe="subtle",
        seed=3,
        variations_per_video=7,
        total_outputs=None,
        created_at=12.5,
        removed_at=None,
        total_videos=3,
        status="queued",
    )
    assert queries.find_job(db, "job") == job
    found = queries.files_of(db, "job")
    assert found == [
        File(
            id=file.id,
            job_id="job",
            position=position,
            name=file.name,
            stored_name=file.stored_name,
            size=file.size,
            status="queued",
            progress=0,
            started_at=None,
            finished_at=None,
            error=None,
            duration=None,
            width=None,
            height=None,
            sha256=None,
            thumbnail=None,
            own_seed=file_seed(3, position),
        )
        for position, file in enumerate(files)
    ]
    state = queries.job_state(db, "job")
    assert state is not None
    assert (state.job, state.files) == (job, found)


def test_a_job_with_a_brief_has_its_assets_behind_its_videos(db: Connection) -> None:
    insert_draft(db, brief_draft("job"), 12.5)
    insert_job(db, "plain")
    state = queries.job_state(db, "job")
    assert state is not None
    assert (state.job.title, state.job.total_videos, state.job.total_outputs) == ("Spring", 2, 5)
    assert (state.job.variations_per_video, state.job.total_variations) == (3, 5)
    assert state.job == queries.find_job(db, "job")
    assert [(file.role, file.planned) for file in state.files] == [("video", 3), ("video", 2)]
    assert [(file.role, file.planned) for file in state.assets] == [("hook", 0), ("music", 0)]
    assert queries.files_of(db, "job") == [*state.files, *state.assets]
    assert queries.videos_of(db, "job") == state.files
    assert [file.role for file in queries.file_summaries(db, ["job"])["job"]] == [
        *("video", "video"),
        *("hook", "music"),
    ]
    assert {file.weight for file in (*state.files, *state.assets)} == {0}
    assert db.value("SELECT brief FROM job WHERE id = 'job'") == '{"formats":["9:16"]}'
    plain = queries.find_job(db, "plain")
    assert plain is not None
    assert (plain.title, plain.total_outputs, plain.total_variations) == (None, None, 20)


def test_an_unknown_role_is_refused(db: Connection) -> None:
    draft = brief_draft("job")
    draft.files[0] = draft.files[0]._replace(role="sticker")  # type: ignore[arg-type]
    with pytest.raises(ConstraintViolated, match="role"):
        insert_draft(db, draft, 1.0)


def test_another_connection_sees_an_inserted_job_at_once(db: Connection, place: Place) -> None:
    insert_job(db, "job")
    with closing(connect(place)) as other:
        assert queries.find_job(other, "job") == queries.find_job(db, "job") is not None


@pytest.mark.parametrize(
    ("files", "variations", "error"),
    [
        ([*new_files("b"), *new_files("b")], 5, "UNIQUE|unique"),
        ([*new_files("b"), *new_files("a")], 5, "UNIQUE|unique"),
        ([*new_files("b"), NewFile("x", "x.mp4", "x.mp4", 0)], 5, "size > 0|size_check"),
        (new_files("b"), 0, "variations_per_video"),
    ],
)
def test_a_job_that_cannot_be_inserted_leaves_no_row(
    db: Connection, files: list[NewFile], variations: int, error: str
) -> None:
    insert_job(db, "a", at=1.0)
    with pytest.raises(ConstraintViolated, match=error):
        insert_draft(db, JobDraft("b", files, options(variations)), 2.0)
    assert not db.in_transaction
    assert queries.find_job(db, "b") is None
    assert queries.files_of(db, "b") == []
    assert db.column("SELECT DISTINCT job_id FROM event") == ["a"]
    assert [file.id for file in queries.files_of(db, "a")] == ["a.0"]


def test_two_jobs_may_have_one_upload(db: Connection) -> None:
    """The schema no longer forbids what rendering a video again needs."""
    insert_job(db, "a", at=1.0)
    again = [NewFile("again", "clip.mp4", "a.0.mp4", 100)]
    insert_draft(db, JobDraft("b", again, options(21)), 2.0)
    files = [queries.files_of(db, job_id)[0] for job_id in "ab"]
    assert {file.stored_name for file in files} == {"a.0.mp4"}


def test_a_job_is_inserted_once(db: Connection) -> None:
    insert_job(db, "job")
    with pytest.raises(ConstraintViolated):
        insert_draft(db, JobDraft("job", new_files("other"), options()), 2.0)
    assert [file.id for file in queries.files_of(db, "job")] == ["job.0"]


def test_an_insert_behind_a_lock_is_busy_and_leaves_no_row(db: Connection, place: Place) -> None:
    with (
        closing(connect(place)) as other,
        exclusive(other, "quota"),
        pytest.raises(DatabaseBusy),
    ):
        insert_job(db, "job")
    assert not db.in_transaction
    assert queries.find_job(db, "job") is None
    insert_job(db, "job")


def test_an_insert_without_a_transaction_is_refused(db: Connection) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        queue.insert_job(db, JobDraft("job", new_files("job"), options()), 1.0)
    assert queries.find_job(db, "job") is None
