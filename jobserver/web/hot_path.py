"""What makes a status call cheap: pages poll it, so it is nearly all that a server does.

Each thing here replaces a plain call that gives the same result, and can be replaced by it
again. Figures are in ARCHITECTURE.md, Decisions, web.
"""

import random
import re
from functools import cache, lru_cache

import orjson
from flask import current_app, g

from jobserver.auth.links import LinkSigner
from jobserver.auth.tokens import Token, TokenSigner
from jobserver.times import iso_utc

to_json = orjson.dumps  # several times faster than Flask's; embeds what is encoded already


def request_id() -> str:
    """Return the id of the current request, 16 hexadecimal digits; made when first asked for.

    It guards nothing, so it is not worth the system call of a secret one, at which a thread
    lets go of the interpreter. `random` is seeded anew in each forked worker.
    """
    if "request_id" not in g:
        g.request_id = new_request_id()
    return str(g.request_id)


def new_request_id() -> str:
    """Return another one; see request_id()."""
    return f"{random.getrandbits(64):016x}"


@lru_cache(maxsize=4096)  # of a job that is asked for again, most times are the same
def timestamp(seconds: float | None) -> str | None:
    """Return a time as times.iso_utc() does, None for None."""
    return None if seconds is None else iso_utc(seconds)


@cache
def path_pattern(endpoint: str) -> str:
    """Return the route of an endpoint as a format; for 400 links url_for() costs milliseconds."""
    rule = next(current_app.url_map.iter_rules(endpoint)).rule
    return re.sub(r"<(\w+)>", r"{\1}", rule)


# Both derive keys from a password, which costs more than to sign with them.
token_signer = cache(TokenSigner)
link_signer = cache(LinkSigner)


@lru_cache(maxsize=1024)
def verified(keys: tuple[str, ...], password: str, token: str) -> Token:
    """Return what a genuine token says; verified once a process.

    Verifying costs as much as all the rest of a status call. Raises InvalidToken, which is not
    cached, and neither is a token's age.
    """
    return token_signer(keys, password).verify(token)


@lru_cache(maxsize=8192)
def link_signature(signer: LinkSigner, text: str) -> str:
    """Sign once a process: a job of 200 outputs shows 400 links, and is asked for again."""
    return signer.signature(text)
