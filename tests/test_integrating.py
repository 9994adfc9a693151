"""The programs of docs/integrating.md run as they stand there."""

import re
import time

import pytest

from jobserver.webhooks.signature import secret_text, signed_headers
from tests.support import PROJECT

BODY = b'{"type": "job.completed", "data": {"jobId": "a"}}'


def program(language: str, marker: str) -> str:
    """Return the program of the document that contains this."""
    text = (PROJECT / "docs/integrating.md").read_text()
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", text, re.S) if marker in code]
    assert len(found) == 1
    return found[0]


def test_the_receiver_of_webhooks_takes_each_message_once_and_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", secret_text("key"))
    names = {"__name__": "receiver"}
    exec(program("python", "standardwebhooks"), names)  # noqa: S102
    client = names["app"].test_client()
    headers = dict(signed_headers(["key"], "msg_1", BODY, int(time.time())))
    for _ in range(2):
        assert client.post("/hook", data=BODY, headers=headers).status_code == 204
    assert client.post("/hook", data=BODY + b" ", headers=headers).status_code == 400
    assert capsys.readouterr().out == "job.completed a\n"
