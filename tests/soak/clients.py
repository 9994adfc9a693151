"""Clients that upload, poll, cancel, download and delete, and keep what they were promised."""

import hashlib
import http.client
import json
import random
import threading
from collections import Counter
from contextlib import closing
from typing import Any

from tests.support import FORM_TYPE, PASSWORD, field_part, file_part, form

TIMEOUT_S = 20.0
UNFINISHED = 12  # jobs of all clients; more uploads wait until some have ended
PAUSE_S = (0.5, 3.0)


class Clients:
    """Threads until they are stopped. answers: how often each came; wrong: sentences."""

    def __init__(self, port: int, seed: int, clips: list[bytes]) -> None:
        self._port, self._seed, self._clips = port, seed, clips
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads: list[threading.Thread] = []
        self._token = ""
        self.promises: dict[str, list[str]] = {}  # SHA-256 of the files of each job
        self.open: set[str] = set()  # jobs that are not seen ended
        self.deleted: set[str] = set()  # also those whose answer was lost
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []

    def start(self, count: int) -> None:
        for number in range(count):
            draw = random.Random(f"{self._seed} {number}")
            thread = threading.Thread(target=self._run, args=(draw,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, draw: random.Random) -> None:
        while not self._stop.is_set():
            if len(self.open) < UNFINISHED and draw.random() < 0.3:
                self._upload(draw)
            elif job_id := self._any_job(draw):
                chance = draw.random()
                if chance < 0.06:
                    self._ask("POST", f"/api/jobs/{job_id}/cancel", what="cancel")
                elif chance < 0.12:
                    self._delete(job_id)
                else:
                    self._look(job_id, draw)
            self._stop.wait(draw.uniform(*PAUSE_S))

    def _any_job(self, draw: random.Random) -> str | None:
        with self._lock:
            jobs = sorted(self.promises.keys() - self.deleted)
        return draw.choice(jobs) if jobs else None

    def _upload(self, draw: random.Random) -> None:
        clips = [draw.choice(self._clips) for _ in range(draw.choice((1, 1, 2)))]
        parts = [file_part(clip, f"clip{n}.mp4") for n, clip in enumerate(clips)]
        body = form(*parts, field_part("variations", str(draw.choice((1, 2, 3)))))
        status, answer = self._ask("POST", "/api/jobs", body, what="upload")
        if status == 202:
            job_id = json.loads(answer)["jobId"]
            with self._lock:
                self.promises[job_id] = [hashlib.sha256(clip).hexdigest() for clip in clips]
                self.open.add(job_id)

    def _delete(self, job_id: str) -> None:
        with self._lock:
            self.deleted.add(job_id)
            self.open.discard(job_id)
        self._ask("DELETE", f"/api/jobs/{job_id}", what="delete")

    def _look(self, job_id: str, draw: random.Random) -> None:
        status, answer = self._ask("GET", f"/api/jobs/{job_id}", what="status")
        if status != 200:
            return
        job: dict[str, Any] = json.loads(answer)
        if job["status"] not in ("queued", "processing"):
            with self._lock:
                self.open.discard(job_id)
        outputs = [output for file in job["files"] for output in file["outputs"]]
        if outputs and draw.random() < 0.3:
            output = draw.choice(outputs)
            path = f"/api/jobs/{job_id}/outputs/{output['id']}"
            status, body = self._ask("GET", path, what="download")
            if status == 200 and hashlib.sha256(body).hexdigest() != output["sha256"]:
                self.wrong.append(f"output {output['id']} came with other bytes")

    def _ask(
        self, method: str, path: str, body: bytes | None = None, *, what: str
    ) -> tuple[int, bytes]:
        """Return status and body; 0 when there was no answer, or not all of it."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": FORM_TYPE}
        try:
            status, answer = self._send(method, path, body, headers)
            if status == 401:  # not signed in yet, or the clock went back
                self._sign_in()
        except (OSError, http.client.HTTPException):
            status, answer = 0, b""
        with self._lock:
            self.answers[f"{what} {status or 'no answer'}"] += 1
        return status, answer

    def _sign_in(self) -> None:
        body = json.dumps({"password": PASSWORD}).encode()
        status, answer = self._send("POST", "/api/auth", body, {"Content-Type": "application/json"})
        if status == 200:
            self._token = json.loads(answer)["token"]

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        with closing(
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        ) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
