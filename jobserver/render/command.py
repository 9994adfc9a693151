"""The ffmpeg command lines. Pure functions: nothing is read, written or started here."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jobserver.render.colours import UNTAGGED, to_bt709
from jobserver.render.grey import GREY, grey_output
from jobserver.render.look import CLOCK, STRETCHES, is_mirrored, picture_filters, speed_of
from jobserver.render.media import Audio, Media, Video
from jobserver.render.normalise import input_filters
from jobserver.render.rate import limit_options
from jobserver.render.recipe import MAX_ZOOM, Parameters
from jobserver.render.settings import Encoding, Settings

Wanted = tuple[Parameters | None, Path]

WEBP = "libwebp"
DARK = 32  # average luma of a frame, 0..255, that is no good thumbnail
_SCAN_S = 30
# Display aspect ratio in square pixels. A WebP side is at most 16383 pixels.
_THUMBNAIL_SIZE = "scale=320:'min(3200,max(2,2*round(160/dar)))'"
_WEBP_MATRIX = "out_color_matrix=bt601"  # a WebP has no other
_THUMBNAIL = f"{_THUMBNAIL_SIZE}:{_WEBP_MATRIX},setsar=1,format=yuv420p"

# Channel layouts that ffmpeg's AAC encoder accepts; others (a single left channel, 7.1.4) are
# remixed to the nearest. Source: libavcodec/aacenc.c, aac_normal_chan_layouts, aac_pce_configs.
AAC_LAYOUTS = (
    "mono|stereo|2.1|3.0|3.0(back)|3.1|4.0|quad|quad(side)|4.1|5.0|5.0(side)|5.1|5.1(side)"
    "|6.0|6.0(front)|hexagonal|6.1|6.1(back)|6.1(front)|7.0|7.0(front)|7.1|7.1(wide)"
    "|7.1(wide-side)|octagonal|5.1.2(back)"
)


def source(path: Path, options: Sequence[str] = (), *, demuxer: str = "mov") -> list[str]:
    """Return the input options: only this demuxer and only the file protocol may open it."""
    return [*options, "-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{path}"]


def probe_command(
    path: Path, settings: Settings, sounds: Sequence[int] = (), *, demuxer: str = "mov"
) -> list[str]:
    """List the packets of the video stream twice and of every audio stream; decode no picture.

    Of the two inputs the first ignores the edit list (packets as stored), the second applies it
    (packets as shown). sounds: numbers, among the audio streams, of those that are decoded as
    well; the log holds the peak of the first. Whatever is wrong with a packet of sound, ffmpeg
    shall drop it, not conceal it.
    """
    limit = ("-max_pixels", str(settings.max_pixels))
    strict = ("-err_detect:a", "crccheck+explode")
    stored = ("-ignore_editlist", "1") if demuxer == "mov" else ()
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "info"),
        *source(path, (*stored, *limit, *strict), demuxer=demuxer),
        *(*source(path, limit, demuxer=demuxer), "-map", "0:V:0", "-map", "1:V:0"),
        *(word for n in sounds for word in ("-map", f"0:a:{n}")),
        *("-map", "1:a?", "-c", "copy", "-copyts"),
        *(word for n in range(len(sounds)) for word in (f"-c:a:{n}", "pcm_s16le")),
        *(("-filter:a:0", "volumedetect") if sounds else ()),
        *("-max_error_rate", "1", "-f", "framecrc", "-"),
    ]


def render_command(
    path: Path,
    media: Media,
    wanted: Sequence[Wanted],
    settings: Settings,
    *,
    thumbnails: Sequence[Path] = (),
    grey: Path | None = None,
    stretch: str = STRETCHES[0],
) -> list[str]:
    """Decode the source once and write every wanted variation.

    wanted: parameters and absolute output path of each variation. Parameters of None encode
    the unchanged picture, for the benchmarks. thumbnails: the path of a picture of each
    variation, or none at all. grey: where small frames of the source are written, see grey.py.
    stretch: one of look.STRETCHES, for looks that have a speed.
    """
    # Each decoder thread holds frames in memory, so the count must not follow the CPU count. Two
    # are ahead of filters and encoders, which have a thread each.
    decoder = ("-threads", "2", "-max_pixels", str(settings.max_pixels))
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-y"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        *source(path, decoder, demuxer=media.demuxer),
        *_filters(media.video, wanted, thumbnails=bool(thumbnails), grey=grey is not None),
        *(
            word
            for n, (parameters, out) in enumerate(wanted)
            for word in _output(n, out, media, settings, tempo=_Tempo.of(parameters, stretch))
        ),
        *(word for n, out in enumerate(thumbnails) for word in thumbnail_output(f"[t{n}]", out)),
        *(grey_output("g", grey) if grey else ()),
    ]


def check_command(settings: Settings) -> list[str]:
    """Encode one grey frame with the output settings and discard it."""
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "error"),
        *("-f", "lavfi", "-i", "color=gray:s=320x240:r=25", "-frames:v", "1"),
        *(*_video_options(settings.encoding, ()), "-f", "null", "-"),
    ]


def thumbnail_command(
    path: Path, out: Path, min_luma: int, settings: Settings, *, media: Media | None
) -> list[str]:
    """Write the first frame whose average luma (0..255) is above `min_luma` as WebP.

    Scans the first 30 s only; a longer fade-in is taken as intended. media: None for an output.
    """
    colours, demuxer = (media.video.colours, media.demuxer) if media else (UNTAGGED, "mov")
    small = [_THUMBNAIL_SIZE, *to_bt709(colours)] if colours.needs_conversion else []
    filters = [*small, _THUMBNAIL, _brighter(min_luma)]
    limit = ("-max_pixels", str(settings.max_pixels))
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-y"),
        *("-progress", "pipe:1"),
        *("-t", str(_SCAN_S), *source(path, limit, demuxer=demuxer)),
        *("-vf", ",".join(filters)),
        *thumbnail_output("0:V:0", out),
    ]


def thumbnail_output(stream: str, out: Path) -> list[str]:
    """Return the options that write one frame of a stream, or filter output, as WebP."""
    return [
        *("-map", stream, "-frames:v", "1", "-fps_mode", "passthrough"),
        *("-c:v", WEBP, "-quality", "75", "-map_metadata", "-1"),
        *("-fflags", "+bitexact", "-f", "webp", f"file:{out}"),
    ]


def _brighter(min_luma: int) -> str:
    """Return the filters that drop frames whose average luma is at most `min_luma`."""
    luma = f"key=lavfi.signalstats.YAVG:value={min_luma}"
    return f"signalstats,metadata=mode=select:{luma}:function=greater"


def _filters(video: Video, wanted: Sequence[Wanted], *, thumbnails: bool, grey: bool) -> list[str]:
    """Return the filter graph and its thread count.

    Slice threads cost more CPU time than they save, except for the `rotate` filter.
    """
    looks = [parameters for parameters, _ in wanted]
    rotates = any(parameters and "rotation" in parameters.values for parameters in looks)
    threads = () if rotates else ("-filter_complex_threads", "1")
    graph = _graph(video, looks, thumbnails=thumbnails, grey=grey)
    return [*threads, "-filter_complex", graph]


def _graph(
    video: Video, wanted: Sequence[Parameters | None], *, thumbnails: bool, grey: bool
) -> str:
    """Convert the frames once, then split them into one filter chain per variation."""
    pads = "".join(f"[s{n}]" for n in range(len(wanted))) + ("[source]" if grey else "")
    chains = [
        f"[s{n}]{_chain(parameters, video)}{_with_thumbnail(n) if thumbnails else f'[v{n}]'}"
        for n, parameters in enumerate(wanted)
    ]
    chains += [f"[source]{GREY}[g]"] if grey else []
    common = ",".join(input_filters(video))
    split = f"split={len(wanted) + grey}{pads}"
    return ";".join([f"[0:{video.stream}]{common},{split}", *chains])


def _with_thumbnail(n: int) -> str:
    """Return the filters that pass a variation's frames to [v] and its thumbnail to [t]."""
    return f",split[v{n}][p{n}];{thumbnail_graph(f'p{n}', n)}"


