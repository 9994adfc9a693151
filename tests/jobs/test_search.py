"""Looking for jobs: what is found, and what it costs at most."""

import pytest

from jobserver.db import Connection
from jobserver.jobs import queries, search
from jobserver.jobs.search import Wanted
from tests.jobs import steps
from tests.jobs.steps import insert_job, vm_steps

pytestmark = pytest.mark.both_databases


def ids(db: Connection, wanted: Wanted, limit: int = 50) -> list[str]:
    return [job.id for job in search.page(db, None, limit, wanted).jobs]


def test_jobs_are_found_by_title_by_the_name_of_any_file_and_by_state(db: Connection) -> None:
    insert_job(db, "plain", at=1.0)
    steps.insert_draft(db, steps.brief_draft("briefed"), 2.0)
    (video, *_) = queries.files_of(db, "briefed")
    assert ids(db, Wanted()) == ["briefed", "plain"]
    assert ids(db, Wanted(words=" SPRING ")) == ["briefed"]
    for file in queries.files_of(db, "briefed"):
        assert "briefed" in ids(db, Wanted(words=file.name.upper()))
    assert ids(db, Wanted(words="%")) == ids(db, Wanted(words="_%")) == []
    steps.cancel(db, "plain")
    assert ids(db, Wanted(status="cancelled")) == ["plain"]
    assert ids(db, Wanted(status="queued", words=video.name)) == ["briefed"]


def test_each_job_that_is_wanted_is_on_one_page(
    db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WINDOW", 5)
    for n in range(23):
        insert_job(db, f"job{n:02}", at=float(n // 3))
        if n % 2:
            steps.cancel(db, f"job{n:02}")
    found, before, pages = [], None, 0
    while True:
        page = search.page(db, before, 2, Wanted(status="cancelled"))
        found += [job.id for job in page.jobs]
        pages += 1
        if page.rest_before is None:
            break
        before = queries.place_of(db, page.rest_before)
    assert found == sorted(found, reverse=True)
    assert set(found) == {f"job{n:02}" for n in range(1, 23, 2)}
    assert pages < 23


@pytest.mark.sqlite_only
def test_a_search_without_a_match_costs_the_same_with_40_jobs_as_with_400(
    db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WINDOW", 20)
    costs = []
    for first, last in ((0, 40), (40, 400)):
        for n in range(first, last):
            insert_job(db, f"job{n:03}", at=float(n))
        for wanted in (Wanted(words="nothing"), Wanted(status="failed")):
            costs.append(vm_steps(db, lambda wanted=wanted: search.page(db, None, 9, wanted)))
    assert costs[2] <= costs[0] * 1.1
    assert costs[3] <= costs[1] * 1.1
