"""Tokens that are almost right."""

import itsdangerous


def altered_tokens(token: str) -> dict[str, str]:
    """Return what is not a token but was made of one, by what was done to it."""
    payload, timestamp, signature = token.split(".")
    other_key = itsdangerous.URLSafeTimedSerializer("other key", salt="jobserver.auth")
    return {
        "truncated": token[:-5],
        "without its signature": f"{payload}.{timestamp}.",
        "without its time": f"{payload}.{signature}",
        "of another time": f"{payload}.AAAAAA.{signature}",
        "of another payload": f"x{payload}.{timestamp}.{signature}",
        "with its signature reversed": f"{payload}.{timestamp}.{signature[::-1]}",
        "doubled": f"{token}{token}",
        "of another key": str(other_key.dumps("signed in")),
        "of 10 KB": "x" * 10_240,
        "of dots": "." * 100,
        "compressed": f".{token}",
        "the password": "correct horse",
        "a JSON web token without a signature": "eyJhbGciOiJub25lIn0.e30.",
        "of letters that are no ASCII": "\xe9\xff",
    }
