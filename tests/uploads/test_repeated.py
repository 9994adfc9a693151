"""Uploads with Idempotency-Key on real servers: many at once, and SIGKILL at each step.

Whatever happens to the first request, one that repeats it gets a 202, and there is one job.
"""

import http.client
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import (
    FORM_TYPE,
    MP4_HEAD,
    Answer,
    Server,
    file_part,
    form,
    read_answer,
    wait_for,
)
from tests.uploads.test_crash import all_ended

CONTENTS = [MP4_HEAD + bytes([65 + i]) * (100_000 + 1001 * i) for i in range(3)]
BODY = form(*(file_part(each, f"{i}.mp4") for i, each in enumerate(CONTENTS)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that some tests kill and start again; a dead request holds its key for 0.5 s."""
    server = Server(tmp_path_factory.mktemp("repeated"), IDEMPOTENCY_LEASE_S="0.5")
    server.wsgi = "tests.faults:app"
    yield server.start()
    server.stop()


def post(server: Server, key: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post(BODY, {"Idempotency-Key": key, **named})


def jobs_of(server: Server) -> set[str]:
    return {job_id for (job_id,) in server.rows("SELECT id FROM job")}


def check_one_job(server: Server, before: set[str], answer: Answer) -> None:
    assert answer.status == 202, answer.body
    assert jobs_of(server) - before == {answer.json["jobId"]}
    assert server.stored(answer.json["jobId"]) == CONTENTS
    server.check_sound(allowed_5xx=(503,))


@pytest.mark.parametrize(
    ("step", "replayed"),
    [
        pytest.param("commit:1", None, id="the key not taken"),
        pytest.param("committed:1", None, id="the key taken"),
        pytest.param("write:3", None, id="in the middle of the body"),
        pytest.param("fsync:1", None, id="received"),
        pytest.param("commit:2", None, id="the job not committed"),
        pytest.param("committed:2", "true", id="the job committed, not answered"),
    ],
)
def test_a_request_whose_server_was_killed_can_be_repeated(
    server: Server, step: str, replayed: str | None
) -> None:
    before, key = jobs_of(server), f"killed at {step}"
    with all_ended(server), pytest.raises((ConnectionError, http.client.HTTPException)):
        post(server, key, X_Fault=f"{step}:KILL")
    server.start()
    answer = post(server, key)
    assert answer.headers["Idempotent-Replayed"] == replayed
    check_one_job(server, before, answer)
    assert post(server, key).body == answer.body


def test_of_many_at_once_over_several_processes_one_makes_the_job(server: Server) -> None:
    for turn in range(5):
        before, key = jobs_of(server), f"at once {turn}"
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _, key=key: post(server, key), range(12)))
        accepted = [answer for answer in answers if answer.status == 202]
        assert {answer.status for answer in answers} <= {202, 409, 503}
        assert len({answer.body for answer in accepted}) == 1
        replays = Counter(answer.headers["Idempotent-Replayed"] for answer in accepted)
        assert replays[None] == 1
        check_one_job(server, before, accepted[0])


def begin(server: Server, key: str) -> socket.socket:
    """Send a request as far as it takes the key; return the open socket, 1000 bytes into BODY."""
    sock = server.connect()
    head = (
        f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {key}\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Length: {len(BODY)}\r\n"
        f"Content-Type: {FORM_TYPE}\r\n\r\n"
    )
    sock.sendall(head.encode() + BODY[:1000])
    wait_for(lambda: leases(server, key), what="the key to be taken")
    return sock


def leases(server: Server, key: str) -> list[tuple[float]]:
    return server.rows("SELECT lease_until FROM idempotency_key WHERE key = ?", key)


def test_a_client_that_is_silent_loses_its_key_to_the_next(server: Server) -> None:
    """A phone whose line is gone tries again, while the server waits for what it never sends."""
    before = jobs_of(server)
    with begin(server, "silent") as sock:
        answer = post(server, "silent")
        assert answer.headers["Idempotent-Replayed"] is None
        sock.sendall(BODY[1000:])
        late = read_answer(sock)
    assert late.status == 409
    check_one_job(server, before, answer)


def test_a_slow_client_keeps_its_key(server: Server) -> None:
    """Its lease is renewed as the body comes: for longer than it was."""
    before = jobs_of(server)
    with begin(server, "slow") as sock:
        ((first,),) = leases(server, "slow")
        sent = 1000
        while leases(server, "slow")[0][0] < first + 0.6:
            sock.sendall(BODY[sent : sent + 10])
            sent += 10
        sock.sendall(BODY[sent:])
        check_one_job(server, before, read_answer(sock))
