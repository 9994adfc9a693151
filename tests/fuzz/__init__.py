"""Properties that hold for any input: some cases in `make check`, more in `make fuzz`.

FUZZ=50 tries fifty times as many. What was found stays as an @example beside its property; those
of the brief, of multipart and of text are where their modules' tests are.
"""

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("FUZZ", "1"))


def cases(count: int) -> settings:
    """Return the settings of a property that is tried so many times in `make check`."""
    return settings(
        max_examples=count * FACTOR,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
