"""Fonts of other scripts, from packages of the test extra."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from jobserver.render.text import Fonts, load_fonts

PACKAGES = {
    "arabic": "fontpkg_noto_sans_arabic",
    "devanagari": "fontpkg_noto_sans_devanagari",
    "rubik": "fontpkg_rubik",  # Latin, Cyrillic, Hebrew and Arabic
}


def font_file(name: str) -> Path:
    """Return the upright font of a package."""
    spec = find_spec(PACKAGES[name])
    assert spec
    assert spec.origin
    files = (Path(spec.origin).parent / "files").glob("*.ttf")
    return next(path for path in files if "Italic" not in path.name)


@pytest.fixture
def fonts_dir(tmp_path: Path):
    """Return a function that makes a folder of these fonts."""

    def make(*names: str) -> Path:
        folder = tmp_path / "fonts"
        folder.mkdir(exist_ok=True)
        for name in names:
            shutil.copy(font_file(name), folder / f"{name}.ttf")
        return folder

    return make


@pytest.fixture(scope="session")
def bundled() -> Fonts:
    """Return the fonts of a server without FONTS_DIR."""
    return load_fonts()
