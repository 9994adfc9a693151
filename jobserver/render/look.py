"""The filters of a look: what a recipe does to a picture that has been cropped and scaled. Pure.

Which values there are, and what they mean, is said in brief/recipes.py.
"""

from collections.abc import Mapping

# Filters that change the speed of a sound and keep its pitch, the better one first. An operator's
# own ffmpeg may lack it.
STRETCHES = (
    "rubberband=tempo={:.6f}:transients=smooth:window=short:channels=together,",
    "atempo={:.6f},",
)
CLOCK = 90_000  # ticks a second where a source's own cannot hold its times at another speed

_EQ = ("brightness", "contrast", "saturation", "gamma")
_SEEDS = 1_000_003  # of grain: the noise filter takes whole numbers


def picture_filters(values: Mapping[str, float]) -> list[str]:
    """Return the filters for these values, the mirror aside; none of them changes size or time."""
    filters = []
    if "rotation" in values:
        filters.append(f"rotate={values['rotation']:.6f}")
    if colours := _colours(values):
        filters.append("eq=" + ":".join(colours))
    if strength := round(values.get("grain", 0)):
        filters.append(f"noise=c0s={strength}:c0f=t:c0_seed={_seed(values)}")
    return filters


def _colours(values: Mapping[str, float]) -> list[str]:
    """Return the options of the eq filter."""
    options = [f"{name}={values[name]:.6f}" for name in _EQ if name in values]
    if "warmth" in values:
        warmth = values["warmth"]
        options += [f"gamma_r={1 + warmth:.6f}", f"gamma_b={1 - warmth:.6f}"]
    return options


def _seed(values: Mapping[str, float]) -> int:
    """Return which grain it is: another one for each look."""
    return round(sum(1_000_000 * abs(value) for value in values.values())) % _SEEDS


def speed_of(values: Mapping[str, float]) -> float:
    """Return how many seconds of the source one of the look shows."""
    return values.get("speed", 1.0)


def is_mirrored(values: Mapping[str, float]) -> bool:
    """Return whether the look is mirrored left to right."""
    return values.get("mirror", 0.0) >= 0.5
