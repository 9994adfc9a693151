"""What is read about jobs, on a real database file: typed, in sequence, by an index."""

import pytest

from jobserver.db import Connection, ConstraintViolated, exclusive
from jobserver.jobs import queries, queue, retention
from jobserver.jobs.model import File, FileSummary, Job, Output
from jobserver.jobs.queries import Place
from tests.jobs import steps
from tests.jobs.steps import insert_job, row_of

pytestmark = pytest.mark.both_databases


def set_statuses(db: Connection, job: str, *statuses: str) -> None:
    """Give the files of a job these statuses, in their sequence."""
    for file, status in zip(queries.files_of(db, job), statuses, strict=False):
        db.execute(
            "UPDATE job_file SET status = :status WHERE id = :id",
            {"status": status, "id": file.id},
        )


def test_an_unknown_job_is_none_and_has_no_files(db: Connection) -> None:
    insert_job(db, "job")
    assert queries.find_job(db, "JOB") is None
    assert queries.job_state(db, "JOB") is None
    assert queries.files_of(db, "JOB") == []
    assert queries.outputs_of(db, "JOB") == []
    assert queries.place_of(db, "JOB") is None
    assert not queries.has_expired(db, "JOB")


# -- the status of a job ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "job_status"),
    [
        (("queued", "queued", "queued"), "queued"),
        (("processing", "queued", "queued"), "processing"),
        (("completed", "queued", "queued"), "processing"),
        (("failed", "failed", "queued"), "processing"),
        (("cancelled", "processing", "completed"), "processing"),
        (("completed", "completed", "completed"), "completed"),
        (("failed", "completed", "failed"), "completed"),
        (("completed", "cancelled", "cancelled"), "completed"),
        (("failed", "failed", "failed"), "failed"),
        (("cancelled", "cancelled", "cancelled"), "cancelled"),
        (("failed", "cancelled", "cancelled"), "cancelled"),
    ],
)
def test_the_status_of_a_job_follows_from_its_files(
    db: Connection, statuses: tuple[str, ...], job_status: str
) -> None:
    insert_job(db, "job", files=3)
    insert_job(db, "other")
    set_statuses(db, "job", *statuses)
    job = queries.find_job(db, "job")
    assert job is not None
    assert job.status == job_status
    assert job.ended == (job_status in ("completed", "failed", "cancelled"))
    assert {job.id: job.status for job in queries.newest_jobs(db, 10)} == {
        "job": job_status,
        "other": "queued",
    }


@pytest.mark.parametrize(
    ("statuses", "job_status"),
    [
        (("queued", "queued", "queued", "queued"), "queued"),
        (("queued", "queued", "processing", "queued"), "processing"),
        (("queued", "queued", "completed", "completed"), "processing"),
        (("completed", "completed", "completed", "processing"), "processing"),
        (("completed", "failed", "failed", "completed"), "completed"),
        (("failed", "failed", "completed", "completed"), "failed"),
        (("failed", "failed", "failed", "cancelled"), "failed"),
        (("cancelled", "failed", "completed", "completed"), "cancelled"),
    ],
)
def test_a_job_ends_with_its_assets_and_as_its_videos_did(
    db: Connection, statuses: tuple[str, ...], job_status: str
) -> None:
    steps.insert_draft(db, steps.brief_draft("job"), 1.0)
    set_statuses(db, "job", *statuses)
    job, state = queries.find_job(db, "job"), queries.job_state(db, "job")
    assert job is not None
    assert state is not None
    assert job.status == state.job.status == job_status


def test_an_unknown_status_of_a_file_is_refused(db: Connection) -> None:
    insert_job(db, "job")
    with pytest.raises(ConstraintViolated, match="status"):
        set_statuses(db, "job", "done")


# -- typed rows -----------------------------------------------------------------------------


