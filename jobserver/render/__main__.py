"""Render without a server, one video in variations or the outputs of a brief:

    python -m jobserver.render IN -n 5 --out DIR
    python -m jobserver.render --brief brief.json --videos DIR [--hooks DIR ...] --out DIR

Files of a folder are taken in the sequence of their names. A manifest.json beside the outputs of a
brief says what each is, and from which seed.
"""

import argparse
import hashlib
import json
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from jobserver.brief.errors import BriefError
from jobserver.brief.parse import parse_recipe
from jobserver.brief.recipes import DEFAULT_RECIPE, RECIPES, UnknownRecipe, shown
from jobserver.brief.stored import to_document
from jobserver.brief.timeline import Timeline, Unmakeable
from jobserver.render import (
    BrokenFont,
    Joined,
    RenderError,
    Settings,
    load_fonts,
    parameters,
    probe,
    render,
    version,
)
from jobserver.render.containers import CONTAINERS
from jobserver.render.offline import FOLDERS, Production, Unusable, Wishes, make, prepare
from jobserver.render.recipe import MAX_VARIATIONS

DEFAULT_COUNT = 5
MANIFEST = "manifest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Render. Return 0, or 1 after writing the reason to stderr in one sentence."""
    args = _parsed(arguments)
    try:
        return _render_brief(args) if args.brief else _render(args)
    except (BriefError, Unusable, BrokenFont) as error:
        sys.stderr.write(f"{error}\n")
    except (RenderError, OSError) as error:
        sys.stderr.write(f"{args.brief or args.file}: {error}\n")
    return 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m jobserver.render",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="IN", type=Path, nargs="?")
    parser.add_argument(
        *("-n", "--variations"),
        dest="count",
        type=int,
        choices=range(1, MAX_VARIATIONS + 1),
        metavar="N",
        help=f"of a video (default: {DEFAULT_COUNT}); beside a brief its looks (default: none)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder, created if missing")
    parser.add_argument("--seed", type=int, help="the same seed gives the same variations")
    parser.add_argument(
        "--recipe",
        type=_recipe,
        default=DEFAULT_RECIPE,
        help=f"{', '.join(RECIPES)}, or ranges as a JSON object (default: {DEFAULT_RECIPE})",
    )
    of_brief = parser.add_argument_group("outputs of a brief")
    of_brief.add_argument("--brief", type=Path, metavar="FILE", help="JSON: what shall vary")
    for name in FOLDERS:
        of_brief.add_argument(f"--{name}", type=Path, metavar="DIR")
    of_brief.add_argument("--title", help="first part of the names")
    of_brief.add_argument("--fonts", type=Path, metavar="DIR", help="fonts beside the bundled one")
    args = parser.parse_args(arguments)
    if args.brief and (args.file or not args.videos):
        parser.error("--brief takes the main clips from --videos")
    if not args.brief and (not args.file or any(getattr(args, name) for name in FOLDERS)):
        parser.error("name one video, or --brief and --videos")
    return args


def _recipe(text: str) -> str:
    """Return the text of a recipe, as brief/recipes.py has it."""
    try:
        return parse_recipe(text)
    except (BriefError, UnknownRecipe) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _settings() -> Settings:
    return Settings(accept=tuple(CONTAINERS))


def _seed(args: argparse.Namespace) -> int:
    return secrets.randbits(32) if args.seed is None else args.seed


def _render(args: argparse.Namespace) -> int:
    """Write IN_var1.mp4, IN_var2.mp4, ...; a name appears only when its video is complete."""
    seed, count = _seed(args), args.count or DEFAULT_COUNT
    settings = _settings()
    media = probe(args.file, settings)
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = [
        (parameters(seed, n, args.recipe), args.out / f"{args.file.stem}_var{n}.part")
        for n in range(1, count + 1)
    ]
    with _Bar(f"seed {seed}") as bar:
        for output in render(args.file, media, wanted, settings, on_progress=bar.show):
            output.path.replace(output.path.with_suffix(".mp4"))
    return 0


def _render_brief(args: argparse.Namespace) -> int:
    """Write the outputs of a brief and their manifest. Return 1 when some cannot be made."""
    settings, fonts = _settings(), load_fonts(args.fonts)
    wishes = Wishes(
        brief=args.brief.read_text(encoding="utf-8"),
        files={role: _files(getattr(args, name)) for name, role in FOLDERS.items()},
        seed=_seed(args),
        recipe=args.recipe,
        variations=args.count,
        title=args.title,
    )
    production = prepare(wishes, settings, fonts)
    args.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".shots-", dir=args.out) as scratch,
        _Bar(f"seed {wishes.seed}") as bar,
    ):
        making = make(
            *(production, args.out, settings, fonts), scratch=Path(scratch), on_progress=bar.show
        )
        made = [_output_entry(timeline, joined) for timeline, joined in making]
    (args.out / MANIFEST).write_text(_manifest(production, made, settings), encoding="utf-8")
    for each in production.failed:
        sys.stderr.write(f"{each.output.name}: {each.reason}\n")
    return 1 if production.failed else 0


def _files(folder: Path | None) -> list[Path]:
    """Return the files of a folder, in the sequence of their names; hidden ones are not meant."""
    if folder is None:
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
    )


def _manifest(production: Production, made: Sequence[Any], settings: Settings) -> str:
    """Return how to make these outputs again, and what each is, as JSON."""
    wishes = production.wishes
    manifest = {
        "title": wishes.title,
        "recipe": shown(production.brief.recipe),
        "seed": wishes.seed,
        "variations": wishes.variations,
        "brief": to_document(production.brief),
        "madeWith": version(settings),
        "sources": [
            {"role": role, "name": path.name, "size": path.stat().st_size, "sha256": _sha256(path)}
            for role, paths in wishes.files.items()
            for path in paths
        ],
        "outputs": made,
        "failedOutputs": [_failed_entry(each) for each in production.failed],
    }
    return json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"


def _output_entry(timeline: Timeline, joined: Joined) -> dict[str, Any]:
    loudness = joined.loudness
    return {
        "path": joined.path.name,
        "axes": timeline.output.axes._asdict(),
        "width": joined.width,
        "height": joined.height,
        "duration": joined.seconds,
        "frames": joined.frames,
        "loudness": loudness
        and {
            "integrated": loudness.integrated,
            "truePeak": loudness.true_peak,
            "limited": loudness.limited,
        },
        "size": joined.path.stat().st_size,
        "sha256": _sha256(joined.path),
    }


def _failed_entry(each: Unmakeable) -> dict[str, Any]:
    output = each.output
    return {"name": output.name, "axes": output.axes._asdict(), "reason": each.reason}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Bar:
    """A bar on stderr, in per cent."""

    def __init__(self, name: str) -> None:
        self._bar: tqdm[NoReturn] = tqdm(total=100, unit="%", desc=name)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, share: float) -> None:
        """Show that a share, 0..1, of the work is done."""
        self._bar.update(round(share * 100) - self._bar.n)


if __name__ == "__main__":
    sys.exit(main())
