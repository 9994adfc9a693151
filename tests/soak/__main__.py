"""`make soak`: 200 clients on one machine while things are killed, frozen, filled and moved.

    python -m tests.soak [--seed N] [--seconds 120] [--clients 200]

Prints a table, and ends with 1 when a promise was broken. The seed decides the faults and what
each client does; when they meet is the machine's. Needs root, or sudo, for a small disk to fill.
"""

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.disk import mounted
from tests.soak import checks
from tests.soak.clients import Clients
from tests.soak.faults import FAULTS, Machine
from tests.support import make_clip

DISK_MIB = 192
QUIET_S = (0.5, 3.0)  # between two faults


class Report(NamedTuple):
    """What came of it. faults: how often each; wrong: sentences."""

    seed: int
    clients: int
    faults: Counter[str]
    answers: Counter[str]
    promised: int
    deleted: int
    outputs: int
    wrong: list[str]


def soak(seed: int, seconds: float, count: int) -> Report:
    """Do one in a folder and on a disk of its own."""
    draw, happened = random.Random(seed), Counter[str]()
    with (
        tempfile.TemporaryDirectory(prefix="jobserver-soak-") as name,
        mounted(Path(name, "disk"), DISK_MIB) as disk,
    ):
        clips = [make_clip(Path(name, f"{n}.mp4"), n, sound=n > 0.4) for n in (0.3, 0.6)]
        contents = [clip.read_bytes() for clip in clips]
        machine = Machine(disk)
        machine.start()
        try:
            clients = Clients(machine.server.port, seed, contents)
            clients.start(count)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(draw.uniform(*QUIET_S))
                fault = draw.choice(list(FAULTS))
                FAULTS[fault](machine, draw)
                happened[fault] += 1
                machine.go_on()
            clients.stop()
            machine.calm()
            wrong = list(checks.steady(machine.server, contents[0]))
            checks.wait_for_ends(machine)
        finally:
            machine.stop()
        machine.server.flask("sweep", "--trust-clock")
        wrong += checks.wrong(machine, clients)
        outputs = machine.server.rows("SELECT COUNT(*) FROM output")[0][0]
    return Report(
        *(seed, count, happened, clients.answers),
        promised=len(clients.promises),
        deleted=len(clients.deleted),
        outputs=outputs,
        wrong=wrong,
    )


def table(report: Report) -> str:
    """Return it as Markdown."""
    requests = report.answers.total()
    no_answer = sum(n for name, n in report.answers.items() if name.endswith("no answer"))
    lines = [
        "| seed | clients | requests | without an answer | faults | jobs promised | deleted "
        "| outputs | lost or wrong |",
        "|---|---|---|---|---|---|---|---|---|",
        f"| {report.seed} | {report.clients} | {requests} | {no_answer} | "
        f"{report.faults.total()} | {report.promised} | {report.deleted} | {report.outputs} | "
        f"{len(report.wrong)} |",
        "",
        "faults: " + ", ".join(f"{name} x {n}" for name, n in sorted(report.faults.items())),
        "answers: " + ", ".join(f"{name} x {n}" for name, n in sorted(report.answers.items())),
        *(f"WRONG: {sentence}" for sentence in report.wrong[:20]),
    ]
    return "\n".join(lines)


def main() -> None:
    """Run one; the seed is printed first, so that it can be repeated."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=200)
    args = parser.parse_args()
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    print(f"seed {seed}", flush=True)
    report = soak(seed, args.seconds, args.clients)
    print(table(report))
    sys.exit(1 if report.wrong else 0)


if __name__ == "__main__":
    main()
