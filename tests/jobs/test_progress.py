"""How far a job is, of files that weigh alike or not."""

from typing import NamedTuple

import pytest

from jobserver.jobs.progress import share_of


class Weighed(NamedTuple):
    status: str
    progress: float
    weight: float | None = None
    finished_at: float | None = None


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ([Weighed("processing", 0.5), Weighed("queued", 0.0)], 0.25),
        ([Weighed("failed", 0.2), Weighed("queued", 0.0)], 0.5),
        ([Weighed("processing", 0.5, 30.0), Weighed("completed", 1.0, 10.0)], 0.625),
        ([Weighed("failed", 0.0, 0.0), Weighed("processing", 0.5, 10.0)], 0.5),
    ],
)
def test_a_file_counts_as_much_as_it_weighs(files: list[Weighed], share: float) -> None:
    assert share_of(files) == share


def test_a_job_that_nobody_knows_yet_has_no_progress_until_all_has_ended() -> None:
    assert share_of([Weighed("failed", 0.0, 0.0), Weighed("processing", 0.0, 0.0)]) == 0.0
    assert share_of([Weighed("failed", 0.0, 0.0), Weighed("cancelled", 0.0, 0.0)]) == 1.0
