"""Encode the shots of one source in groups, one ffmpeg process a group, and verify each."""

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.brief.timeline import Appearance
from jobserver.render import ffmpeg
from jobserver.render.errors import Damaged, MediaError
from jobserver.render.framing import framing
from jobserver.render.measure import Decoded, Fingerprint, decode, fault
from jobserver.render.media import Media
from jobserver.render.memory import decoders_within, output_memory, source_memory
from jobserver.render.normalise import squared
from jobserver.render.progress import Progress
from jobserver.render.settings import MIB, Settings
from jobserver.render.shots.command import ShotPlan, shots_command
from jobserver.render.shots.filters import STILL_FPS, frames, seconds
from jobserver.render.shots.overlays import Overlays
from jobserver.render.stills import Still, write_still
from jobserver.render.text import Fonts
from jobserver.render.variations import failure
from jobserver.render.verify import missing_frames

WantedShot = tuple[Appearance, Path]

_STARTUP_S = 60.0
_MIN_SHOWN = 0.5  # of a frame that the picture takes: its background may be black, and is still


@dataclass(frozen=True)
class PictureFile:
    """One verified shot: a video track alone. seconds: from its first frame to its end.

    hashes: of its picture, see measure/hashes.py.
    """

    path: Path
    frames: int
    seconds: float
    hashes: bytes


def render_shots(
    source: Path,
    media: Media | Still,
    wanted: Sequence[WantedShot],
    settings: Settings,
    *,
    overlays: Mapping[str, Path],
    fonts: Fonts,
    on_progress: Callable[[float], None] = lambda share: None,
    cancel: threading.Event | None = None,
    picture: Fingerprint | None = None,
    on_picture: Callable[[Fingerprint], None] = lambda picture: None,
) -> Iterator[PictureFile]:
    """Encode the shots of a probed source; yield those of a group when they are verified.

    wanted: appearance and path of each shot; the path is created or overwritten. overlays: name
    of a logo -> the file as it was uploaded. Files that were yielded belong to the caller; all
    others are removed when this raises or is closed. on_progress: called with the share of all
    work that is done, 0..1, never decreasing. picture: of a source that is a video, if it is known;
    else on_picture is called with it, before the first shot is yielded.

    Raises MediaError (of text: TextError), EngineError or Cancelled (see errors.py).
    """
    if not wanted:
        return
    wanted = [(appearance, out.absolute()) for appearance, out in wanted]
    work = [_work(media, appearance) for appearance, _ in wanted]
    done = 0
    with tempfile.TemporaryDirectory(prefix="pictures-", dir=wanted[0][1].parent) as folder:
        maker = Overlays(Path(folder), overlays, fonts, settings, cancel=cancel)
        if isinstance(media, Still):
            media = write_still(source, source := Path(folder) / "still.png", settings, cancel)
        while done < len(wanted):
            size = shot_group_size(media, wanted[done:], settings)
            before, of_group = sum(work[:done]), sum(work[done : done + size])

            def report(share: float, before: float = before, of_group: float = of_group) -> None:
                on_progress((before + share * of_group) / sum(work))

            group = [ShotPlan(a, out, maker.of(a)) for a, out in wanted[done : done + size]]
            known = picture
            files, picture = _render_group(
                source.absolute(),
                media,
                group,
                settings,
                on_progress=report,
                cancel=cancel,
                picture=picture,
            )
            if known is None and picture is not None:
                on_picture(picture)
            report(1.0)
            yield from _yield_or_delete(files)
            done += size


def shot_group_size(media: Media | Still, wanted: Sequence[WantedShot], settings: Settings) -> int:
    """Return how many of the next shots one process may write within its memory, at least 1."""
    hdr = isinstance(media, Media) and media.video.colours.hdr
    free = settings.memory - source_memory(*media.displayed, hdr=hdr)
    preset, size = settings.encoding.preset, 0
    for appearance, _ in wanted[: settings.group]:
        free -= output_memory(appearance.width, appearance.height, preset)
        if free < 0:
            break
        size += 1
    return max(1, size)


def _work(media: Media | Still, appearance: Appearance) -> float:
    """Return how much a shot weighs in the progress of all: its pixels."""
    return seconds(media, appearance) * appearance.width * appearance.height


def _yield_or_delete(files: list[PictureFile]) -> Iterator[PictureFile]:
    """Yield the shots. If the generator is closed early, delete those not yet consumed."""
    try:
        while files:
            yield files.pop(0)
    finally:
        for file in files:
            file.path.unlink(missing_ok=True)


