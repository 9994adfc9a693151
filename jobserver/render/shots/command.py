"""The ffmpeg command line that encodes shots. Pure: nothing is read, written or started here.

Shots of one size and frame rate are joined without another encode, so all that a decoder must know
before it begins (SPS, PPS, timescale, delay) follows from size and rate alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.brief.timeline import Appearance
from jobserver.render.command import source
from jobserver.render.framing import framing
from jobserver.render.grey import GREY, grey_output
from jobserver.render.look import CLOCK
from jobserver.render.media import Media
from jobserver.render.normalise import shot_filters, squared
from jobserver.render.probe import MAX_LOST_SHARE
from jobserver.render.rate import shot_limit_options
from jobserver.render.settings import Encoding, Settings
from jobserver.render.shots.filters import STILL_FPS, frames, half_frame, steps
from jobserver.render.shots.graph import graph
from jobserver.render.stills import Still
from jobserver.render.text import Overlay

KEYFRAME_S = 2.0  # at most, from one keyframe to the next: joins decode little, players seek well
_MIN_TIMESCALE = 10_000
_DELAY = 2  # frames that x264 decodes before it shows the first, with B-frames and their pyramid
_WITHOUT_B_FRAMES = "ultrafast"
# Level -> macroblocks a second, a frame, and in all reference frames. Source: ITU-T H.264, A.3.1.
_LEVELS = {
    "3.1": (108_000, 3_600, 18_000),
    "4.0": (245_760, 8_192, 32_768),
    "4.2": (522_240, 8_704, 34_816),
    "5.1": (983_040, 36_864, 184_320),
    "5.2": (2_073_600, 36_864, 184_320),
    "6.0": (4_177_920, 139_264, 696_320),
}
_MAX_LEVEL = "6.2"
_MAX_LOST_FRAMES = 2.5  # whatever their share: as verify.py allows, and no less for rounding
_REFERENCES = 4  # frames that are kept for others to refer to


@dataclass(frozen=True)
class ShotPlan:
    """One shot to be encoded. overlays: its logo and headline, and when each is shown."""

    appearance: Appearance
    out: Path
    overlays: Sequence[tuple[Overlay, str]] = ()


def shots_command(
    path: Path,
    media: Media | Still,
    shots: Sequence[ShotPlan],
    settings: Settings,
    *,
    grey: Path | None = None,
) -> list[str]:
    """Decode a source once and write every shot. path: of a still, its normalised PNG.

    grey: where small frames of the source, a video, are written, see grey.py.
    """
    pictures = list(dict.fromkeys(overlay.path for shot in shots for overlay, _ in shot.overlays))
    inputs = {picture: n for n, picture in enumerate(pictures, start=1)}
    chains = [
        steps(media, shot.appearance, [(inputs[o.path], o, shown) for o, shown in shot.overlays])
        for shot in shots
    ]
    if grey and isinstance(media, Media):
        chains.append([*shot_filters(media.video), GREY])
    rotates = any("rotation" in dict(shot.appearance.look or ()) for shot in shots)
    stream = f"0:{media.video.stream}" if isinstance(media, Media) else "0:v"
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-y"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        *(_clip(path, media, settings) if isinstance(media, Media) else _picture(path)),
        *(word for picture in pictures for word in _picture(picture)),
        *(() if rotates else ("-filter_complex_threads", "1")),
        *("-filter_complex", graph(stream, chains)),
        *(word for n, shot in enumerate(shots) for word in _output(n, shot, media, settings)),
        *(grey_output(f"v{len(shots)}", grey) if grey else ()),
    ]


def _clip(path: Path, media: Media, settings: Settings) -> list[str]:
    """Return the input options of a video, and how much of it may be damaged.

    A frame that cannot be decoded is filled by its neighbour where a shot has a rate of its own,
    so that nobody could count it.
    """
    lost = max(MAX_LOST_SHARE, _MAX_LOST_FRAMES / media.frames)
    options = ("-threads", "2", "-max_pixels", str(settings.max_pixels))
    return [
        *("-max_error_rate", f"{min(1.0, lost):.6f}"),
        *source(path, options, demuxer=media.demuxer),
    ]


def _picture(path: Path) -> list[str]:
    """Return the input options of a PNG that this server has written."""
    return ["-protocol_whitelist", "file", "-f", "png_pipe", "-i", f"file:{path}"]


def _output(number: int, shot: ShotPlan, media: Media | Still, settings: Settings) -> list[str]:
    """Return the options of one shot: a video track alone, each time kept to the tick."""
    appearance, encoding = shot.appearance, settings.encoding
    return [
        *("-map", f"[v{number}]", "-an"),
        *("-c:v", encoding.encoder, *(("-preset", encoding.preset) if encoding.preset else ())),
        *_rate(appearance, media, encoding),
        *("-pix_fmt", "yuv420p", "-threads:v", str(encoding.threads)),
        *("-g", str(_keyframe_distance(media, appearance)), *_forced(appearance)),
        *("-fps_mode", "vfr", "-enc_time_base", "filter"),
        *("-video_track_timescale", str(timescale(media, appearance))),
        *_retimed(media, appearance, encoding),
        *("-color_range", "tv", "-colorspace", "bt709"),
        *("-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-map_metadata", "-1", "-map_chapters", "-1"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact+cgop"),
        *("-f", "mp4", f"file:{shot.out}"),
    ]


def _rate(appearance: Appearance, media: Media | Still, encoding: Encoding) -> list[str]:
    """Return the options of quality, rate and, for x264, of headers that do not depend on them."""
    limit: Sequence[str] = ()
    if isinstance(media, Media):
        limit = _limit(appearance, media, encoding)
    if encoding.encoder != "libx264":
        return [*encoding.quality, *limit]
    level = ("-level:v", _level(appearance, media))
    return [*_stitchable(encoding.quality), *limit, *level]


def _stitchable(quality: Sequence[str]) -> list[str]:
    """Return the options with which x264 writes no header that depends on content or rate."""
    words = [*quality] if "-x264-params" in quality else [*quality, "-x264-params", "force-cfr=0"]
    words[words.index("-x264-params") + 1] += ":stitchable=1"
    return words


def _limit(appearance: Appearance, media: Media, encoding: Encoding) -> Sequence[str]:
    """Return the options that limit the rate of a shot by that of its source."""
    found = framing(squared(media.video), appearance)
    width, height = (found.crop.width, found.crop.height) if found.crop else squared(media.video)
    draws = appearance.headline or appearance.logo or not found.fills
    return shot_limit_options(
        media,
        encoding,
        speed=appearance.speed,
        growth=max(1.0, found.box.width * found.box.height / (width * height)),
        drawn=appearance.width * appearance.height if draws else 0,
    )


def _level(appearance: Appearance, media: Media | Still) -> str:
    """Return the lowest level of H.264 for size and frame rate, whatever the rate in bits.

    x264's own choice would depend on the source's rate, and make headers differ.
    """
    blocks = -(-appearance.width // 16) * -(-appearance.height // 16)
    per_second = blocks * _fps(media, appearance)
    for level, (speed, size, references) in _LEVELS.items():
        if per_second <= speed and blocks <= size and blocks * _REFERENCES <= references:
            return level
    return _MAX_LEVEL


def _fps(media: Media | Still, appearance: Appearance) -> float:
    """Return frames a second, on average where the source's own times are kept."""
    if appearance.fps or isinstance(media, Still):
        return float(appearance.fps or STILL_FPS)
    return media.frames / media.packets.duration * appearance.speed


