"""Pictures of clients: PNG, JPEG and WebP, as endings and as logos.

Pillow decodes them in a process of its own, limited like ffmpeg (decode_picture.py). It writes a
plain PNG; nothing else that a client sent is decoded outside.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL

from jobserver.render import errors, ffmpeg
from jobserver.render.errors import Damaged, EngineError, MediaError, NotAPicture, TooLarge
from jobserver.render.settings import MIB, Settings

MAX_PIXELS = 64_000_000  # of a picture; phones make 50
MAX_SIDE = 4096  # larger ones are scaled down: no frame shows more
_SCRIPT = str(Path(__file__).with_name("decode_picture.py"))
_SITE = Path(PIL.__file__).parent.parent
_WALL_S = 30.0
_MEMORY = 1024 * MIB
_REASONS: dict[str, type[MediaError]] = {
    "NotAPicture": NotAPicture,
    "TooLarge": TooLarge,
    "Unsupported": errors.Unsupported,
    "Damaged": Damaged,
}


@dataclass(frozen=True, kw_only=True)
class Still:
    """A picture that can be used. width, height: pixels, upright. alpha: whether it has any."""

    width: int
    height: int
    alpha: bool = False

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height, upright."""
        return (self.width, self.height)


def is_picture(path: Path) -> bool:
    """Return whether a file begins as a PNG, a JPEG or a WebP does. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(12)
    is_webp = start.startswith(b"RIFF") and start.endswith(b"WEBP")
    return is_webp or start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def probe_still(path: Path, settings: Settings, cancel: threading.Event | None = None) -> Still:
    """Decode a picture of a client and return what it is.

    Raises NotAPicture, TooLarge, Unsupported (an animation) or Damaged, each with a sentence, and
    the errors of ffmpeg.run.
    """
    return _decode(path, None, {}, settings, cancel=cancel)


def write_still(
    path: Path, out: Path, settings: Settings, cancel: threading.Event | None = None
) -> Still:
    """Write a picture as a PNG of at most MAX_SIDE a side, and return what that is.

    Raises what probe_still raises.
    """
    return _decode(path, out, {"fit": [MAX_SIDE, MAX_SIDE]}, settings, cancel=cancel)


def write_logo(
    path: Path,
    out: Path,
    *,
    width: int,
    within: tuple[int, int],
    opacity: float,
    settings: Settings,
    cancel: threading.Event | None = None,
) -> tuple[int, int]:
    """Write a picture as a PNG of this width in pixels; return its width and height.

    within: width and height that it is made smaller for. Raises what probe_still raises.
    """
    spec = {"fit": [MAX_SIDE, MAX_SIDE], "width": width, "within": within, "opacity": opacity}
    written = _decode(path, out, spec, settings, cancel=cancel)
    return (written.width, written.height)


def _decode(
    path: Path,
    out: Path | None,
    spec: dict[str, Any],
    settings: Settings,
    *,
    cancel: threading.Event | None,
) -> Still:
    """Run decode_picture.py; return what it found, or raise what it says."""
    path, outs = path.absolute(), [out.absolute()] if out else []
    spec |= {"site": str(_SITE), "source": str(path), "max_pixels": MAX_PIXELS}
    spec |= {"out": str(outs[0])} if outs else {}
    lines: list[bytes] = []

    def keep(line: bytes) -> bool:
        lines.append(line)
        return True

    python = os.path.realpath(sys.executable)  # a venv's would look for its configuration
    completed = ffmpeg.run(
        [python, "-I", "-S", "-B", _SCRIPT, json.dumps(spec)],
        ffmpeg.Limits(
            wall_s=_WALL_S, stall_s=_WALL_S, memory=_MEMORY, file_bytes=4 * MAX_SIDE**2 + MIB
        ),
        ffmpeg.Access([path, *_programs()], outs, settings.sandbox),
        keep,
        cancel=cancel,
    )
    return _found(lines, completed)


def _programs() -> Sequence[Path]:
    """Return what Python and Pillow are read from, where that is not under /usr."""
    return [Path(_SCRIPT), Path(sys.base_prefix), _SITE]


def _found(lines: Sequence[bytes], completed: ffmpeg.Completed) -> Still:
    """Return what decode_picture.py printed; raise what it says, or why it said nothing."""
    if completed.status == 0 and lines:
        found = json.loads(lines[-1])
        if reason := found.get("error"):
            raise _REASONS[reason](found["sentence"], completed.detail)
        return Still(**found)
    if "ModuleNotFoundError" in completed.log or "ImportError" in completed.log:
        raise EngineError("Pictures cannot be decoded on this machine.", completed.detail)
    raise Damaged("This picture is damaged and could not be read.", completed.detail)
