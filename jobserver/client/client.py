"""What the API offers, as methods with types. docs/integrating.md shows them in use."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

from jobserver.client import fetch
from jobserver.client.model import Job, JobRequest, Output
from jobserver.client.resumable import Begun
from jobserver.client.submit import submit
from jobserver.client.transport import FIRST_WAIT_S, Body, Transport

POLL_S = (0.5, 5.0)  # the first wait between two looks at a job, and the longest
OnBytes = Callable[[int], object]


def _nothing(_bytes: int) -> None:
    """Show no progress."""


class Client:
    """A server and who is signed in there.

    Every method may raise ApiError, NotSignedIn or ServerUnavailable.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """token: of sign_in(), or a key. timeout_s: without a byte. Raises ClientError."""
        self._transport = Transport(url, timeout_s=timeout_s, sleep=sleep)
        self._transport.token = token
        self._sleep = sleep

    def sign_in(self, password: str) -> str:
        """Sign in, and return the token, which is good for a day."""
        body = Body.of_json({"password": password})
        token: str = self._transport.call("POST", "/api/auth", body=body).json["token"]
        self._transport.token = token
        return token

    def send(
        self, request: JobRequest, on_bytes: OnBytes = _nothing, *, begun: Begun | None = None
    ) -> str:
        """Upload files as one job, and return its id: from then on the server keeps it.

        on_bytes: called with how many bytes of files were sent, negative when they are sent
        again. begun: what an interrupted call has left there is gone on with, file by file.
        Repeated with one Idempotency-Key, so a bad line never makes two jobs. Raises
        LocalProblem for a file that cannot be read.
        """
        return submit(
            self._transport,
            request,
            on_bytes,
            begun={} if begun is None else begun,
            pause=self._pause,
        )

    def job(self, job_id: str, *, outputs: bool = True) -> Job:
        """Return a job. outputs: with its outputs."""
        query = "" if outputs else "?outputs=false"
        return Job.from_json(self._transport.call("GET", f"{_path(job_id)}{query}").json)

    def jobs(self, *, limit: int = 50, text: str | None = None) -> Iterator[Job]:
        """Yield the newest jobs, newest first, as many as there are up to `limit`.

        text: those alone whose title contains it. They have no outputs here.
        """
        before: str | None = None
        while limit > 0:
            asked = {"limit": min(limit, 50), "before": before, "q": text}
            query = urlencode({name: value for name, value in asked.items() if value is not None})
            answer = self._transport.call("GET", f"/api/jobs?{query}")
            page = [Job.from_json(each) for each in answer.json]
            yield from page
            if not page or answer.headers["Link"] is None:
                return
            limit, before = limit - len(page), page[-1].id

    def watch(self, job_id: str) -> Iterator[Job]:
        """Yield a job, without its outputs, each time it has changed, until it has ended."""
        wait_s, etag = POLL_S[0], ""
        while True:
            headers = {"If-None-Match": etag} if etag else {}
            path = f"{_path(job_id)}?outputs=false"
            answer = self._transport.call("GET", path, headers=headers)
            if answer.status == 304:
                wait_s = min(wait_s * 1.5, POLL_S[1])
            else:
                wait_s, etag = POLL_S[0], answer.headers["ETag"] or ""
                job = Job.from_json(answer.json)
                yield job
                if job.ended:
                    return
            self._sleep(wait_s)

    def wait(self, job_id: str) -> Job:
        """Return a job, with its outputs, once it has ended."""
        for _ in self.watch(job_id):
            pass
        return self.job(job_id)

    def cancel(self, job_id: str) -> None:
        """Stop what waits or runs of a job; what is finished stays."""
        self._transport.call("POST", f"{_path(job_id)}/cancel", repeats=False)

    def retry(self, job_id: str) -> None:
        """Queue again what has failed or was cancelled of a job."""
        self._transport.call("POST", f"{_path(job_id)}/retry", repeats=False)

    def download(
        self, job_id: str, output: Output, folder: str | Path, on_bytes: OnBytes = _nothing
    ) -> Path:
        """Return the path of an output in `folder`, complete and with the SHA-256 of the server.

        What an interrupted call left is gone on with. on_bytes: as of send(). Raises Damaged,
        or LocalProblem when another file has its name.
        """
        return fetch.fetch(
            self._transport,
            job_id,
            output,
            Path(folder),
            on_bytes=on_bytes,
            pause=self._pause,
        )

    def _pause(self, failed: int) -> None:
        self._sleep(FIRST_WAIT_S * 2 ** (failed - 1))


def _path(job_id: str) -> str:
    return f"/api/jobs/{quote(job_id, safe='')}"
