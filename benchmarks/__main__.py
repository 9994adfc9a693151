"""make bench: each figure beside its floor or a peer, taken in turns in one run; one table.

Machines are shared and noisy: ratios of one run say more than figures. Every benchmark takes
the whole product path at its defaults. Beside it stands the least that the work can cost, or
what somebody would use instead: nginx, copyparty, ffmpeg in a loop. wrk is the load.

    python -m benchmarks [--strict] [NAME ...]

Each row is shown on standard error once it is measured, so that a run which is ended early is
not lost. --strict: end with status 1 when a goal is missed.
"""

import argparse
import sys
import time

from benchmarks import (
    briefs,
    latency,
    measuring,
    quality,
    queue,
    receiving,
    rendering,
    results,
    status,
)
from benchmarks.report import table

MODULES = (status, queue, receiving, latency, rendering, measuring, briefs, results, quality)
BENCHMARKS = {benchmark.__name__: benchmark for module in MODULES for benchmark in module.ALL}


def main() -> None:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--strict", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    rows = []
    for name in args.names or BENCHMARKS:
        start = time.monotonic()
        for row in BENCHMARKS[name]():
            print(" | ".join(row.cells()), file=sys.stderr, flush=True)
            rows.append(row)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    missed = [row for row in rows if row.verdict == "missed"]
    print(f"\n{len(rows)} rows, {len(missed)} goals missed")
    sys.exit(1 if args.strict and missed else 0)


if __name__ == "__main__":
    main()
