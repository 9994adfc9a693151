"""Render variations in groups, one ffmpeg process per group, and verify each output."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.command import WEBP, Wanted, check_command, render_command
from jobserver.render.errors import Damaged, EngineError, RenderError, Unsupported
from jobserver.render.look import STRETCHES, speed_of
from jobserver.render.measure import Fingerprint, Measured
from jobserver.render.media import Media
from jobserver.render.memory import output_memory, source_memory
from jobserver.render.progress import Progress
from jobserver.render.recipe import Parameters
from jobserver.render.settings import MIB, Settings
from jobserver.render.verify import verify

_STARTUP_S = 60.0
_LOG_PREFIX = re.compile(r"^(\[[^]]*\] )+")  # as in `[libx264 @ 0x55c0930dcb80] message`
_ENCODER_FAILED = "while opening encoder"  # because of a setting, or of the picture size
_NO_WEBP = f"Unknown encoder '{WEBP}'"
_NO_FILTER = "No such filter"  # an operator's own ffmpeg may lack rubberband
_BAD_SETTING = re.compile(f"Unknown encoder|{_ENCODER_FAILED}|No such filter|Unrecognized option")


@dataclass(frozen=True)
class Output:
    """One verified variation, at the path given in `wanted`. thumbnail: a WebP, if there is one."""

    parameters: Parameters | None
    path: Path
    media: Media
    measured: Measured
    thumbnail: Path | None = None

    def remove(self) -> None:
        """Delete its files."""
        for path in filter(None, (self.path, self.thumbnail)):
            path.unlink(missing_ok=True)


def check(settings: Settings) -> None:
    """Encode one frame with these settings; raise EngineError when ffmpeg cannot."""
    limits = ffmpeg.Limits(
        wall_s=_STARTUP_S, stall_s=settings.stall_s, memory=settings.memory, file_bytes=0
    )
    access = ffmpeg.Access([], sandbox=settings.sandbox)
    completed = ffmpeg.run(check_command(settings), limits, access, lambda _line: True)
    if completed.status:
        reasons = completed.log.strip().splitlines() or [f"exit status {completed.status}"]
        reason = _LOG_PREFIX.sub("", reasons[0])
        raise EngineError(f"ffmpeg cannot encode: {reason}", completed.detail)


def render(
    path: Path,
    media: Media,
    wanted: Sequence[Wanted],
    settings: Settings,
    *,
    on_progress: Callable[[float], None] = lambda share: None,
    cancel: threading.Event | None = None,
    thumbnails: bool = False,
    source: Fingerprint | None = None,
    on_source: Callable[[Fingerprint], None] = lambda source: None,
) -> Iterator[Output]:
    """Render the wanted variations of a probed file; yield those of a group when it is verified.

    wanted: parameters and output path of each variation; the path is created or overwritten.
    thumbnails: write one of each variation beside it, with the suffix `.webp`. source: of the
    file, if it is known; else on_source is called with it, before the first output is yielded.
    Outputs that were yielded belong to the caller; all others are removed when this raises or
    is closed. on_progress: called with the share of all work that is done, 0..1, never
    decreasing. Raises MediaError, EngineError or Cancelled (see errors.py).
    """
    size = group_size(media, settings)
    wanted = [(parameters, out.absolute()) for parameters, out in wanted]
    for start in range(0, len(wanted), size):
        group = wanted[start : start + size]

        def report(share: float, start: int = start, group: Sequence[Wanted] = group) -> None:
            on_progress((start + share * len(group)) / len(wanted))

        known = source
        outputs, source = _render_group(
            path.absolute(),
            media,
            group,
            settings=settings,
            on_progress=report,
            cancel=cancel,
            thumbnails=thumbnails,
            source=source,
        )
        if known is None:
            on_source(source)
        report(1.0)
        yield from _yield_or_delete(outputs)


def _yield_or_delete(outputs: list[Output]) -> Iterator[Output]:
    """Yield the outputs. If the generator is closed early, delete those not yet consumed."""
    try:
        while outputs:
            yield outputs.pop(0)
    finally:
        for output in outputs:
            output.remove()


def group_size(media: Media, settings: Settings) -> int:
    """Return how many outputs one process may write within `settings.memory`, at least 1."""
    size = (media.video.width, media.video.height)
    free = settings.memory - source_memory(*size, hdr=media.video.colours.hdr)
    each = output_memory(*size, settings.encoding.preset)
    return max(1, min(settings.group, free // each))


def _render_group(
    path: Path,
    media: Media,
    group: Sequence[Wanted],
    *,
    settings: Settings,
    on_progress: Callable[[float], None],
    cancel: threading.Event | None,
    thumbnails: bool,
    source: Fingerprint | None,
) -> tuple[list[Output], Fingerprint]:
    """Run one ffmpeg process; return its verified outputs, or raise and remove all of them.

    Returned with the fingerprint of the source, which the same process decodes.
    """
    outs = [out for _, out in group]
    speeds = [speed_of(parameters.values) if parameters else 1.0 for parameters, _ in group]
    pictures = [out.with_suffix(".webp") for out in outs] if thumbnails else []
    grey = None if source else outs[0].with_name(f"{outs[0].name}.source")

    def run(pictures: Sequence[Path], stretch: str = STRETCHES[0]) -> ffmpeg.Completed:
        return ffmpeg.run(
            render_command(
                *(path, media, group, settings), thumbnails=pictures, grey=grey, stretch=stretch
            ),
            limits_for(media, len(group), settings),
            ffmpeg.Access([path], [*outs, *pictures, *([grey] if grey else ())], settings.sandbox),
            Progress(media.duration, on_progress).add_line,
            cancel=cancel,
        )

    try:
        completed = run(shown := pictures)
        if completed.status and _NO_WEBP in completed.log:  # an operator's own ffmpeg
            completed = run(shown := [])
        if completed.status and _NO_FILTER in completed.log and any(speed != 1 for speed in speeds):
            completed = run(shown, STRETCHES[1])
        if completed.status:
            raise failure(completed, settings)
        if grey:
            source = Fingerprint.of_frames(grey.read_bytes())
        assert source is not None  # noqa: S101  known, or just read
        verified = verify(outs, media, settings, cancel, picture=source, speeds=speeds)
        made = [
            Output(p, out, found.media, found.measured, thumbnail=_written(picture))
            for (p, out), found, picture in zip_longest(group, verified, pictures)
        ]
        return made, source
    except BaseException:
        for out in (*outs, *pictures):
            out.unlink(missing_ok=True)
        raise
    finally:
        if grey:
            grey.unlink(missing_ok=True)


def _written(picture: Path | None) -> Path | None:
    """Return the path of a picture; None, and no file, when nothing was written to it."""
    if picture is None or picture.stat().st_size:
        return picture
    picture.unlink()
    return None


def failure(completed: ffmpeg.Completed, settings: Settings) -> RenderError:
    """Return the error of a failed render: EngineError for a wrong setting, else MediaError."""
    if not (found := _BAD_SETTING.search(completed.log)):
        return Damaged(detail=completed.detail)
    if found[0] == _ENCODER_FAILED and _can_encode(settings):
        return Unsupported(detail=completed.detail)
    return EngineError("The encoder could not be started.", completed.detail)


def _can_encode(settings: Settings) -> bool:
    try:
        check(settings)
    except RenderError:
        return False
    return True


def limits_for(media: Media, outputs: int, settings: Settings) -> ffmpeg.Limits:
    """Derive timeouts and file size limit of one ffmpeg process from the amount of work.

    Mapping the tones of HDR is as much work as one output.
    An output may take two bits per pixel (visually lossless H.264 takes about one), as many
    bytes as the source for its audio, and 16 MiB for the container.
    """
    pixels = media.video.width * media.video.height * media.frames
    passes = outputs + media.video.colours.hdr
    return ffmpeg.Limits(
        wall_s=_STARTUP_S + media.duration + passes * pixels / settings.pixels_per_s,
        stall_s=settings.stall_s,
        memory=settings.memory,
        file_bytes=16 * MIB + pixels // 4 + media.size,
    )
