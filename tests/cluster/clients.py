"""Clients that upload through the balancer, and keep what they were promised."""

import hashlib
import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from typing import NamedTuple

from tests.support import FORM_TYPE, MP4_HEAD, PASSWORD, field_part, file_part, form

TIMEOUT_S = 15.0
UNFINISHED = 10  # jobs of all clients; more uploads wait until some have ended


class Promise(NamedTuple):
    """A 202: the job, the SHA-256 of each file, and how many variations."""

    job_id: str
    sources: list[str]
    variations: int


class Clients:
    """Threads that upload until they are stopped. answers: how often each status came."""

    def __init__(self, address: tuple[str, int], seed: int, clips: list[bytes]) -> None:
        """clips: what is sent; none: bytes that only begin like a video."""
        self._address, self._clips, self._seed = address, clips, seed
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads: list[threading.Thread] = []
        self._token: str | None = None
        self.promises: dict[str, Promise] = {}
        self.completed: set[str] = set()
        self.answers: Counter[str] = Counter()

    def start(self, count: int = 3) -> None:
        for number in range(count):
            draw = random.Random(f"{self._seed} {number}")
            thread = threading.Thread(target=self._run, args=(draw,))
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def left(self) -> list[str]:
        """Return the promised jobs that are not seen completed yet."""
        return [job_id for job_id in self.promises if job_id not in self.completed]

    def poll(self) -> None:
        """Ask for the jobs that are not completed."""
        for job_id in self.left():
            status, body = self._request("GET", f"/api/jobs/{job_id}", what="status")
            if status == 200 and body["status"] == "completed":
                self.completed.add(job_id)

    def _run(self, draw: random.Random) -> None:
        while not self._stop.is_set():
            self.poll()
            if len(self.left()) < UNFINISHED:
                self._upload(draw)
            self._stop.wait(draw.uniform(0.1, 0.6))

    def _upload(self, draw: random.Random) -> None:
        contents = [self._content(draw) for _ in range(draw.choice((1, 1, 2, 3)))]
        variations = draw.choice((1, 3, 4))
        parts = [file_part(each, f"clip{n}.mp4") for n, each in enumerate(contents)]
        body = form(*parts, field_part("variations", str(variations)))
        status, answer = self._request("POST", "/api/jobs", body, what="upload")
        if status == 202:
            sums = [hashlib.sha256(each).hexdigest() for each in contents]
            promise = Promise(answer["jobId"], sums, variations)
            with self._lock:
                self.promises[promise.job_id] = promise

    def _content(self, draw: random.Random) -> bytes:
        if self._clips:
            return draw.choice(self._clips)
        size = draw.choice((20_000, 200_000, 200_000, 9_000_000))  # the last in two parts
        return MP4_HEAD + os.urandom(16) + bytes(size)

    def _request(
        self, method: str, path: str, body: bytes | None = None, *, what: str
    ) -> tuple[int, dict]:
        """Return status and JSON; 0 when there was no answer."""
        token = self._signed_in()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": FORM_TYPE}
        try:
            status, answer = self._ask(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError):
            status, answer = 0, {}
        with self._lock:
            self.answers[f"{what} {status or 'no answer'}"] += 1
        return status, answer

    def _signed_in(self) -> str | None:
        if self._token is None:
            body = json.dumps({"password": PASSWORD}).encode()
            with suppress(OSError, http.client.HTTPException, ValueError):
                headers = {"Content-Type": "application/json"}
                status, answer = self._ask("POST", "/api/auth", body, headers)
                self._token = answer["token"] if status == 200 else None
        return self._token

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict]:
        with closing(http.client.HTTPConnection(*self._address, timeout=TIMEOUT_S)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())


def wait_until_completed(clients: Clients, within_s: float) -> list[str]:
    """Poll until every promised job is completed; return those that are not in time."""
    end = time.monotonic() + within_s
    while clients.left() and time.monotonic() < end:
        clients.poll()
        time.sleep(0.3)
    return clients.left()
