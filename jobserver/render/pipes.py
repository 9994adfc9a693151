"""Bounded buffers for ffmpeg's stdout and stderr, however much it writes."""

from collections.abc import Callable

# HEAD must hold ffmpeg's banner, which prints all metadata of a file, twice when probed. TAIL is
# the part where errors are searched for.
HEAD, TAIL = 4 * 1024**2, 16 * 1024


class Log:
    """Keeps the first HEAD and the last TAIL bytes of stderr."""

    def __init__(self) -> None:
        self.head, self.tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        room = HEAD - len(self.head)
        self.head += data[:room]
        self.tail = (self.tail + data[max(room, 0) :])[-TAIL:]

    def text(self) -> str:
        return bytes(self.head + self.tail).decode("utf-8", "replace")


class Lines:
    """Splits stdout into lines; keeps at most TAIL bytes of a line that has no end yet."""

    def __init__(self, on_line: Callable[[bytes], bool]) -> None:
        self.on_line, self.rest = on_line, b""

    def add(self, data: bytes) -> bool:
        """Pass complete lines to `on_line`; return whether any of them shows progress."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.rest = self.rest[-TAIL:]
        progressed = [self.on_line(line) for line in lines]  # a list: any() would skip lines
        return any(progressed)