def thumbnail_graph(pad: str, n: int = 0) -> str:
    """Return the graph that leads from the frames of a pad to the thumbnail at [t].

    It is the first frame that is not dark, else the first: `concat` takes that one only when
    there is no other. `trim` ends with its frame, and so does all before it up to the split:
    the frames that follow cost nothing.
    """
    one = "trim=end_frame=1"
    return (
        f"[{pad}]trim=duration={_SCAN_S},{_THUMBNAIL},split[a{n}][b{n}];"
        f"[a{n}]{one}[first{n}];[b{n}]{_brighter(DARK)},{one}[bright{n}];"
        f"[bright{n}][first{n}]concat[t{n}]"
    )


def _chain(parameters: Parameters | None, video: Video) -> str:
    """Return the filters of one variation, cheapest first.

    H.264 in 4:2:0 has no odd sides, so an odd side is scaled up by one pixel: nothing is cut
    off, and a picture one pixel wide stays possible. `setsar` restores the sample aspect ratio
    that `scale` adapts.
    """
    values = parameters.values if parameters else {}
    width, height = (side + side % 2 for side in video.upright)
    across, down = video.upright_sar
    filters = [_crop(values["zoom"], values["left"], values["top"])] if "zoom" in values else []
    if filters or (width, height) != video.upright:
        filters.append(f"scale={width}:{height}:flags=bicubic,setsar={across}/{down}")
    filters += picture_filters(values)
    if is_mirrored(values):
        filters.append("hflip")
    if (speed := speed_of(values)) != 1:
        filters.append(f"settb=1/{CLOCK},setpts=PTS/{speed:.6f}")
    return ",".join(filters) or "null"


