"""Webhooks are signed as the public library verifies them."""

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from jobserver.webhooks.signature import secret_text, signed_headers

BODY = '{"title": "Größe"}'.encode()


def test_the_library_verifies_what_we_sign() -> None:
    headers = dict(signed_headers(["key"], "msg_1", BODY, int(time.time())))
    assert Webhook(secret_text("key")).verify(BODY, headers) == {"title": "Größe"}
    for name, value in (("webhook-id", "msg_2"), ("webhook-timestamp", str(int(time.time()) - 9))):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret_text("key")).verify(BODY, {**headers, name: value})
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text("key")).verify(BODY + b" ", headers)


def test_while_a_key_is_exchanged_both_secrets_verify() -> None:
    headers = dict(signed_headers(["new", "old"], "msg_1", BODY, int(time.time())))
    for key in ("new", "old"):
        assert Webhook(secret_text(key)).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text("other")).verify(BODY, headers)
