"""Read a joined output as a player does, so that nothing incomplete is ever published.

All packets are listed and all sound is decoded. Frames were decoded when their shot was verified:
they must be copies of it, byte for byte. Where shots need another decoder configuration, ffmpeg
writes it into the first frame of each; then the frames behind each joint are decoded instead.
"""

import re
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.errors import Damaged
from jobserver.render.joins.command import FRAMES_AT_A_JOINT, check_command
from jobserver.render.joins.pictures import PictureTrack
from jobserver.render.measure import Loudness
from jobserver.render.settings import Settings
from jobserver.render.sound.files import RATE
from jobserver.render.sound.measure import PEAK, limits

_COMPLAINT = re.compile(r"^(?:\[[^]]*\] )*\[(?:warning|error|fatal|panic)\] .*$", re.M)
_INTEGRATED = re.compile(r"^ +I: +(-?[\d.]+|-inf) LUFS$", re.M)
_SIZE = re.compile(rb"#dimensions 0: (\d+)x(\d+)")
_SILENCE = -70.0  # LUFS that ffmpeg says of what has none


@dataclass(frozen=True)
class Checked:
    """What an output is. width, height: pixels. loudness: None without sound, and of silence."""

    width: int
    height: int
    loudness: Loudness | None


def check(
    path: Path,
    track: PictureTrack,
    settings: Settings,
    *,
    sound: bool,
    thumbnail: Path | None,
    cancel: threading.Event | None = None,
) -> Checked:
    """Return what an output is, once it is known to be whole.

    sound: whether it has any. thumbnail: where one is written. Raises Damaged with the reason as
    its detail, and the errors of ffmpeg.run.
    """
    report = _Report()
    completed = ffmpeg.run(
        check_command(path, track, sound=sound, thumbnail=thumbnail, settings=settings),
        limits(track.seconds, settings),
        ffmpeg.Access([path], [thumbnail] if thumbnail else [], settings.sandbox),
        report.add_line,
        cancel=cancel,
    )
    if completed.status:
        raise Damaged(detail=completed.detail)
    if complaint := _COMPLAINT.search(completed.log):
        raise Damaged(detail=complaint[0])
    if fault := report.fault(track, sound):
        raise Damaged(detail=fault)
    return Checked(*report.size, _loudness(completed.log) if sound else None)


def _loudness(log: str) -> Loudness | None:
    """Return what ebur128 printed at its end; None of silence."""
    integrated, peak = _INTEGRATED.search(log), PEAK.search(log)
    if not integrated or not peak:
        raise Damaged(detail="the sound was not measured")
    if float(integrated[1]) <= _SILENCE:
        return None
    return Loudness(float(integrated[1]), float(peak[1]))


@dataclass
class _Report:
    """What ffmpeg prints: when each frame is shown, by stream, and how many samples it decoded.

    checksums: of the packets of the picture.
    """

    size: tuple[int, int] = (0, 0)
    shown: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[int, int] = field(default_factory=dict)
    checksums: list[int] = field(default_factory=list)

    def add_line(self, line: bytes) -> bool:
        """Parse one line of framecrc; every line shows progress."""
        if found := _SIZE.match(line):
            self.size = int(found[1]), int(found[2])
        elif line and not line.startswith(b"#"):
            *numbers, checksum = line.split(b",", 6)[:6]
            stream, _, pts, duration, _ = map(int, numbers)
            if stream == 0:
                self.checksums.append(int(checksum, 16))
            self.shown[stream].append(pts)
            self.ends[stream] = max(self.ends.get(stream, 0), pts + duration)
        return True

    def fault(self, track: PictureTrack, sound: bool) -> str:
        """Say what is not as it should be; an empty string when all is.

        Times may be off by a tick, where frames are no whole number of them.
        """
        shown, joints = sorted(self.shown[0]), len(track.decoded_joints)
        if len(shown) != len(track.shown):
            return f"{len(shown)} frames, not {len(track.shown)}"
        if any(abs(a - b) > 1 for a, b in zip(shown, track.shown, strict=True)):
            return "frames are not shown when they should be"
        if abs(self.ends[0] - track.starts[-1]) > 1:
            return f"the picture ends at {self.ends[0]}, not {track.starts[-1]}"
        if track.alike and self.checksums != track.checksums:
            return "the frames are not those of the shots"
        for stream in range(1, joints + 1):
            if len(self.shown[stream]) < min(FRAMES_AT_A_JOINT, len(track.cuts[stream].shown)):
                return f"joint {stream} was not decoded"
        samples = self.ends.get(joints + 1, 0)
        if sound and abs(samples - sum(track.sounds)) > 1:
            return f"{samples / RATE:.4f} s of sound, not {sum(track.sounds) / RATE:.4f} s"
        return ""