@pytest.fixture
def full(db: Connection) -> Connection:
    """A job whose first file has an output, and another value in every column."""
    insert_job(db, "job", files=2, variations=7, at=12.5)
    held = steps.claim(db)
    facts = steps.FACTS._replace(thumbnail="source.webp", thumbnail_place="outputs/a")
    steps.record_source(db, held, facts)
    with exclusive(db, "publish"):
        assert queue.release(db, held, 0.5, 20.0)
        places = {"place": "outputs/b", "thumbnail_place": "outputs/c"}
        facts_of_it = {"width": 72, "height": 128, "duration": 1.5}
        about = {"axes": {"format": "9:16"}, "loudness": {"integrated": -14.1}}
        output = steps.new_output(
            held, 4, thumbnail="output.webp", seconds=3.5, **places, **facts_of_it, **about
        )
        queue.insert_outputs(db, held, [output], 21.0)
    with exclusive(db, "queue"):
        db.write("UPDATE job_file SET error = 'No.', finished_at = 22 WHERE id = 'job.0'")
        db.write(
            "UPDATE output SET hashes = 'AAAA', source_bits = 2.5, opening_bits = 4.5,"
            " nearest_bits = 6.5, nearest_output = 'job.0.5'"
        )
    return db


def test_every_field_of_a_row_is_the_column_of_its_name(full: Connection) -> None:
    """Also where one statement gives rows of several kinds."""
    job, file = row_of(full, "job_summary", "job"), row_of(full, "job_file", "job.0")
    output = row_of(full, "output", "job.0.4")
    state = queries.job_state(full, "job")
    listed = queries.find_output(full, "job", "job.0.4")
    assert state is not None
    assert listed is not None
    for kind, rows, columns in (
        (Job, [queries.find_job(full, "job"), *queries.newest_jobs(full, 1), state.job], job),
        (File, [queries.files_of(full, "job")[0], state.files[0]], file),
        (Output, [*queries.outputs_of(full, "job"), listed], output),
    ):
        for row in rows:
            assert type(row) is kind
            assert row._asdict() == {name: columns[name] for name in kind._fields}
    assert len({value for value in output.values() if value is not None}) == len(output)


def test_a_summary_of_a_file_counts_its_outputs(full: Connection) -> None:
    insert_job(full, "other")
    summaries = queries.file_summaries(full, ["job", "other", "none"])
    first, second = summaries["job"]
    columns = row_of(full, "job_file", "job.0")
    assert {**first._asdict(), "completed_variations": 1} == {
        name: columns.get(name, 1) for name in FileSummary._fields
    }
    assert (second.id, second.completed_variations) == ("job.1", 0)
    assert [each.id for each in summaries["other"]] == ["other.0"]
    assert summaries["none"] == []
    assert queries.file_summaries(full, []) == {}


def test_the_numbers_of_published_variations_are_those_of_one_file(full: Connection) -> None:
    assert queries.published_numbers(full, "job.0") == {4}
    assert queries.published_numbers(full, "job.1") == set()


def test_an_output_is_found_under_its_job_alone(full: Connection) -> None:
    insert_job(full, "other")
    assert queries.find_output(full, "other", "job.0.4") is None
    assert queries.find_output(full, "job", "job.0.5") is None


def test_outputs_come_file_by_file_by_number(db: Connection) -> None:
    insert_job(db, "job", files=2)
    for numbers in ((3, 1), (2,)):
        held = steps.claim(db)
        steps.publish(db, held, *numbers)
    set_statuses(db, "job", "completed")
    steps.publish(db, steps.claim(db), 2, 1)
    found = [output.id for output in queries.outputs_of(db, "job")]
    assert found == ["job.0.1", "job.0.2", "job.0.3", "job.1.1", "job.1.2"]


# -- what a job waits for -------------------------------------------------------------------


def test_a_waiting_job_counts_what_stands_before_it(db: Connection) -> None:
    insert_job(db, "first", files=2, variations=8, at=1.0)
    insert_job(db, "second", variations=3, at=2.0)
    insert_job(db, "third", at=3.0)
    state = queries.job_state(db, "third")
    assert state is not None
    assert state.estimate == (2, 19, None)
    held = steps.claim(db, 10.0)
    steps.publish(db, held, 1, 2, now=11.0)  # half of its 8
    state = queries.job_state(db, "third")
    assert state is not None
    assert state.estimate == (2, 15, 2.0)
    first = queries.job_state(db, "first")
    assert first is not None
    assert first.estimate == (0, 0, 2.0)


def test_a_job_that_has_ended_waits_for_nothing(db: Connection) -> None:
    insert_job(db, "first", at=1.0)
    insert_job(db, "second", at=2.0)
    steps.cancel(db, "second")
    state = queries.job_state(db, "second")
    assert state is not None
    assert state.estimate is None


