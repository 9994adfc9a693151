"""The ffmpeg command lines that write and measure sounds. Pure functions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jobserver.render.settings import Settings
from jobserver.render.sound.files import HEADROOM, RATE, samples

# A gap in a source is filled with silence, and what overlaps is dropped, once picture and sound
# would be apart by so much.
_GAP_S = 0.02
_QUIET = ("-nostdin", "-hide_banner", "-nostats")
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.25")
STEREO = f"aformat=sample_fmts=fltp:sample_rates={RATE}:channel_layouts=stereo"
SILENCE = f"anullsrc=r={RATE}:cl=stereo,{STEREO}"
LOUDER = f"volume={HEADROOM:g}:precision=float"  # as loud as it was before it was stored
_SOFTER = f"volume={1 / HEADROOM:g}:precision=float,aformat=sample_fmts=s32"
MEASURED = b"lavfi.r128.M="  # what a measured block's line starts with


class Wanted(NamedTuple):
    """One sound of a source: its speed, how long it shall be, and where it is written."""

    speed: float
    seconds: float
    path: Path


def sounds_command(
    source: Sequence[str],
    stream: int,
    wanted: Sequence[Wanted],
    settings: Settings,
    *,
    start: float,
    stretch: str,
) -> list[str]:
    """Decode one audio track once and write it at each wanted speed.

    source: input options. stream: number of the track in ffmpeg. start: seconds of the source
    where the sounds begin; silence where the track begins later. stretch: one of look.STRETCHES.
    """
    pads = "".join(f"[s{n}]" for n in range(len(wanted)))
    resampled = f"aresample={RATE}:async=1:min_hard_comp={_GAP_S}:first_pts=0"
    decoded = f"[0:{stream}]asetpts=PTS-{start:.6f}/TB,{resampled},{STEREO}"
    chains = [
        f"[s{n}]{'' if sound.speed == 1 else stretch.format(sound.speed)}"
        f"{exact(samples(sound.seconds))},{_SOFTER}[a{n}]"
        for n, sound in enumerate(wanted)
    ]
    graph = ";".join([f"{decoded},asplit={len(wanted)}{pads}", *chains])
    return [
        *(settings.ffmpeg, *_QUIET, "-v", "warning", "-y", *_PROGRESS, "-copyts", *source),
        *("-filter_complex_threads", "1", "-filter_complex", graph),
        *(word for n, sound in enumerate(wanted) for word in _flac(f"[a{n}]", sound.path)),
    ]


def music_probe_command(source: Sequence[str], settings: Settings) -> list[str]:
    """List all packets of the first audio track of a music file; decode nothing."""
    return [
        *(settings.ffmpeg, *_QUIET, "-v", "warning", *_PROGRESS, *source),
        *("-map", "0:a:0", "-c", "copy", "-f", "null", "-"),
    ]


def music_command(
    source: Sequence[str], seconds: float, out: Path, settings: Settings
) -> list[str]:
    """Decode the first audio track of a music file, at most so many seconds of it.

    What cannot be decoded is left out; more than a twentieth of it is an error.
    """
    resampled = f"aresample={RATE}:async=1:first_pts=0"
    end = f"atrim=end_sample={samples(seconds)}"
    return [
        *(settings.ffmpeg, *_QUIET, "-v", "warning", "-y", *_PROGRESS),
        *("-err_detect", "crccheck+explode", *source),
        *("-filter_complex_threads", "1", "-filter_complex"),
        *(f"[0:a:0]{resampled},{STEREO},{end},{_SOFTER}[a]", *_flac("[a]", out)),
        *("-max_error_rate", "0.05"),
    ]


def measure_command(path: Path, settings: Settings) -> list[str]:
    """Decode a stored sound; print the loudness of each block, and the true peak at the end."""
    measure = "ebur128=peak=true:metadata=1:framelog=quiet"
    show = r"ametadata=print:key=lavfi.r128.M:file=pipe\\:1:direct=1"
    return [
        *(settings.ffmpeg, *_QUIET, "-v", "info", "-xerror", "-protocol_whitelist", "file"),
        *("-f", "flac", "-i", f"file:{path}"),
        *("-af", f"{STEREO},{LOUDER},{measure},{show}", "-f", "null", "-"),
    ]


def exact(count: int) -> str:
    """Return the filters that end a sound after so many samples, with silence if need be."""
    return f"apad=whole_len={count},atrim=end_sample={count}"


def _flac(pad: str, out: Path) -> list[str]:
    """Return the options of one output file; equal sound gives equal bytes."""
    return [
        *("-map", pad, "-c:a", "flac", "-compression_level", "0", "-bits_per_raw_sample", "24"),
        *("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"),
        *("-f", "flac", f"file:{out}"),
    ]
