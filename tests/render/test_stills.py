"""Pictures of clients: what they become, and why they are refused."""

import os
import struct
import threading
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from jobserver.render import Cancelled, Settings, Still, probe_still, stills
from jobserver.render.errors import Damaged, MediaError, NotAPicture, TooLarge, Unsupported
from jobserver.render.stills import write_logo, write_still

RED, GREEN, BLUE = (200, 30, 20), (20, 180, 40), (30, 40, 190)


def halves(size=(64, 32), mode="RGB"):
    """Return a picture whose left half is red and right half green."""
    picture = Image.new("RGB", size, RED)
    picture.paste(GREEN, (size[0] // 2, 0, *size))
    return picture.convert(mode)


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves a picture under a name and returns the path."""

    def save(picture, name="picture.png", **options) -> Path:
        path = tmp_path / name
        picture.save(path, **options)
        return path

    return save


@pytest.fixture
def written(tmp_path, settings):
    """Return a function that normalises a picture and opens the result."""

    def write(path) -> Image.Image:
        write_still(path, tmp_path / "out.png", settings)
        with Image.open(tmp_path / "out.png") as picture:
            picture.load()
            return picture

    return write


def close(colour, wanted, tolerance=4):
    return all(abs(a - b) <= tolerance for a, b in zip(colour, wanted, strict=False))


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {}),
        ("a.jpg", "RGB", {"quality": 95, "subsampling": 0}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.png", "P", {}),
        ("a.png", "RGBA", {}),
        ("cmyk.jpg", "CMYK", {"quality": 95, "subsampling": 0}),
        ("named.png.jpg.webp", "RGB", {"format": "PNG"}),
    ],
)
def test_colours_stay(saved, written, name, mode, options):
    picture = halves().quantize(8) if mode == "P" else halves(mode=mode)
    picture = written(saved(picture, name, **options))
    assert close(picture.getpixel((8, 8)), RED, 6)
    assert close(picture.getpixel((56, 8)), GREEN, 6)
    assert picture.mode == ("RGBA" if mode == "RGBA" else "RGB")


def test_16_bits_a_channel_become_8(tmp_path, written):
    """Grey, which Pillow reads as whole numbers, and colours."""
    grey = Image.new("I;16", (8, 8), 0x80FF)
    grey.save(tmp_path / "grey.png")
    assert close(written(tmp_path / "grey.png").getpixel((4, 4)), (0x80, 0x80, 0x80), 1)
    pixels = struct.pack(">3H", 0x20FF, 0x8000, 0xF0F0) * 8
    rows = zlib.compress(b"".join(b"\0" + pixels for _ in range(8)))
    (tmp_path / "rgb.png").write_bytes(png((8, 8, 16, 2), rows))
    assert close(written(tmp_path / "rgb.png").getpixel((4, 4)), (0x20, 0x80, 0xF0), 1)


def png(header: tuple[int, int, int, int], data: bytes, *chunks: bytes) -> bytes:
    """Return a PNG. header: width, height, bits, colour type. data: compressed rows."""
    parts = [chunk(b"IHDR", struct.pack(">2I5B", *header, 0, 0, 0)), *chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", data), chunk(b"IEND", b"")])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_stays(saved, written, settings, mode):
    picture = Image.new("RGBA", (16, 16), (*BLUE, 0))
    picture.paste((*BLUE, 255), (8, 0, 16, 16))
    path = saved(picture.convert(mode) if mode != "P" else picture.quantize(), "clear.png")
    assert probe_still(path, settings).alpha
    result = written(path)
    assert (result.getpixel((2, 2))[3], result.getpixel((12, 2))[3]) == (0, 255)


@pytest.mark.parametrize(
    ("name", "orientation"),
    [*(("a.jpg", n) for n in range(1, 9)), ("a.png", 6), ("a.webp", 6)],
)
def test_pictures_are_turned_upright(saved, written, settings, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(halves(), name, exif=exif, **({"quality": 95} if name != "a.png" else {}))
    size = (64, 32) if orientation < 5 else (32, 64)
    still = probe_still(path, settings)
    assert (still.width, still.height) == still.displayed == size
    picture = written(path)
    assert picture.size == size
    red = {
        1: "left",
        2: "right",
        3: "right",
        4: "left",
        5: "top",
        6: "top",
        7: "bottom",
        8: "bottom",
    }
    places = {"left": (6, 16), "right": (58, 16), "top": (16, 6), "bottom": (16, 58)}
    assert close(picture.getpixel(places[red[orientation]]), RED, 12)
    assert not picture.getexif()


def test_a_colour_profile_is_applied(saved, written):
    """This one says that what is stored as red is green, and the other way round."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    picture = written(saved(Image.new("RGB", (8, 8), RED), icc_profile=swapped))
    assert close(picture.getpixel((4, 4)), (RED[1], RED[0], RED[2]), 6)


def test_a_broken_colour_profile_is_passed_over(saved, written):
    picture = written(saved(Image.new("RGB", (8, 8), RED), icc_profile=b"broken" * 40))
    assert picture.getpixel((4, 4)) == RED


def test_metadata_is_left_behind(saved, written, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    written(saved(halves(), "a.jpg", exif=exif, comment=b"secret"))
    content = (tmp_path / "out.png").read_bytes()
    assert b"where I live" not in content
    assert b"secret" not in content


def test_a_large_picture_is_scaled_down(saved, written, settings):
    path = saved(Image.new("L", (9000, 100), 77), "wide.jpg")
    assert probe_still(path, settings) == Still(width=9000, height=100)
    assert written(path).size == (4096, round(100 * 4096 / 9000))


@pytest.mark.parametrize(
    ("width", "height"), [(30_000, 30_000), (65_000, 1_000), (2**31 - 1, 1), (1, 63_999_999)]
)
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path, settings, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png((width, height, 8, 2), zlib.compress(bytes(10_000))))
    with pytest.raises(TooLarge, match=f"{width} x {height} pixels .at most 64 million"):
        probe_still(path, settings)


def test_data_that_unpack_to_more_than_the_picture_take_no_memory(tmp_path, settings):
    path = tmp_path / "bomb.png"
    bomb = zlib.compressobj(9)
    data = b"".join(bomb.compress(bytes(2**20)) for _ in range(128)) + bomb.flush()
    path.write_bytes(png((8, 8, 8, 2), data))
    assert probe_still(path, settings).width == 8
    text = chunk(b"zTXt", b"a\0\0" + data)
    path.write_bytes(png((8, 8, 8, 2), zlib.compress(bytes(8 * 25)), text))
    with pytest.raises(Damaged):
        probe_still(path, settings)


@pytest.mark.parametrize("name", ["moving.png", "moving.webp"])
def test_an_animation_is_refused(saved, settings, name):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    path = saved(frames[0], name, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(Unsupported, match="animated"):
        probe_still(path, settings)


def test_a_photo_with_a_second_view_is_its_first(saved, written):
    """Phones write JPEGs with more pictures behind the first (MPO)."""
    path = saved(halves(), "phone.jpg", format="MPO", save_all=True, append_images=[halves((8, 8))])
    assert written(path).size == (64, 32)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"<!DOCTYPE html><img src=x>",
        b"GIF89a" + bytes(100),
        b"BM" + bytes(100),
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"push graphic-context\n",
        b"II*\0" + bytes(100),
    ],
)
def test_other_files_are_no_pictures(tmp_path, settings, content):
    path = tmp_path / "named.png"
    path.write_bytes(content)
    with pytest.raises(NotAPicture, match="not a PNG, JPEG or WebP"):
        probe_still(path, settings)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_half_a_picture_is_damaged(saved, settings, name):
    noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))
    path = saved(noise, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match=r"damaged|not a PNG"):
        probe_still(path, settings)


