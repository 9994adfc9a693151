"""Small grey frames of a video, from which its picture is judged: see measure/.

Written beside whatever else an ffmpeg process makes of the same frames; the frame shown at 0 s,
0.5 s, 1 s, ... after the first, as long as there is one.
"""

from pathlib import Path

RATE = 2  # frames a second
SIDE = 32  # pixels of a side, whatever the aspect ratio
FRAME_BYTES = SIDE * SIDE
# `up`: the frame that is shown at a time, not the one that is nearest to it. The whole range from 0
# to 255, whatever that of the video is.
_SMALL = f"scale={SIDE}:{SIDE}:flags=area:out_range=pc,format=gray"
GREY = f"setpts=PTS-STARTPTS,fps={RATE}:round=up,{_SMALL}"


def grey_output(pad: str, out: Path) -> list[str]:
    """Return the options that write the frames of a pad, made by GREY, as they are."""
    return [
        *("-map", f"[{pad}]", "-fps_mode", "passthrough", "-c:v", "rawvideo"),
        *("-f", "rawvideo", f"file:{out}"),
    ]
