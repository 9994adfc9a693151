"""A worker's housekeeping by clocks of the test's own, and jobs of a known age."""

import threading
from collections.abc import Callable
from typing import Any

from jobserver.jobs.quota import SpaceLimits
from jobserver.worker.maintenance import Housekeeper
from tests.results import Clip, Job, make_job
from tests.support import Site

AT = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
HOUR, DAY, YEAR = 3600.0, 24 * 3600.0, 365 * 24 * 3600.0


class House:
    """A housekeeper as a worker process starts it, and the two clocks that it reads."""

    def __init__(self, site: Site, now: float = AT) -> None:
        self.now, self.monotonic = now, 500.0
        settings = site.settings
        self._keeper = Housekeeper(
            site.connect(),
            site.store,
            SpaceLimits.of(settings),
            lifetime_s=settings.job_lifetime,
            audit_s=settings.audit_days * DAY,
        )

    def after(self, seconds: float, jump: float = 0.0) -> None:
        """Let time pass, and the wall clock jump as well; then do a round."""
        self.now += seconds + jump
        self.monotonic += seconds
        self._keeper.round(self.now, self.monotonic)


def make_aged_jobs(site: Site, *ages: float, **options: Any) -> list[Job]:
    """Make jobs that ended so many seconds before AT."""
    return [make_job(site.server, created_at=AT - age, **options) for age in ages]


def source(size: int, status: str = "completed") -> Clip:
    """A video of so many bytes, without outputs."""
    return Clip(outputs=[], size=size, status=status)


def delete(site: Site, job_id: str) -> Any:
    """Ask the API to delete a job; return the answer."""
    return site.client.delete(f"/api/jobs/{job_id}", headers=site.headers)


def check_events(site: Site) -> None:
    """No event is left of a job that has gone."""
    assert site.rows("SELECT id FROM event WHERE job_id NOT IN (SELECT id FROM job)") == []


def run_at_once(*actions: Callable[[], None]) -> None:
    """Run all in threads that begin together; fail with the first of their errors."""
    barrier, errors = threading.Barrier(len(actions)), []

    def run(action: Callable[[], None]) -> None:
        barrier.wait()
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
