"""Parse the stream lines that ffmpeg prints to stderr about its input.

pip's ffmpeg comes without ffprobe, so size, codec and rotation are read from these lines. Only
one input of a file in `probe_command` counts: the one with its edit list applied.

Source: libavformat/dump.c, av_dump_format.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobserver.render.colours import PRIMARIES, Colours
from jobserver.render.errors import Damaged, Unsupported
from jobserver.render.media import Audio, Video

_STREAM = re.compile(
    r"^  Stream #(\d+):(\d+)(?:\[0x([0-9a-f]+)\])?(?:\(\S*\))?: (Video|Audio): (\w+)(.*)$"
)
_SIZE = re.compile(r", (\d+)x(\d+)(?: \[SAR (\d+):(\d+) DAR \d+:\d+\])?(?:,|$)")
_CONTAINER_SAR = re.compile(r", SAR (\d+):(\d+) DAR ")  # printed when it differs from the codec's
_SAMPLE_FORMAT = re.compile(r", (?:u8|s16|s32|s64|flt|dbl)p?\b")  # printed if there is a decoder
_RGB = re.compile(r", (?:pal8|gbra?p|(?:[a0]|x2)?(?:rgb|bgr))")
_FIELD_ORDER = re.compile(r"\b(?:top|bottom) (?:coded )?first\b")
# As in `yuv420p10le(tv, bt2020nc/bt2020/arib-std-b67, top coded first (swapped)), 1920x1080`
_COLOURS = re.compile(r", \w+\(([^()]+)[^,]*\), \d+x\d+")
_DOLBY = re.compile(r"^      DOVI .* profile: (\d+), .* bl flag: (\d), compatibility id: (\d+)")
_ROTATION = re.compile(r"^      Display Matrix: rotation of (-?[\d.]+) degrees$", re.I)


@dataclass
class _Stream:
    """One stream line. details: the text after the codec. rotation: degrees clockwise, or None.

    base_layer: False for Dolby Vision that has none which others can show.
    """

    number: int
    track: int
    kind: str
    codec: str
    details: str
    rotation: float | None = None
    base_layer: bool = True


def parse_banner(log: str, source: int) -> tuple[Video | None, tuple[Audio, ...]]:
    """Return the first video track of an input that is not cover art, or None; all audio tracks.

    source: number of the input. Raises Unsupported when ffmpeg does not know the video codec,
    Damaged when it could not find the frame size.
    """
    streams = _streams(log, source)
    pictures = (s for s in streams if s.kind == "Video" and "(attached pic)" not in s.details)
    video = next(map(_video, pictures), None)
    return video, tuple(_audio(stream) for stream in streams if stream.kind == "Audio")


def _streams(log: str, source: int) -> list[_Stream]:
    """Return an input's streams sorted by number; ffmpeg prints those of stream groups first."""
    streams: dict[int, _Stream] = {}
    stream: _Stream | None = None
    for line in _without_groups(log, source):
        if (found := _STREAM.match(line)) and int(found[1]) == source:
            stream = _stream(found)
            streams.setdefault(stream.number, stream)
        elif line.startswith(("  Stream #", "Input #")):
            stream = None
        elif stream and stream.rotation is None and (found := _ROTATION.match(line)):
            stream.rotation = -float(found[1]) % 360
        elif stream and (found := _DOLBY.match(line)):
            stream.base_layer = _has_base_layer(*map(int, found.groups()))
        elif line.startswith("Stream mapping:"):
            break
    return [streams[number] for number in sorted(streams)]


def _without_groups(log: str, source: int) -> Iterator[str]:
    """Yield the lines; those inside a stream group (e.g. of a timecode) lose their extra indent.

    Metadata of a file must not be taken for a stream. ffmpeg indents metadata deeper than
    streams, also after a newline inside a value. Hence split("\\n"), because splitlines()
    also splits at characters that ffmpeg prints unchanged; and hence only lines of a stream
    group are unindented, because global metadata is indented by four spaces as well.
    """
    in_group = False
    for line in log.split("\n"):
        if re.match(r"  \S", line):
            in_group = line.startswith(f"  Stream group #{source}:")
        yield line[2:] if in_group and line.startswith("    ") else line


def _stream(found: re.Match[str]) -> _Stream:
    _, number, track, kind, codec, details = found.groups()
    return _Stream(
        number=int(number), track=int(track or number, 16), kind=kind, codec=codec, details=details
    )


def _has_base_layer(profile: int, flag: int, compatibility: int) -> bool:
    """Return whether a Dolby Vision stream holds a picture that other players can show.

    Source: Dolby Vision Profiles and Levels, table 1; older files leave the compatibility 0.
    """
    return bool(flag) and profile != 5 and (profile < 8 or compatibility != 0)


def _video(stream: _Stream) -> Video:
    size = _SIZE.search(stream.details)
    if stream.codec in ("none", "unknown"):
        raise Unsupported(detail=stream.details)
    if not size or not int(size[1]) or not int(size[2]):
        raise Damaged(detail=stream.details)
    container_sar = _CONTAINER_SAR.search(stream.details)
    across, down = container_sar.groups() if container_sar else (size[3], size[4])
    return Video(
        stream=stream.number,
        track=stream.track,
        codec=stream.codec,
        width=int(size[1]),
        height=int(size[2]),
        sar=(int(across or 0) or 1, int(down or 0) or 1),
        rotation=stream.rotation or 0.0,
        interlaced=_maybe_interlaced(stream),
        colours=_colours(stream.details),
        base_layer=stream.base_layer,
    )


def _colours(details: str) -> Colours:
    """Return the colour tags: `matrix/primaries/transfer`, or one word when all are the same."""
    found = _COLOURS.search(details)
    words = found[1].split(", ") if found else []
    tags = next((word.split("/") for word in words if word.count("/") == 2), None)
    tags = tags or next(([word] * 3 for word in words if word in PRIMARIES), [""] * 3)
    matrix, primaries, transfer = ("" if tag == "unknown" else tag for tag in tags)
    return Colours(
        matrix=matrix,
        primaries=primaries,
        transfer=transfer,
        full_range="pc" in words,
        rgb=bool(_RGB.search(details)),
    )


def _maybe_interlaced(stream: _Stream) -> bool:
    """Return whether the video may be interlaced.

    ffmpeg does not detect it in H.264 that starts with an unpaired field, so any H.264 not
    marked progressive counts.
    """
    unknown = stream.codec == "h264" and "progressive" not in stream.details
    return unknown or bool(_FIELD_ORDER.search(stream.details))


def _audio(stream: _Stream) -> Audio:
    decodable = bool(_SAMPLE_FORMAT.search(stream.details))
    return Audio(stream=stream.number, track=stream.track, codec=stream.codec, decodable=decodable)
