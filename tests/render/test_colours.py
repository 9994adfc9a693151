"""What cameras tag is converted as by hand, and outputs say what their colours are."""

import pytest

from jobserver.render import load_fonts, probe, render, render_shots, thumbnail
from jobserver.render.errors import Unsupported

from .charts import PATCHES, SIZE, make_chart, mean_error, read_chart
from .conftest import described, ffmpeg
from .edits import with_dolby_vision
from .shots.support import appearance

HEVC = ("-c:v", "libx265", "-x265-params", "log-level=none:lossless=1", "-tag:v", "hvc1")
H264 = ("-c:v", "libx264", "-qp", "4")


def tags(matrix, primaries, transfer, range_="tv"):
    names = ("-colorspace", matrix, "-color_primaries", primaries, "-color_trc", transfer)
    return (*names, "-color_range", range_)


# Name -> options of zscale, filters behind it, options of the encoder; the conversion by hand.
HLG_TONES = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=709,tonemap=mobius,"
    "zscale=transfer=709:matrix=709:range=limited,format=yuv420p"
)
SDR = "zscale=matrix=709:primaries=709:transfer=709:range=limited,format=yuv420p"
CHARTS = {
    "hlg": ("transfer=arib-std-b67:primaries=2020:matrix=2020_ncl:range=limited",
            ("-pix_fmt", "yuv420p10le", *HEVC, *tags("bt2020nc", "bt2020", "arib-std-b67")),
            HLG_TONES),
    "pq": ("npl=203:transfer=smpte2084:primaries=2020:matrix=2020_ncl:range=limited",
           ("-pix_fmt", "yuv420p10le", *HEVC, *tags("bt2020nc", "bt2020", "smpte2084")),
           HLG_TONES.replace("npl=100", "npl=203")),
    "bt601": ("primaries=170m:matrix=170m:transfer=601:range=limited",
              ("-pix_fmt", "yuv420p", *H264, *tags("smpte170m", "smpte170m", "smpte170m")), SDR),
    "pal": ("transfer=709:primaries=bt470bg:matrix=470bg:range=limited",
            ("-pix_fmt", "yuv420p", *H264, *tags("bt470bg", "bt470bg", "bt709")), SDR),
    "p3": ("transfer=709:primaries=smpte432:matrix=709:range=limited",
           ("-pix_fmt", "yuv420p", *H264, *tags("bt709", "smpte432", "bt709")), SDR),
    "bt709": ("transfer=709:primaries=709:matrix=709:range=limited",
              ("-pix_fmt", "yuv420p", *H264, *tags("bt709", "bt709", "bt709")), "null"),
    "full": ("transfer=709:primaries=709:matrix=709:range=full",
             ("-pix_fmt", "yuv420p", *H264, *tags("bt709", "bt709", "bt709", "pc")),
             "zscale=range=limited"),
}  # fmt: skip
HDR = {"hlg", "pq"}
# Players take a small picture without tags for BT.601, with the primaries of BT.709.
UNTAGGED_SD = ("transfer=709:primaries=709:matrix=170m:range=limited,"
               "setparams=colorspace=unknown:color_primaries=unknown:color_trc=unknown",
               "-pix_fmt", "yuv420p", *H264)  # fmt: skip


@pytest.fixture(scope="module")
def charts(tmp_path_factory):
    """A folder with each chart, also as a phone records it on its side."""
    folder = tmp_path_factory.mktemp("charts")
    for name, (conversion, options, _) in CHARTS.items():
        upright = make_chart(folder / f"{name}.mp4", conversion, *options)
        turned = folder / f"{name}-turned.mp4"
        ffmpeg("-i", upright, "-vf", "transpose=cclock", *options, folder / "side.mp4")
        ffmpeg("-display_rotation", "-90", "-i", folder / "side.mp4", "-c", "copy", turned)
    make_chart(folder / "untagged.mp4", *UNTAGGED_SD)
    return folder


@pytest.mark.parametrize("turned", ["", "-turned"])
@pytest.mark.parametrize("name", CHARTS)
def test_colours_are_those_of_a_conversion_by_hand(charts, settings, tmp_path, name, turned):
    path = charts / f"{name}{turned}.mp4"
    [output] = render(path, probe(path, settings), [(None, tmp_path / "x")], settings)
    made = read_chart(output.path)
    assert mean_error(made, read_chart(path, CHARTS[name][2])) <= 3
    assert mean_error(made, PATCHES) <= (15 if name in HDR else 3)
    assert b"yuv420p(tv, bt709, progressive)" in described(output.path)


@pytest.mark.parametrize("name", ["hlg", "pq-turned", "bt601", "full-turned", "untagged"])
def test_shots_are_always_bt709(charts, settings, tmp_path, name):
    path = charts / f"{name}.mp4"
    wanted = [(appearance(width=SIZE[0], height=SIZE[1], format="source"), tmp_path / "shot.mp4")]
    [shot] = render_shots(
        path, probe(path, settings), wanted, settings, overlays={}, fonts=load_fonts(None)
    )
    tones = name.split("-")[0] in HDR
    assert mean_error(read_chart(shot.path), PATCHES) <= (15 if tones else 3)
    assert b"yuv420p(tv, bt709, progressive)" in described(shot.path)


@pytest.mark.parametrize("name", ["hlg", "bt601", "bt709"])
def test_the_picture_of_a_source_has_the_same_colours(charts, settings, tmp_path, name):
    path, picture = charts / f"{name}.mp4", tmp_path / "picture.webp"
    thumbnail(path, picture, settings, media=probe(path, settings))
    size = "scale={}:{}:flags=area:in_color_matrix=bt601:out_color_matrix=bt709".format(*SIZE)
    assert mean_error(read_chart(picture, size), PATCHES) <= 6


def test_nothing_that_is_said_of_the_light_of_hdr_is_left_in_sdr(settings, tmp_path):
    light = "hdr10=1:max-cll=400,100:master-display=G(1,1)B(1,1)R(1,1)WP(1,1)L(40000000,50)"
    conversion, options, by_hand = CHARTS["pq"]
    options = [word.replace("log-level", f"{light}:log-level") for word in options]
    path = make_chart(tmp_path / "pq.mp4", conversion, *options)
    [output] = render(path, probe(path, settings), [(None, tmp_path / "x")], settings)
    assert b"Side data" not in described(output.path)
    assert mean_error(read_chart(output.path), read_chart(path, by_hand)) <= 3


@pytest.mark.parametrize(("profile", "compatibility"), [(8, 4), (8, 1), (7, 6), (7, 0), (4, 2)])
def test_dolby_vision_is_rendered_from_its_base_layer(
    charts, settings, tmp_path, profile, compatibility
):
    path = tmp_path / "x.mp4"
    data = (charts / "hlg.mp4").read_bytes()
    path.write_bytes(with_dolby_vision(data, profile, compatibility))
    assert b"DOVI configuration record" in described(path)
    [output] = render(path, probe(path, settings), [(None, tmp_path / "x")], settings)
    assert mean_error(read_chart(output.path), PATCHES) <= 15
    assert b"DOVI" not in described(output.path)


@pytest.mark.parametrize(("profile", "compatibility"), [(5, 0), (8, 0), (10, 0)])
def test_dolby_vision_without_a_base_layer_is_refused(
    charts, settings, tmp_path, profile, compatibility
):
    path = tmp_path / "x.mp4"
    data = (charts / "hlg.mp4").read_bytes()
    path.write_bytes(with_dolby_vision(data, profile, compatibility))
    with pytest.raises(Unsupported, match="Dolby Vision without a base layer"):
        probe(path, settings)
