"""A chart of 24 flat patches, encoded with the colours of different cameras, and read again."""

from pathlib import Path

from .conftest import ffmpeg

# The colours of a ColorChecker in BT.709, 8 bits full range.
PATCHES = [
    (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177),
    (103, 189, 170), (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64),
    (224, 163, 46), (56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149),
    (8, 133, 161), (243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121),
    (85, 85, 85), (52, 52, 52),
]  # fmt: skip
COLUMNS, ROWS, SIDE = 6, 4, 16
SIZE = (COLUMNS * SIDE, ROWS * SIDE)
FROM_CHART = "format=gbrp,zscale=matrixin=gbr:primariesin=709:transferin=709:rangein=full"
TO_RGB = (
    "zscale=matrixin=709:primariesin=709:transferin=709:rangein=limited:matrix=gbr:"
    "primaries=709:transfer=709:range=full,"
    "format=gbrp,format=rgb24"
)
Patches = list[tuple[float, ...]]


def make_chart(out: Path, conversion: str, *options: str) -> Path:
    """Encode five frames. conversion: options of zscale that follow its input's."""
    raw = out.with_suffix(".rgb")
    raw.write_bytes(b"".join(_row(y) for y in range(SIZE[1])) * 5)
    size = "{}x{}".format(*SIZE)
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "5", "-i", raw)
    ffmpeg(*source, "-vf", f"{FROM_CHART}:{conversion}", *options, out)
    return out


def read_chart(path: Path, conversion: str = "null") -> Patches:
    """Return the mean colour of each patch of the first frame, decoded as BT.709.

    conversion: filters before that.
    """
    filters = f"{conversion},{TO_RGB}"
    raw = ffmpeg("-i", path, "-vf", filters, "-frames:v", "1", "-f", "rawvideo", "-")
    return [_mean(raw, column, row) for row in range(ROWS) for column in range(COLUMNS)]


def mean_error(one: Patches, other: Patches) -> float:
    """Return the mean difference of two charts, of 255."""
    pairs = [(a, b) for p, q in zip(one, other, strict=True) for a, b in zip(p, q, strict=True)]
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


def _row(y: int) -> bytes:
    first = y // SIDE * COLUMNS
    return b"".join(bytes(patch) * SIDE for patch in PATCHES[first : first + COLUMNS])


def _mean(raw: bytes, column: int, row: int) -> tuple[float, ...]:
    """Average the middle of a patch, where no neighbour bleeds in."""
    inner = range(SIDE // 4, SIDE - SIDE // 4)
    places = [3 * ((row * SIDE + y) * SIZE[0] + column * SIDE + x) for y in inner for x in inner]
    return tuple(sum(raw[at + c] for at in places) / len(places) for c in range(3))
