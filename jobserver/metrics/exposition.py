"""The text that Prometheus reads: what all processes of this host counted, and what is read now.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobserver.metrics import process_files

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Reading(NamedTuple):
    """A gauge that is read when it is asked for. values: by the label's value; "" without one."""

    name: str
    about: str
    values: Mapping[str, float]
    label: str = ""


def exposition(folder: Path, readings: Iterable[Reading]) -> bytes:
    """Return all metrics as text. folder: where processes count. Raises OSError."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    registry.register(_Readings(readings))
    with process_files.whole(folder):
        process_files.add_up_ended(folder)
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class _Readings:
    """What prometheus-client calls a collector."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def describe(self) -> Iterable[Any]:
        """Say that nothing is read to register it."""
        return ()

    def collect(self) -> Iterator[Any]:
        """Yield each gauge."""
        from prometheus_client.core import GaugeMetricFamily

        for reading in self._readings:
            labels = [reading.label] if reading.label else []
            family = GaugeMetricFamily(f"jobserver_{reading.name}", reading.about, labels=labels)
            for value, number in reading.values.items():
                family.add_metric([value] if labels else [], number)
            yield family
