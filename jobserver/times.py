"""Times as text."""

from datetime import UTC, datetime


def iso_utc(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 UTC in milliseconds: 2026-01-31T12:00:00.000Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