def _crop(zoom: float, left: float, top: float) -> str:
    """Return the crop filter. zoom, left, top: shares as in recipe.RECIPES.

    Sides and offsets are even, so that chroma and luma stay aligned in 4:2:0. With a zoom
    of at most MAX_ZOOM a side so short that two pixels exceed that is not cropped.
    """
    least = f"ceil({{side}}*{1 - MAX_ZOOM:.6f}/2)" if zoom <= MAX_ZOOM else "1"
    width, height = (
        f"'min({side},2*max(round({side}*{1 - zoom:.6f}/2),{least.format(side=side)}))'"
        for side in ("iw", "ih")
    )
    across, down = (
        f"2*floor(round(({margin})*{share:.6f})/2)"
        for margin, share in (("iw-ow", left), ("ih-oh", top))
    )
    return f"crop={width}:{height}:{across}:{down}:exact=1"


class _Tempo(NamedTuple):
    """The speed of one output, and the filter that gives it to a sound."""

    speed: float
    stretch: str

    @classmethod
    def of(cls, parameters: Parameters | None, stretch: str) -> "_Tempo":
        speed = speed_of(parameters.values) if parameters else 1.0
        return cls(speed, stretch.format(speed) if speed != 1 else "")


def _output(
    number: int, path: Path, media: Media, settings: Settings, *, tempo: _Tempo
) -> list[str]:
    """Return the options of one output file.

    `vfr` with the timebase of the source keeps every timestamp: no frame is duplicated or
    rounded. `bitexact` omits versions and dates, so equal input gives equal bytes.
    """
    encoding, speed = settings.encoding, tempo.speed
    return [
        *("-map", f"[v{number}]"),
        *(word for audio in media.audio for word in ("-map", f"0:{audio.stream}")),
        *_video_options(encoding, limit_options(media, encoding, speed)),
        *("-fps_mode", "vfr", *_clock(media, speed)),
        *_audio_options(media.audio, encoding, tempo),
        *("-map_metadata", "-1", "-map_chapters", "-1"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact"),
        *("-movflags", "+faststart", "-f", "mp4", f"file:{path}"),
    ]


def _video_options(encoding: Encoding, limit: Sequence[str]) -> list[str]:
    """Return the options of the encoder. limit: those that depend on the source."""
    preset = ("-preset", encoding.preset) if encoding.preset else ()
    return [
        *("-c:v", encoding.encoder, *preset, *encoding.quality, *limit),
        *("-pix_fmt", "yuv420p", "-threads:v", str(encoding.threads)),
    ]


def _clock(media: Media, speed: float) -> list[str]:
    """Return the options of times: those of the source, or a clock fine enough for a speed.

    The last frame keeps the duration that it has in the source else.
    """
    if speed == 1:
        return ["-enc_time_base", "demux", "-video_track_timescale", str(media.packets.timescale)]
    shorter = f"setts=pts=PTS:dts=DTS:duration=DURATION/{speed:.6f}"
    return ["-enc_time_base", "filter", "-video_track_timescale", str(CLOCK), "-bsf:v", shorter]


def _audio_options(tracks: Sequence[Audio], encoding: Encoding, tempo: _Tempo) -> list[str]:
    options: list[str] = []
    for n, audio in enumerate(tracks):
        if audio.copyable and tempo.speed == 1:
            options += [f"-c:a:{n}", "copy"]
        else:
            options += [f"-c:a:{n}", "aac", f"-b:a:{n}", str(encoding.audio_rate)]
            options += [f"-filter:a:{n}", f"{tempo.stretch}aformat=channel_layouts={AAC_LAYOUTS}"]
            options += [f"-flags:a:{n}", "+bitexact"]
    return options
