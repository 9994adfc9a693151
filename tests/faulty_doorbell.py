"""Celery's app with shortened times: `celery -A tests.faulty_doorbell worker -B`.

Those of faulty_worker.py, and RING_S.
"""

import os

from jobserver.worker import doorbell
from tests.faulty_worker import shorten_times

shorten_times()
doorbell.RING_S = float(os.environ.get("RING_S", doorbell.RING_S))
app = doorbell.app