def test_a_logo_has_the_width_that_is_asked_for(saved, tmp_path, settings):
    path, out = saved(halves((100, 50))), tmp_path / "logo.png"
    size = write_logo(path, out, width=41, within=(500, 500), opacity=0.5, settings=settings)
    assert size == (40, 20)
    with Image.open(out) as logo:
        assert logo.size == size
        assert close(logo.getpixel((4, 4)), (*RED, 128), 1)
    size = write_logo(path, out, width=400, within=(60, 20), opacity=1, settings=settings)
    assert size == (40, 20)


def test_a_decoder_reads_no_other_file(tmp_path, settings, monkeypatch):
    """As one that hostile bytes have taken over would try."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    script = tmp_path / "script.py"
    script.write_text(f"print(open({str(secret)!r}).read())")
    monkeypatch.setattr(stills, "_SCRIPT", str(script))
    with pytest.raises(Damaged) as caught:
        probe_still(tmp_path / "any.png", settings)
    assert "PermissionError" in caught.value.detail


def test_a_cancelled_picture_is_not_decoded(saved, settings):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        probe_still(saved(halves()), settings, cancel)


def test_pictures_are_decoded_without_a_sandbox_too(saved):
    assert probe_still(saved(halves()), Settings(sandbox=False)).width == 64
