"""A bare Flask view under the same gunicorn: the least that an answer of ours can cost."""

from flask import Flask

ANSWER = {"jobId": "QwMYtVd3eX3MsKw5yJgw2d", "status": "queued"}

constant = Flask(__name__)


@constant.route("/<path:path>", methods=["GET", "POST"])
def answer(path):
    """Return a constant: what Flask itself costs."""
    return ANSWER
