"""Formats that begin like an MP4, with an `ftyp` box, and are another one by its major brand.

The box is length, `ftyp`, major brand, each of 4 bytes, then more (ISO 14496-12, 4.3). Brands that
are not listed count as MP4: cameras and encoders have brands of their own, and phones wrote
3GPP's into files that they named .mp4.
Sources: the registered brands, https://mp4ra.org/registered-types/brands; HEIF, ISO 23008-12;
AVIF, https://aomediacodec.github.io/av1-avif/#brands-overview; `crx `, `F4A ` and `F4B ` from the
tables of ExifTool (QuickTime.pm).
"""

from collections.abc import Mapping

START_SIZE = 12  # bytes up to the end of the major brand
BOX_HEADER_SIZE = 8  # bytes of length and type

QUICKTIME = "qt  "
SOUND_BRANDS = ("M4A ", "M4B ", "F4A ", "F4B ")  # "M4P " is protected: nobody can decode it

# Major brand -> what a file with it is, as the page says it.
OTHER_FORMATS: Mapping[str, str] = {
    QUICKTIME: "a QuickTime movie (MOV)",
    **dict.fromkeys(
        ("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "mif2", "msf1"),
        "a picture (HEIF)",
    ),
    **dict.fromkeys(("avif", "avis", "avio"), "a picture (AVIF)"),
    "crx ": "a raw picture of a camera",
    **dict.fromkeys((*SOUND_BRANDS, "M4P "), "a sound file"),
}


def has_file_type(start: bytes) -> bool:
    """Return whether a file begins with an `ftyp` box. start: its first bytes."""
    return start[4:8] == b"ftyp"


def is_another_format(start: bytes) -> bool:
    """Return whether a file is of a listed format, whatever it is declared as."""
    return has_file_type(start) and _major_brand(start) in OTHER_FORMATS


def is_quicktime(start: bytes) -> bool:
    """Return whether a file is a QuickTime movie by its major brand."""
    return has_file_type(start) and _major_brand(start) == QUICKTIME


def may_be_sound(start: bytes) -> bool:
    """Return whether a file that begins with an `ftyp` box may hold nothing but sound."""
    brand = _major_brand(start)
    return has_file_type(start) and (brand in SOUND_BRANDS or brand not in OTHER_FORMATS)


def _major_brand(start: bytes) -> str:
    return start[8:START_SIZE].decode("latin-1")
