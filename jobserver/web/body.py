"""A JSON body, read whole: small, and one object."""

import json
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from jobserver.errors import BodyTooLarge, ClientGone, InvalidOption, in_words


def json_object(max_size: int) -> dict[str, Any]:
    """Return the JSON object that the request has sent; an empty body is an empty one.

    max_size: bytes. Whatever it is declared as, so that `curl -d` works as it stands.
    Raises BodyTooLarge, ClientGone or InvalidOption.
    """
    request.max_content_length = max_size
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        raise BodyTooLarge(f"Request too large (at most {in_words(max_size)})") from error
    if len(body) != (request.content_length or len(body)):
        raise ClientGone
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidOption("The body must be a JSON object") from error
    if not isinstance(found, dict):
        raise InvalidOption("The body must be a JSON object")
    return found
