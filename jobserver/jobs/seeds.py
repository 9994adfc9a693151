"""Which seed a file of a job is rendered with."""

from jobserver.jobs.model import Claim, File, Job


def seed_of(job: Job, file: File | Claim) -> int:
    """Return the seed that a file of the job is rendered with.

    A file that was queued before version 5 of the database has no own seed: it keeps the
    job's, so that what is missing of it still belongs to what is published.
    """
    return job.seed if file.own_seed is None else file.own_seed
