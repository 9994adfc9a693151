"""What stops the start: a setting that cannot be used."""

from jobserver.errors import JobserverError


class SettingsError(JobserverError):
    """One sentence that names the setting and says what is wrong with it."""


def unusable(name: str, reason: object) -> SettingsError:
    """Return the error whose sentence names a setting and what is wrong with it."""
    lines = str(reason).splitlines() or [type(reason).__name__]
    return SettingsError(f"{name} cannot be used: {' '.join(lines)}")
