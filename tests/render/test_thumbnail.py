import re

import pytest

from jobserver.render import thumbnail

from .conftest import described


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("plain", "320x240"),
        ("wide-pixels", "320x180"),
        ("container-shape", "320x320"),
        ("portrait", "320x426"),
        ("flat", "320x2"),
        ("tall", "320x3200"),
    ],
)
def test_a_thumbnail_has_the_display_aspect_ratio(clip, settings, tmp_path, name, size):
    out = tmp_path / "picture.webp"
    thumbnail(clip(name), out, settings)
    assert re.search(rb", (\d+x\d+)", described(out))[1].decode() == size
