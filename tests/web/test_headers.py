"""What every answer says about itself: it is what its type says, and a token is not kept."""

import pytest

from tests.results import Clip, make_job
from tests.support import PASSWORD, Server


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/health"),
        ("GET", "/api/jobs"),
        ("GET", "/nowhere"),
        ("PUT", "/api/jobs"),
        ("GET", "/"),
        ("GET", "/static/style.css"),
        ("POST", "/api/auth"),
    ],
)
def test_no_browser_guesses_a_type(method: str, path: str, server: Server) -> None:
    answer = server.request(method, path)
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]


def test_no_browser_guesses_a_type_of_what_a_token_opens(server: Server) -> None:
    job = make_job(server, Clip())
    for path in ("/api/jobs", job.url, job.download, job.output(), "/api/jobs/none"):
        answer = server.get(path, server.token)
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], path
    server.request("DELETE", job.url, headers=server.bearer(server.token))


def test_no_browser_guesses_a_type_of_what_is_malformed(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        answer = sock.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer


def test_an_answer_with_a_token_is_not_stored(server: Server) -> None:
    answer = server.sign_in(PASSWORD)
    assert "token" in answer.json
    assert answer.headers["Cache-Control"] == "no-store"