def _render_group(
    source: Path,
    media: Media | Still,
    group: Sequence[ShotPlan],
    settings: Settings,
    *,
    on_progress: Callable[[float], None],
    cancel: threading.Event | None,
    picture: Fingerprint | None,
) -> tuple[list[PictureFile], Fingerprint | None]:
    """Run one ffmpeg process; return its verified shots, or raise and remove all of them.

    Returned with the fingerprint of a video, which the same process decodes.
    """
    outs = [shot.out for shot in group]
    grey = None
    if picture is None and isinstance(media, Media):
        grey = outs[0].with_name(f"{outs[0].name}.source")
    writes = [*outs, *([grey] if grey else ())]
    pictures = [overlay.path for shot in group for overlay, _ in shot.overlays]
    longest = max(seconds(media, shot.appearance) for shot in group)
    try:
        completed = ffmpeg.run(
            shots_command(source, media, group, settings, grey=grey),
            _limits(media, group, settings),
            ffmpeg.Access([source, *pictures], writes, settings.sandbox),
            Progress(longest, on_progress).add_line,
            cancel=cancel,
        )
        if completed.status:
            raise failure(completed, settings)
        if grey:
            picture = Fingerprint.of_frames(grey.read_bytes())
        return _verified(media, group, settings, cancel, picture=picture), picture
    except BaseException:
        for out in outs:
            out.unlink(missing_ok=True)
        raise
    finally:
        if grey:
            grey.unlink(missing_ok=True)


def _limits(media: Media | Still, group: Sequence[ShotPlan], settings: Settings) -> ffmpeg.Limits:
    """Derive timeouts and file size limit of one ffmpeg process from the amount of work.

    A shot may take two bits per pixel (visually lossless H.264 takes about one). What it decodes
    counts as an output, and mapping the tones of HDR as another.
    """
    size, duration = 0, 0.0
    decoded = 0.0
    if isinstance(media, Media):
        size, duration = media.size, media.duration
        decoded = media.frames * media.video.width * media.video.height
        decoded *= 1 + media.video.colours.hdr
    pixels = [_pixels(media, shot.appearance) for shot in group]
    return ffmpeg.Limits(
        wall_s=_STARTUP_S + duration + (sum(pixels) + decoded) / settings.pixels_per_s,
        stall_s=settings.stall_s,
        memory=settings.memory,
        file_bytes=16 * MIB + round(max(pixels) / 4) + size,
    )


def _verified(
    media: Media | Still,
    group: Sequence[ShotPlan],
    settings: Settings,
    cancel: threading.Event | None,
    *,
    picture: Fingerprint | None,
) -> list[PictureFile]:
    """Return the shots, or raise Damaged when one is not as it was planned."""
    sizes = [shot.appearance.width * shot.appearance.height for shot in group]
    at_once = decoders_within(settings.memory, max(sizes))
    found: list[Decoded] = []
    for start in range(0, len(group), at_once):
        some = group[start : start + at_once]
        pixels = sum(_pixels(media, shot.appearance) for shot in some)
        paths = [shot.out for shot in some]
        try:
            found += decode(paths, settings, cancel, sounds=0, pixels=pixels)
        except MediaError as error:
            raise Damaged(detail=f"shot: {error} {error.detail}") from error
    for shot, made in zip(group, found, strict=True):
        if lacking := _lacking(media, shot, made, picture):
            raise Damaged(detail=lacking)
    return [
        PictureFile(
            path=shot.out,
            frames=made.frames,
            seconds=made.media.packets.duration,
            hashes=made.fingerprint.hashes,
        )
        for shot, made in zip(group, found, strict=True)
    ]


def _pixels(media: Media | Still, appearance: Appearance) -> float:
    """Return how many pixels all frames of a shot have."""
    rate = media.frames / media.packets.duration if isinstance(media, Media) else float(STILL_FPS)
    return _work(media, appearance) * float(appearance.fps or rate * appearance.speed)


def _lacking(
    media: Media | Still, shot: ShotPlan, found: Decoded, picture: Fingerprint | None
) -> str:
    """Describe how a shot differs from its plan; an empty string when it does not."""
    appearance, made = shot.appearance, found.media
    if found.frames != made.frames:
        return f"{found.frames} frames decoded of {made.frames}"
    if made.displayed != (appearance.width, appearance.height):
        return f"{made.displayed} pixels, not {appearance.width} x {appearance.height}"
    if wrong := _wrong_picture(media, shot, found, picture):
        return wrong
    planned = frames(media, appearance)
    if planned is not None:
        return "" if made.frames == planned else f"{made.frames} frames of {planned}"
    assert isinstance(media, Media)  # noqa: S101  a still always has a rate
    if (
        appearance.seconds is None
        or appearance.seconds >= media.packets.duration / appearance.speed
    ):
        return missing_frames(media, made, speed=appearance.speed)
    return ""


def _wrong_picture(
    media: Media | Still, shot: ShotPlan, found: Decoded, picture: Fingerprint | None
) -> str:
    """Say where a shot is black or frozen and its source is not.

    Only of one that shows the whole picture, and large, with nothing laid over it: what happens in
    its source may be in what was cut off.
    """
    if picture is None or isinstance(media, Still) or shot.overlays:
        return ""
    found_at, frame = framing(squared(media.video), shot.appearance), shot.appearance
    shown = found_at.box.width * found_at.box.height / (frame.width * frame.height)
    if found_at.crop is not None or shown < _MIN_SHOWN:
        return ""
    return fault(picture, found.fingerprint, shot.appearance.speed)
