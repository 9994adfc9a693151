"""The colours of a video: what its tags say, and the filters that make them SDR BT.709.

Names of values are ffmpeg's. Sources: ITU-T H.273 (the values), ITU-R BT.2408 (HDR reference
white, 203 cd/m2), https://ffmpeg.org/ffmpeg-filters.html#zscale-1, #tonemap-1.
"""

from dataclasses import dataclass

HDR_WHITE = {"smpte2084": 203, "arib-std-b67": 100}  # transfer (PQ, HLG) -> npl of zscale
_PEAK = 10  # brightest light that is kept apart from white, in units of it
_BT709 = "bt709"

# What zscale can read. Anything else counts as untagged.
_MATRICES = {
    "gbr", "bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "ycgco", "bt2020nc", "bt2020c",
    "chroma-derived-nc", "chroma-derived-c", "ictcp",
}  # fmt: skip
PRIMARIES = {
    "bt709", "bt470m", "bt470bg", "smpte170m", "smpte240m", "film", "bt2020", "smpte428",
    "smpte431", "smpte432", "ebu3213",
}  # fmt: skip
_TRANSFERS = {
    "bt709", "bt470m", "bt470bg", "smpte170m", "smpte240m", "linear", "log100", "log316",
    "iec61966-2-4", "iec61966-2-1", "bt2020-10", "bt2020-12", "smpte2084", "arib-std-b67",
}  # fmt: skip
# Curves that differ from BT.709's on paper alone, or that players show alike (sRGB).
_LIKE_BT709 = {"bt709", "smpte170m", "bt2020-10", "bt2020-12", "iec61966-2-1", "iec61966-2-4"}


@dataclass(frozen=True, kw_only=True)
class Colours:
    """The tags of a video; empty where there is none.

    full_range: whether luma goes from 0 to 255 instead of 16 to 235. rgb: whether the pixels are
    RGB instead of YUV.
    """

    matrix: str = ""
    primaries: str = ""
    transfer: str = ""
    full_range: bool = False
    rgb: bool = False

    @property
    def hdr(self) -> bool:
        """Whether it is brighter than SDR, by its transfer function."""
        return self.transfer in HDR_WHITE

    @property
    def needs_conversion(self) -> bool:
        """Whether a tag says that it is neither BT.709 nor shown like it."""
        matrix = self.matrix in _MATRICES - {_BT709, "gbr"}
        primaries = self.primaries in PRIMARIES - {_BT709}
        return matrix or primaries or self.transfer in _TRANSFERS - _LIKE_BT709


UNTAGGED = Colours()


def to_bt709(colours: Colours) -> list[str]:
    """Return the filters that convert tagged colours to limited range SDR BT.709, and tag them.

    Tone mapping is done in linear light with BT.709 primaries. The peak is fixed: what files say
    of theirs is often wrong, and would decide how dark the picture becomes. It goes, with all that
    is said of single frames: encoders would write it into the SDR.
    """
    if not colours.hdr:
        return [f"zscale={_input(colours)}:{_output()}"]
    white = HDR_WHITE[colours.transfer]
    return [
        "sidedata=mode=delete",
        f"zscale={_input(colours)}:transfer=linear:npl={white}:primaries={_BT709}",
        "format=gbrpf32le",
        f"tonemap=mobius:peak={_PEAK}",
        f"zscale={_output()}",
    ]


def _input(colours: Colours) -> str:
    """Return the options of zscale about its input; a tag that is missing follows from others."""
    wide = colours.hdr or colours.primaries == "bt2020"
    matrix = colours.matrix if colours.matrix in _MATRICES else "bt2020nc" if wide else _BT709
    primaries = colours.primaries if colours.primaries in PRIMARIES else ""
    transfer = colours.transfer if colours.transfer in _TRANSFERS - _LIKE_BT709 else _BT709
    return ":".join(
        (
            f"matrixin={'gbr' if colours.rgb else matrix}",
            f"primariesin={primaries or ('bt2020' if wide else _BT709)}",
            f"transferin={transfer}",
            f"rangein={'full' if colours.full_range or colours.rgb else 'limited'}",
        )
    )


def _output() -> str:
    return f"matrix={_BT709}:primaries={_BT709}:transfer={_BT709}:range=limited"
