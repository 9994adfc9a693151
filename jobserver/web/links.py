"""Signed addresses of files, for players and pictures that send no token."""

import time

from flask import request

from jobserver.web.auth import link_signer
from jobserver.web.hot_path import path_pattern
from jobserver.web.schemas import Link


def links() -> Link:
    """Return what makes signed addresses; only the path below our prefix is signed."""
    prefix, sign = request.script_root, link_signer(time.time())

    def link(endpoint: str, **ids: str) -> str:
        return prefix + sign(path_pattern(endpoint).format(**ids))

    return link
