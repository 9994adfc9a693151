"""The argument lists given to ffmpeg; pure, and free of anything that is not in them."""

from collections.abc import Sequence
from pathlib import Path

from jobserver.render.media import Audio, Media, Video
from jobserver.render.recipe import MAX_ZOOM, Parameters
from jobserver.render.settings import Encoding, Settings

Wanted = tuple[Parameters | None, Path]

# What ffmpeg's AAC encoder takes as it is; other arrangements (a lone left, 7.1.4) are mixed
# to the nearest. Source: libavcodec/aacenc.c, aac_normal_chan_layouts and aac_pce_configs.
AAC_LAYOUTS = (
    "mono|stereo|2.1|3.0|3.0(back)|3.1|4.0|quad|quad(side)|4.1|5.0|5.0(side)|5.1|5.1(side)"
    "|6.0|6.0(front)|hexagonal|6.1|6.1(back)|6.1(front)|7.0|7.0(front)|7.1|7.1(wide)"
    "|7.1(wide-side)|octagonal|5.1.2(back)"
)


def source(path: Path, *options: str) -> list[str]:
    """Open a file as MP4 and as nothing else, from the disk and from nowhere else."""
    return [*options, "-protocol_whitelist", "file", "-f", "mov", "-i", f"file:{path}"]


def probe_command(path: Path, settings: Settings) -> list[str]:
    """List every packet of the picture twice (as stored, as shown) and of all sound."""
    limit = ("-max_pixels", str(settings.max_pixels))
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "info"),
        *source(path, "-ignore_editlist", "1", *limit),
        *source(path, *limit),
        *("-map", "0:V:0", "-map", "1:V:0", "-map", "1:a?", "-c", "copy", "-copyts"),
        *("-f", "framecrc", "-"),
    ]


def render_command(
    path: Path, media: Media, wanted: Sequence[Wanted], settings: Settings
) -> list[str]:
    """Decode once, write every wanted variation.

    wanted: parameters and absolute output path of each; parameters of None re-encode the
    picture as it is, which the benchmarks measure.
    """
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-y"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        # Frames in flight grow with the decoder's threads, so many cores do not set them.
        *source(path, "-threads", "4", "-max_pixels", str(settings.max_pixels)),
        *_filters(media.video, [parameters for parameters, _ in wanted]),
        *(word for n, (_, out) in enumerate(wanted) for word in _output(n, out, media, settings)),
    ]


def check_command(settings: Settings) -> list[str]:
    """Encode one grey frame to nowhere, as outputs are encoded."""
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "error"),
        *("-f", "lavfi", "-i", "color=gray:s=320x240:r=25", "-frames:v", "1"),
        *(*_video_options(settings.encoding), "-f", "null", "-"),
    ]


