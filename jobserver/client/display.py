"""What the command shows: lines and bars for people, JSON lines for programs.

Results go to stdout, progress and errors to stderr. With `--json` each line of either is one
JSON object, and there are no bars.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from jobserver.client.client import OnBytes
from jobserver.client.model import Job, Output


class Display:
    """One command's. as_json: for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._shows_bars = not as_json and sys.stderr.isatty()

    def result(self, line: str, **found: Any) -> None:
        """Show something that was asked for: a line, or its JSON."""
        click.echo(json.dumps(found) if self.as_json else _plain(line))

    def error(self, sentence: str, code: str | None = None) -> None:
        """Say what went wrong."""
        found = {"error": sentence, "code": code}
        click.echo(
            json.dumps(found) if self.as_json else _plain(f"jobserver: {sentence}"), err=True
        )

    def job(self, job: Job) -> None:
        """Show how far a job is."""
        title = f"  {job.title}" if job.title else ""
        done = f"{job.completed}/{job.total}"
        line = f"{job.id}  {job.status:10}  {job.progress:3} %  {done:>7}{title}"
        found = {"jobId": job.id, "status": job.status, "progress": job.progress}
        counts = {"completedVariations": job.completed, "totalVariations": job.total}
        self.result(line, **found, **counts, title=job.title, problems=job.problems)
        if not self.as_json:
            for problem in job.problems:
                click.echo(_plain(f"  {problem}"))

    def file(self, output: Output, path: Path) -> None:
        """Show an output that has been downloaded."""
        self.result(str(path), outputId=output.id, path=str(path), sha256=output.sha256)

    @contextmanager
    def bytes(self, what: str, size: int) -> Iterator[OnBytes]:
        """Give what counts bytes inside `with`, and show a bar on a terminal."""
        with tqdm(
            total=size, desc=what, unit="B", unit_scale=True, disable=not self._shows_bars
        ) as bar:
            yield lambda count: bar.update(count)

    def follow(self, jobs: Iterator[Job]) -> Job:
        """Show a job each time it changes, or its bar; return it as it was last."""
        with tqdm(total=100, unit="%", disable=not self._shows_bars) as bar:
            for job in jobs:
                bar.set_description(f"{job.status}, {job.completed}/{job.total}")
                bar.update(job.progress - bar.n)
                if self.as_json:
                    self.job(job)
        return job


def _plain(text: str) -> str:
    """Return text without what moves a terminal's cursor: a client may have named it."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
