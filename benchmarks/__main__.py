"""make bench: each figure beside its floor, both taken in this run, in turns.

Machines are shared and noisy, so the least disturbed of several rounds counts on each side,
and a ratio says more than a figure. Names of benchmarks as words run just those.
"""

import sys

from benchmarks import quality, render, results, web

ALL = (*web.ALL, *render.ALL, *results.ALL, *quality.ALL)
BENCHMARKS = {benchmark.__name__: benchmark for benchmark in ALL}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