def thumbnail_command(path: Path, out: Path, lightness: int, settings: Settings) -> list[str]:
    """Write the first frame whose average luma (0 to 255) is above `lightness` as WebP.

    Looks at the first 30 s: who fades in for longer means it.
    """
    pick = f"signalstats,metadata=mode=select:key=lavfi.signalstats.YAVG:value={lightness}"
    # Square pixels of the shape that is shown; WebP has no side above 16383.
    shape = "scale=320:'min(3200,max(2,2*round(160/dar)))',setsar=1,format=yuv420p"
    return [
        *(settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-y"),
        *("-t", "30", *source(path, "-max_pixels", str(settings.max_pixels))),
        *("-map", "0:V:0", "-vf", f"format=yuv420p,{pick}:function=greater,{shape}"),
        *("-frames:v", "1", "-c:v", "libwebp", "-quality", "75", "-map_metadata", "-1"),
        *("-fflags", "+bitexact", "-progress", "pipe:1", "-f", "webp", f"file:{out}"),
    ]


def _filters(video: Video, wanted: Sequence[Parameters | None]) -> list[str]:
    """Give the graph its threads: slicing frames costs more than it brings, but for rotate."""
    turning = any(parameters and "rotation" in parameters.values for parameters in wanted)
    threads = () if turning else ("-filter_complex_threads", "1")
    return [*threads, "-filter_complex", _graph(video, wanted)]


def _graph(video: Video, wanted: Sequence[Parameters | None]) -> str:
    """Split after the one conversion that all need; each branch then goes its own way."""
    size = tuple(side + side % 2 for side in video.upright)
    names = "".join(f"[s{n}]" for n in range(len(wanted)))
    branches = [
        f"[s{n}]{_chain(parameters, size == video.upright, size, video)}[v{n}]"
        for n, parameters in enumerate(wanted)
    ]
    # Unless told, RGB is converted as for SD, and players take an untagged HD video for HD.
    matrix = ":out_color_matrix=bt709" if video.rgb else ""
    head = f"{_fields(video)}scale=out_range=tv{matrix},format=yuv420p,split={len(wanted)}{names}"
    return ";".join([f"[0:{video.stream}]{head}", *branches])


def _fields(video: Video) -> str:
    """Return the filter that makes one picture of two fields, which scaling would mix.

    It sees a picture that is upright, so one turned has its fields in columns; and it needs 3
    columns and 4 lines. Frames that are not interlaced go through it as they are.
    """
    fit = video.interlaced and not video.turned and video.width >= 3 and video.height >= 4
    return "bwdif=mode=send_frame:deint=interlaced," if fit else ""


def _chain(parameters: Parameters | None, even: bool, size: tuple[int, ...], video: Video) -> str:
    """Return the filters of one variation, cheapest first.

    H.264 in 4:2:0 has no odd sides, so they are rounded up, by scaling: no content is lost
    and a picture one pixel wide stays possible. Scaling would note a changed pixel shape.
    """
    values = parameters.values if parameters else {}
    scale = f"scale={size[0]}:{size[1]}:flags=bicubic,setsar={_ratio(video.upright_sar)}"
    filters = [_crop(values["zoom"], values["left"], values["top"])] if "zoom" in values else []
    filters += [scale] if "zoom" in values or not even else []
    if "rotation" in values:
        filters.append(f"rotate={values['rotation']:.6f}")
    if "brightness" in values:
        names = ("brightness", "contrast", "saturation")
        filters.append("eq=" + ":".join(f"{name}={values[name]:.6f}" for name in names))
    return ",".join(filters) or "null"


def _crop(zoom: float, left: float, top: float) -> str:
    """Cut a margin away; even sides and offsets keep colour and brightness aligned.

    A side that is so short that two pixels are more than the largest zoom stays whole.
    """
    width, height = (
        f"'min({side},2*max(round({side}*{1 - zoom:.6f}/2),ceil({side}*{1 - MAX_ZOOM:.6f}/2)))'"
        for side in ("iw", "ih")
    )
    across, down = (
        f"2*floor(round(({margin})*{share:.6f})/2)"
        for margin, share in (("iw-ow", left), ("ih-oh", top))
    )
    return f"crop={width}:{height}:{across}:{down}:exact=1"


def _ratio(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}"


def _output(number: int, path: Path, media: Media, settings: Settings) -> list[str]:
    """Return the options of one output file.

    Times stay as they are: vfr with the source's own timebase neither doubles nor rounds a
    frame. bitexact leaves out versions and dates, so equal input gives equal bytes.
    """
    return [
        *("-map", f"[v{number}]"),
        *(word for audio in media.audio for word in ("-map", f"0:{audio.stream}")),
        *_video_options(settings.encoding),
        *("-fps_mode", "vfr", "-enc_time_base", "demux"),
        *("-video_track_timescale", str(media.packets.timescale)),
        *_audio_options(media.audio, settings.encoding),
        *("-map_metadata", "-1", "-map_chapters", "-1"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact"),
        *("-movflags", "+faststart", "-f", "mp4", f"file:{path}"),
    ]


def _video_options(encoding: Encoding) -> list[str]:
    preset = ("-preset", encoding.preset) if encoding.preset else ()
    return [
        *("-c:v", encoding.encoder, *preset, *encoding.rate),
        *("-pix_fmt", "yuv420p", "-threads:v", str(encoding.threads)),
    ]


def _audio_options(tracks: Sequence[Audio], encoding: Encoding) -> list[str]:
    options: list[str] = []
    for n, audio in enumerate(tracks):
        if audio.copyable:
            options += [f"-c:a:{n}", "copy"]
        else:
            options += [f"-c:a:{n}", "aac", f"-b:a:{n}", encoding.audio_rate]
            options += [f"-filter:a:{n}", f"aformat=channel_layouts={AAC_LAYOUTS}"]
            options += [f"-flags:a:{n}", "+bitexact"]
    return options
