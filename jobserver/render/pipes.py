"""What comes out of ffmpeg's two pipes, kept within bounds whatever it writes."""

from collections.abc import Callable

# The banner holds all of a file's metadata, twice when probed; TAIL is what errors quote.
HEAD, TAIL = 4 * 1024**2, 16 * 1024


class Log:
    """Keeps the beginning and the end of stderr, however much there is in between."""

    def __init__(self) -> None:
        self.head, self.tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        room = HEAD - len(self.head)
        self.head += data[:room]
        self.tail = (self.tail + data[max(room, 0) :])[-TAIL:]

    def text(self) -> str:
        return bytes(self.head + self.tail).decode("utf-8", "replace")


class Lines:
    """Cuts stdout into lines; what never ends in a newline is not kept for ever."""

    def __init__(self, on_line: Callable[[bytes], bool]) -> None:
        self.on_line, self.rest = on_line, b""

    def add(self, data: bytes) -> bool:
        """Hand on whole lines; return whether any of them shows progress."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.rest = self.rest[-TAIL:]
        moved = [self.on_line(line) for line in lines]  # all of them, so no any() over it yet
        return any(moved)
