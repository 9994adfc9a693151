"""The ffmpeg command line that reads outputs as a player does. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.render.command import source
from jobserver.render.grey import GREY, grey_output
from jobserver.render.settings import Settings

# Of every frame that was decoded there is a line; what is in it is not looked at.
_COUNTED = "scale=16:16:flags=neighbor,format=gray"
LOUDNESS = "ebur128"


@dataclass(frozen=True)
class Finished:
    """An output to be read. sounds: how many tracks it should have. grey: where its frames go."""

    path: Path
    sounds: int
    grey: Path


def decode_command(outputs: Sequence[Finished], settings: Settings) -> list[str]:
    """Decode outputs whole, list all their packets, and write small frames of them.

    Of the two inputs of a file the first ignores the edit list (packets as stored), the second
    applies it (packets as shown), and is decoded. The listed streams are all frames that were
    decoded, file by file, all sounds, file by file, then the packets as in `probe_command`. The
    log holds the loudness of each file's first sound, as of a filter `ebur128@N`.
    """
    command = [settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "info", "-y"]
    limit = ("-max_pixels", str(settings.max_pixels), "-threads", "1")
    for output in outputs:
        command += source(output.path, ("-ignore_editlist", "1", *limit))
        command += source(output.path, ("-err_detect:v", "explode", *limit))
    graph, frames, sounds = _graph(outputs)
    pads = [*((pad, "rawvideo") for pad in frames), *((pad, "pcm_s16le") for pad in sounds)]
    command += ["-filter_complex_threads", "1", "-filter_complex", ";".join(graph)]
    command += [word for pad, _ in pads for word in ("-map", f"[{pad}]")]
    for first in range(0, 2 * len(outputs), 2):
        command += ["-map", f"{first}:V:0", "-map", f"{first + 1}:V:0", "-map", f"{first + 1}:a?"]
    command += ["-c", "copy", "-fps_mode", "passthrough", "-copyts"]
    command += [word for n, (_, codec) in enumerate(pads) for word in (f"-c:{n}", codec)]
    command += ["-max_error_rate", "1", "-f", "framecrc", "-"]
    for n, output in enumerate(outputs):
        command += grey_output(f"g{n}", output.grey)
    return command


def _graph(outputs: Sequence[Finished]) -> tuple[list[str], list[str], list[str]]:
    """Return the chains, and the pads at which decoded frames and sounds come out."""
    chains: list[str] = []
    frames: list[str] = []
    sounds: list[str] = []
    for n, output in enumerate(outputs):
        stream = 2 * n + 1
        chains += [f"[{stream}:V:0]split[a{n}][b{n}]", f"[a{n}]{_COUNTED}[v{n}]"]
        chains.append(f"[b{n}]{GREY}[g{n}]")
        frames.append(f"v{n}")
        for track in range(output.sounds):
            measure = "anull" if track else f"{LOUDNESS}@{n}=peak=true:framelog=quiet"
            chains.append(f"[{stream}:a:{track}]{measure}[s{n}t{track}]")
            sounds.append(f"s{n}t{track}")
    return chains, frames, sounds
