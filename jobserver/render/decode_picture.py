"""Run as a script: decode one PNG, JPEG or WebP of a client and write it as a plain PNG.

A C decoder that reads hostile bytes is started like ffmpeg (launch.py): with limits of memory,
CPU and file size, and access to nothing but its two files. What it writes is 8 bits of RGB or
RGBA in sRGB, upright, without metadata; only that is read by others.

    python -I -S decode_picture.py SPEC

SPEC is a JSON object. `site`: the folder that Pillow is in. `source`, `out`: paths; no `out` only
reads the picture. `max_pixels`: of the source. `fit`: [width, height] that it is scaled down to fit
into; `width`: that it is scaled to, but no larger than `within`, [width, height].
`opacity`: 0..1, multiplied into the alpha.

Prints {"width", "height", "alpha"} of what was written, or of what would be, upright; or
{"error", "sentence"}.

Sources: https://pillow.readthedocs.io (Image.open, Image.draft, ImageOps.exif_transpose, ImageCms).
"""

import io
import json
import sys
from typing import Any

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_SIDE = 32_768  # pixels; rows and columns have a cost of their own
ANIMATED = ("PNG", "WEBP")  # a JPEG of several frames holds other views of the same picture


class Refused(Exception):
    """The picture cannot be used. args: name of an error class of stills.py, sentence."""


def main(spec_text: str) -> None:
    """Decode as the spec says; print the result."""
    spec = json.loads(spec_text)
    sys.path.insert(0, spec["site"])
    try:
        print(json.dumps(decode(spec)))
    except Refused as refused:
        error, sentence = refused.args
        print(json.dumps({"error": error, "sentence": sentence}))


def decode(spec: dict[str, Any]) -> dict[str, Any]:
    """Decode the picture, write it if wanted, and describe it. Raises Refused."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # refused below, by our own limit
    try:
        with Image.open(spec["source"], formats=FORMATS) as image:
            check(image, spec["max_pixels"])
            picture = upright(image, spec.get("fit"))
    except Refused:
        raise
    except UnidentifiedImageError as error:
        raise Refused("NotAPicture", "This file is not a PNG, JPEG or WebP picture.") from error
    except MemoryError as error:
        raise Refused("TooLarge", "This picture needs more memory than is allowed.") from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise Refused("Damaged", "This picture is damaged and could not be read.") from error
    if spec.get("width"):
        picture = scaled(picture, spec["width"], spec["within"])
    if spec.get("opacity", 1) < 1:
        picture = faded(picture, spec["opacity"])
    if spec.get("out"):
        picture.info.clear()
        picture.save(spec["out"], "PNG", compress_level=1)
    return {"width": picture.width, "height": picture.height, "alpha": picture.mode == "RGBA"}


def check(image: Any, max_pixels: int) -> None:
    """Refuse what the header says is too large or moves. Raises Refused."""
    width, height = image.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        limit = f"at most {max_pixels / 1e6:.0f} million, and {MAX_SIDE} on a side"
        raise Refused(
            "TooLarge", f"This picture is too large: {width} x {height} pixels ({limit})."
        )
    if image.format in ANIMATED and getattr(image, "is_animated", False):
        raise Refused("Unsupported", "This picture is animated; only still pictures can be used.")


def upright(image: Any, fit: tuple[int, int] | None) -> Any:
    """Return the decoded picture, as RGB or RGBA in sRGB, no larger than `fit`."""
    from PIL import ImageOps

    orientation = orientation_of(image)
    sideways = orientation in (5, 6, 7, 8)
    if fit and image.format == "JPEG":
        image.draft(None, fit[::-1] if sideways else fit)  # decodes at 1/2, 1/4, 1/8: less memory
    picture = to_srgb(image)
    if fit:
        picture.thumbnail(fit[::-1] if sideways else fit, reducing_gap=3.0)
    return ImageOps.exif_transpose(with_exif(picture, orientation))


def orientation_of(image: Any) -> int:
    """Return the EXIF orientation, 1..8; 1 where the metadata is broken, as browsers do."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # Pillow's parser raises many kinds
        return 1


def with_exif(picture: Any, orientation: int) -> Any:
    """Note the orientation in a picture that was converted, for `exif_transpose`."""
    picture.getexif()[0x0112] = orientation
    return picture


def to_srgb(image: Any) -> Any:
    """Return an RGB or RGBA picture with the colours that its profile says."""
    has_alpha = "A" in image.mode or "a" in image.mode or "transparency" in image.info
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        image = by_profile(image, profile)
    return image.convert("RGBA" if has_alpha else "RGB")


def by_profile(image: Any, profile: bytes) -> Any:
    """Convert to sRGB by an ICC profile; a broken one is passed over, as browsers do."""
    from PIL import ImageCms

    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, own, srgb, outputMode=mode) or image
    except (ImageCms.PyCMSError, OSError):
        return image


def scaled(picture: Any, width: int, within: tuple[int, int]) -> Any:
    """Scale to a width, or as wide as there is room; sides are even."""
    from PIL import Image

    ratio = min(width / picture.width, within[0] / picture.width, within[1] / picture.height)
    size = [max(2, 2 * round(side * ratio / 2)) for side in picture.size]
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def faded(picture: Any, opacity: float) -> Any:
    """Return the picture with less alpha."""
    picture = picture.convert("RGBA")
    picture.putalpha(picture.getchannel("A").point(lambda value: round(value * opacity)))
    return picture


if __name__ == "__main__":
    main(sys.argv[1])
