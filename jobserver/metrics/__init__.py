"""What is counted while it happens, for Prometheus: by each process, in a folder that all share.

Nothing is counted, and prometheus-client is not imported, before `start()`: METRICS_TOKEN is set.

recording       one function for each thing that happens
meters          the metrics by name, with their labels
process_files   the numbers of a process, also of those that have ended
exposition      the text that Prometheus reads
"""

from jobserver.metrics.exposition import CONTENT_TYPE, Reading, exposition
from jobserver.metrics.recording import (
    Direction,
    lease_lost,
    outputs_failed,
    render_failed,
    rendered,
    request_ended,
    start,
    state_changed,
    stop,
    transfer,
)

__all__ = [
    "CONTENT_TYPE",
    "Direction",
    "Reading",
    "exposition",
    "lease_lost",
    "outputs_failed",
    "render_failed",
    "rendered",
    "request_ended",
    "start",
    "state_changed",
    "stop",
    "transfer",
]