# -- pages ----------------------------------------------------------------------------------


def test_the_newest_jobs_come_first_and_no_more_than_asked_for(db: Connection) -> None:
    for name, now in (("b", 2.0), ("a", 1.0), ("d", 4.0), ("c", 3.0)):
        insert_job(db, name, at=now)
    assert [job.id for job in queries.newest_jobs(db, 3)] == ["d", "c", "b"]
    assert [job.id for job in queries.newest_jobs(db, 9)] == ["d", "c", "b", "a"]


def place(job: Job) -> Place:
    return Place(job.created_at, job.id)


def test_pages_show_every_job_once_even_when_all_were_made_at_the_same_moment(
    db: Connection,
) -> None:
    names = {f"job{i:02}" for i in range(25)}
    for name in names:
        insert_job(db, name, at=1.0)
    page = queries.newest_jobs(db, 4)
    seen: list[str] = []
    while page:
        seen += [job.id for job in page]
        assert queries.place_of(db, page[-1].id) == place(page[-1])
        page = queries.newest_jobs(db, 4, place(page[-1]))
    assert sorted(seen) == sorted(names)
    assert len(seen) == len(names)


def test_a_new_job_does_not_shift_the_next_page(db: Connection) -> None:
    for i in range(6):
        insert_job(db, f"job{i}", at=float(i))
    first = queries.newest_jobs(db, 3)
    insert_job(db, "late", at=99.0)
    rest = queries.newest_jobs(db, 3, place(first[-1]))
    assert [job.id for job in rest] == ["job2", "job1", "job0"]


@pytest.mark.sqlite_only
def test_every_page_is_found_by_the_index_without_sorting(db: Connection) -> None:
    insert_job(db, "job")
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    queries.newest_jobs(db, 50, place(queries.newest_jobs(db, 50)[0]))
    db.set_trace_callback(None)
    assert len(statements) == 2
    for statement in statements:
        plan = [row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()]
        assert any("job_newest" in step for step in plan)
        assert not any("B-TREE" in step for step in plan)


# -- jobs that are being deleted ----------------------------------------------------------


def test_a_job_that_is_being_deleted_is_hidden_and_counts_as_expired(full: Connection) -> None:
    insert_job(full, "other", at=13.0)
    assert queries.count_jobs(full) == 2
    steps.cancel(full, "job")
    with exclusive(full, "queue"):
        assert retention.mark(full, ["job"], 30.0) == 1
    assert queries.find_job(full, "job") is None
    assert queries.job_state(full, "job") is None
    assert queries.find_output(full, "job", "job.0.4") is None
    assert [job.id for job in queries.newest_jobs(full, 9)] == ["other"]
    assert queries.newest_jobs(full, 9, Place(13.0, "other")) == []
    assert queries.place_of(full, "job") == Place(12.5, "job")
    assert queries.has_expired(full, "job")
    assert not queries.has_expired(full, "other")
    assert queries.count_jobs(full) == 1


def test_a_database_has_jobs_until_the_last_row_is_gone(db: Connection) -> None:
    assert not queries.has_jobs(db)
    insert_job(db, "job")
    steps.cancel(db, "job")
    with exclusive(db, "queue"):
        retention.mark(db, ["job"], 30.0)
    assert queries.has_jobs(db)


# -- what the latest outputs cost ---------------------------------------------------------


def test_a_pace_is_that_of_the_latest_outputs(db: Connection) -> None:
    assert queries.pace(db) == queries.Pace(None, None)
    insert_job(db, "job")
    held = steps.claim(db)
    assert steps.record_source(db, held)  # steps.FACTS
    joined = {"axes": {}, "width": 1000, "height": 500, "duration": 2.0}
    with exclusive(db, "publish"):
        alone = steps.new_output(held, 1, seconds=3.0, size=1000)
        of_brief = steps.new_output(held, 2, seconds=99.0, size=3000, **joined)
        queue.insert_outputs(db, held, [alone, of_brief], now=20.0)
    duration, width, height = steps.FACTS[:3]
    assert duration is not None
    assert width is not None
    assert height is not None
    source = duration * width * height / 1e6
    assert queries.pace(db) == pytest.approx((3.0 / source, 4000 / (source + 1.0)))
