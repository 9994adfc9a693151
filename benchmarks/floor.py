"""The floors: the least a WSGI app under the same gunicorn can do. See __main__.py."""

import os
import tempfile

from flask import Flask

READ_SIZE = 1024 * 1024
ANSWER = {"jobId": "QwMYtVd3eX3MsKw5yJgw2d", "status": "queued"}

constant = Flask(__name__)


@constant.get("/<path:path>")
def answer(path):
    """Return a constant: what Flask itself costs."""
    return ANSWER


def copy(environ, start_response):
    """Copy wsgi.input to a file in 1 MiB pieces and sync it: what receiving itself costs."""
    if environ["REQUEST_METHOD"] == "POST":
        with tempfile.NamedTemporaryFile(dir=os.environ["UPLOAD_DIR"], buffering=0) as file:
            while piece := environ["wsgi.input"].read(READ_SIZE):
                file.write(piece)
            os.fdatasync(file.fileno())
    start_response("200 OK", [("Content-Length", "0")])
    return []