def _keyframe_distance(media: Media | Still, appearance: Appearance) -> int:
    return max(1, round(KEYFRAME_S * _fps(media, appearance)))


def _forced(appearance: Appearance) -> list[str]:
    """Return the option that makes keyframes of the frames where outputs may end.

    ffmpeg takes the first frame at or behind a time, so half a frame earlier is sure.
    """
    half = half_frame(appearance)
    times = [f"{max(0.0, time - half):.6f}" for time in appearance.keyframes]
    return ["-force_key_frames:v", ",".join(times)] if times else []


def _retimed(media: Media | Still, appearance: Appearance, encoding: Encoding) -> list[str]:
    """Return the option that sets times of packets that neither filters nor x264 set.

    The last frame of a source at another speed keeps its duration else. A shot of one or two
    frames is delayed as x264 delays longer ones: else the times of decoding would go backwards
    where it is joined to the end of another.
    """
    count = frames(media, appearance)
    if count is None:
        speed = f"{appearance.speed:.6f}"
        shorter = ["-bsf:v", f"setts=pts=PTS:dts=DTS:duration=DURATION/{speed}"]
        return shorter if appearance.speed != 1 else []
    same = encoding.encoder != "libx264" or encoding.preset == _WITHOUT_B_FRAMES
    if count > _DELAY or same:
        return []
    fps = appearance.fps or STILL_FPS
    return ["-bsf:v", f"setts=pts=PTS:dts=(N-{_DELAY})/({fps}*TB)"]


def timescale(media: Media | Still, appearance: Appearance) -> int:
    """Return the ticks a second of a shot: frames of a fixed rate are whole numbers of them."""
    if appearance.fps or isinstance(media, Still):
        per_second = (appearance.fps or STILL_FPS).numerator
        return per_second * -(-_MIN_TIMESCALE // per_second)
    return CLOCK if appearance.speed != 1 else media.packets.timescale
