"""One file in, N files out: groups of outputs, one ffmpeg a group, each output verified."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.command import Wanted, check_command, render_command
from jobserver.render.errors import Damaged, EngineError, MediaError, RenderError, Unsupported
from jobserver.render.media import Media
from jobserver.render.probe import LOST_SHARE, probe
from jobserver.render.recipe import Parameters
from jobserver.render.settings import MIB, Settings

# Peak memory of one process, measured (NOTES): a fixed part, the frames of decoder and
# queues, and those of each encoder, which looks ahead the further the slower its preset.
_BASE_MEMORY = 64 * MIB
_SOURCE_FRAMES = 40
_OUTPUT_FRAMES = {"ultrafast": 20, "superfast": 48, "veryfast": 66}
_OUTPUT_FRAMES |= dict.fromkeys(("faster", "fast", "medium"), 145)
_OUTPUT_FRAMES_ELSE = 250
_START_S = 60.0
_SPEAKER = re.compile(r"^(\[[^]]*\] )+")  # as in `[libx264 @ 0x55c0930dcb80] it cannot`
_ENCODER = "while opening encoder"  # of settings or of a source; a check tells which
_SETTING = re.compile(f"Unknown encoder|{_ENCODER}|No such filter|Unrecognized option")


@dataclass(frozen=True)
class Output:
    """One variation, whole and verified, under the temporary name that was asked for."""

    parameters: Parameters | None
    path: Path
    media: Media


def check(settings: Settings) -> None:
    """Return if this ffmpeg can encode with these settings, else raise EngineError."""
    ending = ffmpeg.run(
        check_command(settings),
        ffmpeg.Limits(_START_S, settings.stall_s, settings.memory, file_bytes=0),
        ffmpeg.Access([], sandbox=settings.sandbox),
        lambda _line: True,
    )
    if ending.status:
        reasons = ending.log.strip().splitlines() or [f"exit status {ending.status}"]
        reason = _SPEAKER.sub("", reasons[0])
        raise EngineError(f"ffmpeg cannot encode: {reason}", ending.last_words)


def render(
    path: Path,
    media: Media,
    wanted: Sequence[Wanted],
    settings: Settings,
    on_progress: Callable[[float], None] = lambda share: None,
    cancel: threading.Event | None = None,
) -> Iterator[Output]:
    """Render the wanted variations of a probed file, yielding each group once it is whole.

    wanted: parameters and a path to write to, which is created or overwritten. What was
    yielded is the caller's; no other path is left when this raises or is closed.
    on_progress gets 0..1 of all that is wanted, never less than before.
    Raises MediaError, EngineError, Cancelled (see errors.py).
    """
    size = group_size(media, settings)
    wanted = [(parameters, out.absolute()) for parameters, out in wanted]
    for start in range(0, len(wanted), size):
        group = wanted[start : start + size]

        def report(share: float, start: int = start, group: Sequence[Wanted] = group) -> None:
            on_progress((start + share * len(group)) / len(wanted))

        outputs = _render_group(path.absolute(), media, group, settings, report, cancel)
        report(1.0)
        yield from _handed_over(outputs)


def _handed_over(outputs: list[Output]) -> Iterator[Output]:
    """Yield outputs; those nobody came for are removed when the caller turns away."""
    try:
        while outputs:
            yield outputs.pop(0)
    finally:
        for output in outputs:
            output.path.unlink(missing_ok=True)


def group_size(media: Media, settings: Settings) -> int:
    """Return how many outputs one process may write, so that its memory stays in bounds."""
    frame = media.video.width * media.video.height * 3 // 2
    free = settings.memory - _BASE_MEMORY - frame * _SOURCE_FRAMES
    each = frame * _OUTPUT_FRAMES.get(settings.encoding.preset, _OUTPUT_FRAMES_ELSE)
    return max(1, min(settings.group, free // each))


def _render_group(
    path: Path,
    media: Media,
    group: Sequence[Wanted],
    settings: Settings,
    report: Callable[[float], None],
    cancel: threading.Event | None,
) -> list[Output]:
    """Run one ffmpeg; return its outputs, all whole, or remove them all."""
    outs = [out for _, out in group]
    try:
        ending = ffmpeg.run(
            render_command(path, media, group, settings),
            limits_for(media, len(group), settings),
            ffmpeg.Access([path], outs, settings.sandbox),
            _Progress(media, report).add_line,
            cancel,
        )
        if ending.status:
            raise _blame(ending, settings)
        return [Output(p, out, _verified(out, media, settings, cancel)) for p, out in group]
    except BaseException:
        for out in outs:
            out.unlink(missing_ok=True)
        raise


def _blame(ending: ffmpeg.Ending, settings: Settings) -> RenderError:
    """Tell a wrong setting, which no file can help, from a file that cannot be rendered."""
    if not (setting := _SETTING.search(ending.log)):
        return Damaged(detail=ending.last_words)
    if setting[0] == _ENCODER and _can_encode(settings):
        return Unsupported(detail=ending.last_words)
    return EngineError("The encoder could not be started.", ending.last_words)


def _can_encode(settings: Settings) -> bool:
    try:
        check(settings)
    except RenderError:
        return False
    return True


def limits_for(media: Media, outputs: int, settings: Settings) -> ffmpeg.Limits:
    """Derive the clocks and the file size from what there is to do.

    An output may take two bits a pixel (visually lossless H.264 takes about one), the sound
    of the source, and some room for the container.
    """
    pixels = media.video.width * media.video.height * media.frames
    return ffmpeg.Limits(
        wall_s=_START_S + media.duration + outputs * pixels / settings.pixels_per_s,
        stall_s=settings.stall_s,
        memory=settings.memory,
        file_bytes=16 * MIB + pixels // 4 + media.size,
    )


def _verified(
    out: Path, source: Media, settings: Settings, cancel: threading.Event | None
) -> Media:
    """Return what came out; Damaged when it is less than the source promised."""
    try:
        media = probe(out, settings, cancel)
    except MediaError as error:
        raise Damaged(detail=f"output: {error} {error.detail}") from error
    if problem := shortfall(source, media):
        raise Damaged(detail=problem)
    return media


def shortfall(source: Media, out: Media) -> str:
    """Say what an output lacks of its source; empty when nothing.

    Footage that lost a frame here and there to recoverable errors passes; a shortened
    video, one that ends or begins two frames off, never does.
    """
    lost = source.frames - out.frames
    average = source.packets.duration / source.frames
    slack = 2 * average if lost > 0 else max(source.packets.longest, 2 * average)
    if out.packets.duration < source.packets.duration - slack:
        return f"{out.packets.duration:.3f} s of {source.packets.duration:.3f} s"
    if lost > _bearable(source):
        return f"{out.frames} frames of {source.frames}"
    if len(out.audio) != len(source.audio):
        return f"{len(out.audio)} sound tracks of {len(source.audio)}"
    if out.audio_duration < source.audio_duration - 0.1:
        return f"{out.audio_duration:.3f} s of sound, not {source.audio_duration:.3f} s"
    return ""


def _bearable(source: Media) -> float:
    """Return how many frames may be lost: in H.264 coded in fields two packets make one."""
    paired = source.video.interlaced and source.video.codec == "h264"
    return source.frames / 2 + 1 if paired else max(2, source.frames * LOST_SHARE)


class _Progress:
    """Reads `-progress`: key=value lines, a block every quarter of a second."""

    def __init__(self, media: Media, report: Callable[[float], None]) -> None:
        self.duration, self.report = media.duration, report
        self.last: dict[bytes, bytes] = {}
        self.share = 0.0

    def add_line(self, line: bytes) -> bool:
        """Take one line; it is progress when a number that grows with the work has grown."""
        key, _, value = line.partition(b"=")
        if key not in (b"frame", b"out_time_us", b"total_size", b"progress"):
            return False
        moved = self.last.get(key) != value
        self.last[key] = value
        if key == b"out_time_us" and moved and value.lstrip(b"-").isdigit():
            share = int(value) / 1e6 / self.duration if self.duration else 0.0
            self.share = min(1.0, max(self.share, share))
            self.report(self.share)
        return moved
