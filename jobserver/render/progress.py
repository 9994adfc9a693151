"""How far a running ffmpeg is, from what it prints."""

from collections.abc import Callable


class Progress:
    """Parses the output of `-progress`: lines of key=value, a block every `-stats_period`.

    duration: seconds of the source. seconds: how many have been written. Source: https://ffmpeg.org/ffmpeg.html#Main-options
    """

    def __init__(self, duration: float, on_progress: Callable[[float], None]) -> None:
        self.duration, self.on_progress = duration, on_progress
        self.last: dict[bytes, bytes] = {}
        self.share = self.seconds = 0.0

    def add_line(self, line: bytes) -> bool:
        """Parse one line; return whether a value that grows with the work has changed."""
        key, _, value = line.partition(b"=")
        if key not in (b"frame", b"out_time_us", b"total_size", b"progress"):
            return False
        changed = self.last.get(key) != value
        self.last[key] = value
        if key == b"out_time_us" and changed and value.lstrip(b"-").isdigit():
            self._report(seconds=int(value) / 1e6)
        return changed

    def _report(self, seconds: float) -> None:
        self.seconds = seconds
        share = seconds / self.duration if self.duration else 0.0
        self.share = min(1.0, max(self.share, share))
        self.on_progress(self.share)
