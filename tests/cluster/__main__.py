"""`make cluster`: rounds of faults on a cluster of namespaces; a table of what came of them.

    python -m tests.cluster [--rounds 4] [--faults 25] [--seed N] [--render sleep|ffmpeg]
                            [--longest 75]

--longest: seconds that the store may be away (4, 25, 75, 300). Ends with 1 when a promise was
broken. Needs root: it makes network namespaces, and ends what runs in them.
"""

import argparse
import secrets
import sys
import time
from collections import Counter

from tests.cluster.round import Plan, Report, run


def main() -> None:
    """Run the rounds; print each seed before it, so that a round can be repeated."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--faults", type=int, default=25, help="of a round")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--render", choices=("sleep", "ffmpeg"), default="sleep")
    parser.add_argument("--longest", type=float, default=75.0)
    args = parser.parse_args()
    first = secrets.randbelow(10**6) if args.seed is None else args.seed
    reports = []
    for number in range(args.rounds):
        plan = Plan(first + number, args.faults, args.render, args.longest)
        print(f"{time.strftime('%H:%M:%S')} {plan}", flush=True)
        report = run(plan)
        reports.append(report)
        print(summary(report), flush=True)
    print(table(reports))
    sys.exit(1 if any(report.found.wrong for report in reports) else 0)


def summary(report: Report) -> str:
    """Return what came of a round in a few lines."""
    found = report.found
    lines = [
        f"{len(report.happened)} faults, {len(report.missed)} reached no step: "
        f"{found.jobs} jobs ({found.unanswered} without their 202), {found.outputs} outputs, "
        f"{found.swept} orphans swept, {found.gave_up} files killed three times, "
        f"all completed {report.seconds_to_peace:.1f} s after the last",
        "answers: " + ", ".join(f"{name} x {n}" for name, n in sorted(report.answers.items())),
        *(f"WRONG: {sentence}" for sentence in found.wrong[:20]),
    ]
    return "\n".join(lines)


def table(reports: list[Report]) -> str:
    """Return the faults of all rounds, and what they broke, as a Markdown table."""
    counts = Counter(name for report in reports for name in report.happened)
    width = max(map(len, counts), default=5)
    lines = [f"| {'fault':{width}} | times |", f"|{'-' * (width + 2)}|-------|"]
    lines += [f"| {name:{width}} | {count:5} |" for name, count in sorted(counts.items())]
    lines.append(f"| {'all':{width}} | {counts.total():5} |")
    seeds = ", ".join(str(report.plan.seed) for report in reports)
    jobs = sum(report.found.jobs for report in reports)
    outputs = sum(report.found.outputs for report in reports)
    wrong = sum(len(report.found.wrong) for report in reports)
    lines.append(f"\nseeds {seeds}: {jobs} jobs, {outputs} outputs, {wrong} wrong")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
