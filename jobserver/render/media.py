"""What `probe` reports about a file: Media, its video and audio tracks, its packets."""

from dataclasses import dataclass, field

from jobserver.render.colours import UNTAGGED, Colours

# Codecs that MP4 can contain and common players play; all others are encoded to AAC.
COPYABLE = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}


@dataclass
class Packets:
    """Statistics of the packets of one stream, counted one packet at a time.

    timebase: seconds per tick. timescale: denominator of the timebase. count: all packets.
    shown: packets that no edit list hides. first, end: seconds, of the shown packets only.
    longest: duration of the longest shown frame, seconds. total: of all shown ones together,
    without the gaps between them. bytes: of all packets. largest: bytes of the largest packet.
    repeated: shown packets that begin with the one before, or a tick later. checksum: of the
    content of all packets.
    """

    timebase: float = 0.0
    timescale: int = 0
    count: int = 0
    shown: int = 0
    first: float = float("inf")
    end: float = float("-inf")
    longest: float = 0.0
    total: float = 0.0
    bytes: int = 0
    largest: int = 0
    repeated: int = 0
    checksum: int = field(default=0, compare=False)
    _last: int | None = field(default=None, repr=False, compare=False)

    @property
    def duration(self) -> float:
        """Seconds from the start of the first shown frame to the end of the last, or 0."""
        return max(0.0, self.end - self.first)

    def add(self, pts: int, duration: int, size: int, hidden: bool) -> None:
        """Count one packet. pts, duration: ticks of the timebase. hidden: by an edit list."""
        self.count += 1
        self.bytes += size
        self.largest = max(self.largest, size)
        if hidden:
            return
        seconds = duration * self.timebase
        self.shown += 1
        self.repeated += self._last is not None and 0 <= pts - self._last <= 1
        self._last = pts
        self.total += seconds
        self.first = min(self.first, pts * self.timebase)
        self.end = max(self.end, pts * self.timebase + seconds)
        self.longest = max(self.longest, seconds)


@dataclass(frozen=True, kw_only=True)
class Video:
    """The video track.

    stream: index of the stream in ffmpeg. track: track id in the MP4. width, height: pixels as
    coded. sar: sample aspect ratio. rotation: degrees clockwise that a player rotates by, 0 up
    to 360. interlaced: whether frames may consist of two fields. base_layer: whether it can be
    shown by players that do not know Dolby Vision.
    """

    stream: int
    track: int
    codec: str
    width: int
    height: int
    sar: tuple[int, int] = (1, 1)
    rotation: float = 0.0
    interlaced: bool = False
    colours: Colours = UNTAGGED
    base_layer: bool = True

    @property
    def is_sideways(self) -> bool:
        """Whether a player rotates it by 90 or 270 degrees, which swaps width and height."""
        return abs(self.rotation % 180 - 90) < 1

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height in pixels after rotation, before the aspect ratio is applied."""
        return (self.height, self.width) if self.is_sideways else (self.width, self.height)

    @property
    def upright_sar(self) -> tuple[int, int]:
        """The sample aspect ratio after rotation."""
        return self.sar[::-1] if self.is_sideways else self.sar


@dataclass(frozen=True)
class Audio:
    """One audio track.

    stream: index of the stream in ffmpeg. track: track id in the MP4. decodable: whether ffmpeg
    has a decoder, without which nobody knows whether the sound is whole.
    """

    stream: int
    track: int
    codec: str
    decodable: bool = True

    @property
    def copyable(self) -> bool:
        """Whether the track can be copied into an MP4 without encoding it again."""
        return self.codec in COPYABLE


@dataclass(frozen=True, kw_only=True)
class Media:
    """What a file contains.

    size: bytes. duration: seconds that a player shows. packets: of the video track. audio: the
    usable audio tracks. sounds: the packets of each of them, as shown. demuxer: of ffmpeg, the
    only one that may open the file. peak: dBFS of its first sound, if that was decoded.
    """

    size: int
    duration: float
    video: Video
    packets: Packets
    audio: tuple[Audio, ...] = ()
    sounds: tuple[Packets, ...] = ()
    demuxer: str = "mov"
    peak: float | None = field(default=None, compare=False)

    @property
    def frames(self) -> int:
        """Number of frames that a player shows.

        VP8 has packets that no frame is shown of (alternate references), beside one that is.
        """
        unseen = self.packets.repeated if self.video.codec == "vp8" else 0
        return self.packets.shown - unseen

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height as a player shows them, in square pixels."""
        width, height = self.video.upright
        across, down = self.video.upright_sar
        return (round(width * across / down), height)
