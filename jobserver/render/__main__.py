"""`python -m jobserver.render IN -n 5 --out DIR`: render without a server."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from jobserver.render import RenderError, Settings, parameters, probe, render
from jobserver.render.containers import CONTAINERS
from jobserver.render.recipe import DEFAULT_RECIPE, MAX_VARIATIONS, RECIPES


def main(arguments: Sequence[str] | None = None) -> int:
    """Render one file. Return 0, or 1 after writing the reason to stderr in one sentence."""
    args = _parser().parse_args(arguments)
    try:
        _render(args)
    except (RenderError, OSError) as error:
        sys.stderr.write(f"{args.file}: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobserver.render", description=__doc__)
    parser.add_argument("file", metavar="IN", type=Path)
    parser.add_argument(
        "-n", dest="count", type=int, default=5, choices=range(1, MAX_VARIATIONS + 1), metavar="N"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder, created if missing")
    parser.add_argument("--seed", type=int, help="the same seed gives the same variations")
    parser.add_argument("--recipe", choices=RECIPES, default=DEFAULT_RECIPE)
    return parser


def _render(args: argparse.Namespace) -> None:
    """Write IN_var1.mp4, IN_var2.mp4, ...; a name appears only when its video is complete."""
    seed = secrets.randbits(32) if args.seed is None else args.seed
    settings = Settings(accept=tuple(CONTAINERS))
    media = probe(args.file, settings)
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = [
        (parameters(seed, n, args.recipe), args.out / f"{args.file.stem}_var{n}.part")
        for n in range(1, args.count + 1)
    ]
    bar: tqdm[NoReturn] = tqdm(total=100, unit="%", desc=f"seed {seed}")

    def show(share: float) -> None:
        bar.update(round(share * 100) - bar.n)

    with bar:
        for output in render(args.file, media, wanted, settings, on_progress=show):
            output.path.replace(output.path.with_suffix(".mp4"))


if __name__ == "__main__":
    sys.exit(main())
