"""The command `jobserver`: sends files to a server and fetches what it made of them."""

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from jobserver.client import session
from jobserver.client.client import Client
from jobserver.client.display import Display
from jobserver.client.errors import (
    ApiError,
    ClientError,
    Damaged,
    LocalProblem,
    NotSignedIn,
    ServerUnavailable,
)
from jobserver.client.model import Job, JobRequest

HELP = """Send videos to a jobserver, and fetch the variations that it makes of them.

\b
  jobserver login https://videos.example
  jobserver send clip.mp4 -n 5 --watch --out results
  jobserver jobs

In scripts JOBSERVER_URL with JOBSERVER_PASSWORD or JOBSERVER_KEY (a key of the server's
operator) take the place of login, and --json gives one JSON object a line.
"""
EXIT_CODES = """\b
Exit codes:
  0  done
  1  the job failed, was cancelled, or lacks some of its variations
  2  wrong usage
  3  nobody is signed in, or no longer
  4  the server refuses what was asked for
  5  the server cannot be reached or is not available; try again
  6  a file here cannot be read or written, or came damaged
"""
_CODES: dict[type[Exception], int] = {
    session.NobodySignedIn: 3,
    NotSignedIn: 3,
    ApiError: 4,
    ServerUnavailable: 5,
    LocalProblem: 6,
    Damaged: 6,
    OSError: 6,
    ClientError: 4,
}


def _command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its display by `--json`, and end it by the code of its error."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
    @wraps(function)
    def run(as_json: bool, **given: Any) -> None:
        display = Display(as_json=as_json)
        try:
            function(display, **given)
        except BrokenPipeError:  # of `| head`, which click knows
            raise
        except tuple(_CODES) as error:
            _end(display, error)

    return run


def _end(display: Display, error: Exception) -> NoReturn:
    sentence = str(error)
    if isinstance(error, OSError):
        sentence = f"{error.filename2 or error.filename or 'A file'}: {error.strerror}"
    if isinstance(error, NotSignedIn):
        sentence = f"{sentence}; {session.SIGN_IN}"
    display.error(sentence, getattr(error, "code", None))
    sys.exit(next(code for kind, code in _CODES.items() if isinstance(error, kind)))


@click.group(help=HELP, epilog=EXIT_CODES)
def main() -> None:
    """See HELP."""


@main.command()
@click.argument("url", required=False)
@_command
def login(display: Display, url: str | None) -> None:
    """Sign in at URL for a day, with its password.

    The session is kept in your config folder, readable by you alone. In place of typing it the
    password may stand in JOBSERVER_PASSWORD, and URL in JOBSERVER_URL.
    """
    url = url or os.environ.get("JOBSERVER_URL")
    if url is None:
        raise click.UsageError("Say where: jobserver login https://videos.example")
    client = Client(url)
    password = os.environ.get("JOBSERVER_PASSWORD")
    token = client.sign_in(password or click.prompt("Password", hide_input=True, err=True))
    path = session.keep(url, token)
    display.result(f"Signed in at {url}; kept in {path}", url=url, kept=str(path))


@main.command()
@_command
def logout(display: Display) -> None:
    """Forget the session that login has kept."""
    session.forget()
    display.result("Signed out.", signedOut=True)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@main.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("-n", "--variations", type=int, help="Of each video, 1 to 20; the server's own is 5.")
