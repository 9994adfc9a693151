"""The words for what a file is: a medium, its picture, its sound, its packets."""

from dataclasses import dataclass

# What the MP4 container holds and common players play; anything else becomes AAC.
COPYABLE = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}


@dataclass
class Packets:
    """The packets of one stream: how many, and the seconds they cover.

    shortest, longest: durations of a frame, seconds. `shown` leaves out what an edit list
    hides.
    """

    timebase: float = 0.0
    timescale: int = 0
    count: int = 0
    shown: int = 0
    first: float = float("inf")
    end: float = float("-inf")
    shortest: float = float("inf")
    longest: float = 0.0

    @property
    def duration(self) -> float:
        """Seconds from the first shown frame to the end of the last; 0 when there is none."""
        return max(0.0, self.end - self.first)

    def add(self, pts: int, duration: int, hidden: bool) -> None:
        """Count one packet; times in ticks of the timebase."""
        self.count += 1
        if hidden:
            return
        seconds = duration * self.timebase
        self.shown += 1
        self.first = min(self.first, pts * self.timebase)
        self.end = max(self.end, pts * self.timebase + seconds)
        if seconds > 0:
            self.shortest, self.longest = min(self.shortest, seconds), max(self.longest, seconds)


@dataclass(frozen=True)
class Video:
    """The picture track. width, height: pixels as coded; rotation: degrees, clockwise, as a
    player turns it (0, 90, 180, 270, or odd ones); sar: shape of a pixel; interlaced: whether
    its frames may be of two fields, half a frame time apart; rgb: whether its colours are not
    brightness and two differences."""

    stream: int
    track: int
    codec: str
    width: int
    height: int
    sar: tuple[int, int] = (1, 1)
    rotation: float = 0.0
    interlaced: bool = False
    rgb: bool = False

    @property
    def turned(self) -> bool:
        """Whether a player shows its rows as columns."""
        return abs(self.rotation % 180 - 90) < 1

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height once turned, in pixels, not yet stretched by `sar`."""
        return (self.height, self.width) if self.turned else (self.width, self.height)

    @property
    def upright_sar(self) -> tuple[int, int]:
        """The shape of a pixel once turned."""
        return self.sar[::-1] if self.turned else self.sar


@dataclass(frozen=True)
class Audio:
    """One sound track. decoded: whether this ffmpeg has a decoder for it."""

    stream: int
    track: int
    codec: str
    decoded: bool = True

    @property
    def copyable(self) -> bool:
        """Whether MP4 can hold it as it is."""
        return self.codec in COPYABLE

    @property
    def usable(self) -> bool:
        """Whether an output can have it, as it is or encoded anew."""
        return self.copyable or self.decoded


@dataclass(frozen=True)
class Media:
    """What a file is. duration: seconds, of the longest track; audio: the sound tracks that can
    be used; audio_duration: of the first of them; size: bytes."""

    size: int
    duration: float
    video: Video
    packets: Packets
    audio: tuple[Audio, ...] = ()
    audio_duration: float = 0.0

    @property
    def frames(self) -> int:
        """Frames a player shows."""
        return self.packets.shown

    @property
    def frame_rate(self) -> float:
        """Frames a second, on average."""
        return self.frames / self.packets.duration if self.packets.duration else 0.0

    @property
    def variable(self) -> bool:
        """Whether frames last differently long, by more than rounding."""
        return self.packets.longest - self.packets.shortest > 2 * self.packets.timebase

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height as a player shows them, in square pixels."""
        width, height = self.video.upright
        across, down = self.video.upright_sar
        return (round(width * across / down), height)

    @property
    def tracks(self) -> int:
        """Picture and sound tracks."""
        return 1 + len(self.audio)
