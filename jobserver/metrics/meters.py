"""The metrics by name. Their labels have few values each: a route's rule, never a path."""

from typing import Any

# Seconds: a status takes some ms, an upload or a download minutes.
LATENCIES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Meters:
    """The metrics of one process. Their numbers lie where prometheus-client was set to keep them.

    Source: https://prometheus.github.io/client_python/multiprocess/
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        registry = CollectorRegistry()

        def counter(name: str, about: str, labels: str = "") -> Any:
            return Counter(f"jobserver_{name}", about, labels.split(), registry=registry)

        self.requests = counter("requests", "Requests that were answered.", "method route status")
        self.latency = Histogram(
            "jobserver_request_seconds",
            "Seconds from the whole head of a request to the end of its answer.",
            ["route"],
            buckets=LATENCIES_S,
            registry=registry,
        )
        self.received = counter("received_bytes", "Bytes of request bodies.")
        self.sent = counter("sent_bytes", "Bytes of answers that jobserver sent itself.")
        self.transfers = Gauge(
            "jobserver_transfers_in_flight",
            "Uploads, and downloads of more than some KB, at this moment.",
            ["direction"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.jobs = counter("jobs", "Jobs that reached a state.", "state")
        self.files = counter("files", "Files that reached a state.", "state")
        self.outputs = counter("outputs", "Outputs that appeared, went or failed.", "state")
        self.frames = counter("rendered_frames", "Frames that were encoded.")
        self.render_seconds = counter("render_seconds", "Seconds that encoding them took.")
        self.failures = counter("render_failures", "Renders that ended with an error.", "reason")
        self.lease_losses = counter("lease_losses", "Files lost to another worker in mid-work.")
