"""The seed of each file of a job: the same again for the same job, another for each file."""

from jobserver.brief.seeds import file_seed
from jobserver.web.params import MAX_SEED, MAX_VARIATIONS

SEEDS = (0, 1, 7, 2**32, MAX_SEED)


def test_the_first_file_of_a_job_has_the_seed_of_the_job() -> None:
    assert [file_seed(seed, 0) for seed in SEEDS] == list(SEEDS)


def test_no_two_files_of_a_job_have_the_same_seed() -> None:
    for seed in range(200):
        assert len({file_seed(seed, position) for position in range(10)}) == 10


def test_seeds_are_what_they_were_when_version_5_of_the_database_came() -> None:
    assert [file_seed(7, position) for position in range(3)] == [
        7,
        3804671954142883,
        673413849269104,
    ]


def test_a_file_can_be_sent_alone_with_the_seed_that_it_has_in_a_job() -> None:
    """The form takes every seed that a file may have."""
    seeds = [file_seed(seed, position) for seed in SEEDS for position in range(MAX_VARIATIONS)]
    assert all(0 <= seed <= MAX_SEED for seed in seeds)