@click.option("--brief", type=_FILE, help="A JSON file that says what shall vary (docs/brief.md).")
@click.option("--hook", "hooks", multiple=True, type=_FILE, help="A clip played before.")
@click.option("--ending", "endings", multiple=True, type=_FILE, help="A clip or picture after.")
@click.option("--overlay", "overlays", multiple=True, type=_FILE, help="A picture, for a logo.")
@click.option("--music", multiple=True, type=_FILE, help="A sound; each may come several times.")
@click.option("--recipe", help="subtle, classic, bold, or ranges as a JSON object.")
@click.option("--seed", type=int, help="Makes the same variations again.")
@click.option("--title", help="Shown with the job; begins the names of its files.")
@click.option("--webhook", metavar="URL", help="Where the server posts when the job has ended.")
@click.option("--watch", is_flag=True, help="Stay until the job has ended.")
@click.option("--out", type=_FOLDER, help="Stay, and download the results into this folder.")
@_command
def send(
    display: Display,
    files: tuple[Path, ...],
    brief: Path | None,
    watch: bool,
    out: Path | None,
    **given: Any,
) -> None:
    """Upload FILES as one job, and print its id.

    Once the id is printed the server keeps the job, whatever happens here: `status`, `download`
    and `jobs` find it again. When it is interrupted before, the same command goes on where it
    was.
    """
    request = JobRequest(videos=files, brief=_brief(brief), **given)
    client = session.open_client(os.environ)
    size = sum(path.stat().st_size for _, path in request.files())
    with display.bytes("Uploading", size) as on_bytes:
        job_id = client.send(request, on_bytes, begun=session.BegunUploads())
    display.result(job_id, jobId=job_id)
    if watch or out is not None:
        _see_through(display, client, job_id, out)


@main.command()
@click.argument("job_id", metavar="JOB")
@click.option("--watch", is_flag=True, help="Stay until the job has ended.")
@_command
def status(display: Display, job_id: str, watch: bool) -> None:
    """Show how far JOB is, and what could not be made.

    Ends with 1 for a job that has ended without all of its variations.
    """
    client = session.open_client(os.environ)
    if watch:
        _see_through(display, client, job_id, None)
        return
    job = client.job(job_id, outputs=False)
    display.job(job)
    _exit_by(job)


@main.command()
@click.argument("job_id", metavar="JOB")
@click.option("--out", type=_FOLDER, default=Path(), help="Into this folder; here without it.")
@click.option("--watch", is_flag=True, help="Wait until the job has ended.")
@_command
def download(display: Display, job_id: str, out: Path, watch: bool) -> None:
    """Fetch what is finished of JOB, and print the path of each file.

    Files that are here already are not fetched again, and one that was interrupted goes on where
    it stopped. A file has its name only when its SHA-256 is that of the server.
    """
    client = session.open_client(os.environ)
    if watch:
        _see_through(display, client, job_id, out)
        return
    job = client.job(job_id)
    _fetch(display, client, job, out)
    _exit_by(job)


@main.command()
@click.argument("job_id", metavar="JOB")
@_command
def cancel(display: Display, job_id: str) -> None:
    """Stop what waits or runs of JOB; what is finished stays."""
    session.open_client(os.environ).cancel(job_id)
    display.result(f"{job_id} is cancelled.", jobId=job_id, status="cancelled")


@main.command()
@click.option("--limit", default=20, help="How many, newest first; 20 without it.")
@click.option("-q", "--text", help="Those alone whose title contains this.")
@_command
def jobs(display: Display, limit: int, text: str | None) -> None:
    """List the newest jobs: id, status, progress, variations, title."""
    for job in session.open_client(os.environ).jobs(limit=limit, text=text):
        display.job(job)


def _brief(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LocalProblem(f"{path} is no JSON: {error}") from error


def _see_through(display: Display, client: Client, job_id: str, out: Path | None) -> None:
    """Follow a job to its end, fetch its outputs into `out`, and exit as it ended."""
    display.follow(client.watch(job_id))
    job = client.job(job_id)
    if not display.as_json:
        display.job(job)
    if out is not None:
        _fetch(display, client, job, out)
    _exit_by(job)


def _fetch(display: Display, client: Client, job: Job, out: Path) -> None:
    with display.bytes("Downloading", sum(output.size for output in job.outputs)) as on_bytes:
        for output in job.outputs:
            display.file(output, client.download(job.id, output, out, on_bytes))


def _exit_by(job: Job) -> None:
    if job.ended and not job.succeeded:
        sys.exit(1)
