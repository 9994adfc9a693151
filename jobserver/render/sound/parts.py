"""Write the sound of a part, one file a speed, and measure each."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from jobserver.brief.timeline import SoundShape
from jobserver.render import command, ffmpeg
from jobserver.render.errors import DamagedSound
from jobserver.render.look import STRETCHES
from jobserver.render.media import Media
from jobserver.render.settings import Settings
from jobserver.render.sound.command import Wanted, sounds_command
from jobserver.render.sound.files import SoundFile, samples
from jobserver.render.sound.measure import limits, measure

_NO_FILTER = "No such filter"


def render_sounds(
    source: Path,
    media: Media,
    wanted: Sequence[tuple[SoundShape, Path]],
    settings: Settings,
    *,
    on_progress: Callable[[float], None] = lambda share: None,
    cancel: threading.Event | None = None,
) -> list[SoundFile]:
    """Write the first audio track of a probed video in each wanted shape.

    A sound begins where the first frame is shown, and is exactly as long as its shape says, or
    as the picture at its speed. on_progress: called with the share of the files that are done.
    All files are removed when this raises. Raises DamagedSound and the errors of ffmpeg.run.
    """
    source = source.absolute()
    sounds = [
        Wanted(shape.speed, shape.seconds or media.packets.duration / shape.speed, out.absolute())
        for shape, out in wanted
    ]
    try:
        _write(source, media, sounds, settings, cancel=cancel)
        found = []
        for sound in sounds:
            found.append(_measured(sound, settings, cancel))
            on_progress(len(found) / len(sounds))
        return found
    except BaseException:
        for sound in sounds:
            sound.path.unlink(missing_ok=True)
        raise


def _write(
    source: Path,
    media: Media,
    sounds: Sequence[Wanted],
    settings: Settings,
    *,
    cancel: threading.Event | None,
) -> None:
    """Decode the track once, and write all sounds."""
    seconds = media.duration + sum(sound.seconds for sound in sounds)
    access = ffmpeg.Access([source], [sound.path for sound in sounds], settings.sandbox)
    for stretch in STRETCHES:
        arguments = sounds_command(
            command.source(source, demuxer=media.demuxer),
            media.audio[0].stream,
            sounds,
            settings,
            start=media.packets.first,
            stretch=stretch,
        )
        completed = ffmpeg.run(
            arguments, limits(seconds, settings), access, lambda _line: True, cancel=cancel
        )
        if not (completed.status and _NO_FILTER in completed.log):
            break
    if completed.status:
        raise DamagedSound(detail=completed.detail)


def _measured(sound: Wanted, settings: Settings, cancel: threading.Event | None) -> SoundFile:
    """Return what was written, if it is as long as it should be."""
    found = measure(sound.path, settings, cancel)
    if samples(found.seconds) != samples(sound.seconds):
        raise DamagedSound(detail=f"{found.seconds:.4f} s, not {sound.seconds:.4f} s")
    return found
