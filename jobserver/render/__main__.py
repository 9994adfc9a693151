"""`python -m jobserver.render IN -n 5 --out DIR`: render without a server."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from jobserver.render import RenderError, Settings, parameters, probe, render
from jobserver.render.recipe import DEFAULT_RECIPE, MAX_VARIATIONS, RECIPES


def main(arguments: Sequence[str] | None = None) -> int:
    """Render one file; return 0, or 1 after one sentence on stderr saying why not."""
    asked = _parser().parse_args(arguments)
    try:
        _render(asked)
    except (RenderError, OSError) as error:
        sys.stderr.write(f"{asked.file}: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobserver.render", description=__doc__)
    parser.add_argument("file", metavar="IN", type=Path)
    parser.add_argument(
        "-n", dest="count", type=int, default=5, choices=range(1, MAX_VARIATIONS + 1), metavar="N"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder, made when missing")
    parser.add_argument("--seed", type=int, help="the same seed gives the same variations")
    parser.add_argument("--recipe", choices=RECIPES, default=DEFAULT_RECIPE)
    return parser


def _render(asked: argparse.Namespace) -> None:
    """Write IN_var1.mp4, IN_var2.mp4...; a name appears once its video is whole."""
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    settings = Settings()
    media = probe(asked.file, settings)
    asked.out.mkdir(parents=True, exist_ok=True)
    names = [asked.out / f"{asked.file.stem}_var{n + 1}.mp4" for n in range(asked.count)]
    wanted = [
        (parameters(seed, n, asked.recipe), name.with_suffix(".part"))
        for n, name in enumerate(names, 1)
    ]
    bar: tqdm[NoReturn] = tqdm(total=100, unit="%", desc=f"seed {seed}")
    with bar:
        for output in render(
            asked.file, media, wanted, settings, lambda share: _advance(bar, share)
        ):
            output.path.replace(output.path.with_suffix(".mp4"))


def _advance(bar: "tqdm[NoReturn]", share: float) -> None:
    bar.update(round(share * 100) - bar.n)


if __name__ == "__main__":
    sys.exit(main())
