"""A JSON body, read whole: small, and one object."""

from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from jobserver.brief.document import decode, require_size
from jobserver.brief.errors import BriefError
from jobserver.errors import BodyTooLarge, ClientGone, NotAJsonObject, in_words

NO_OBJECT = "The body must be a JSON object"
WHOLE = ""  # the path of all of it, which no key has


def json_object(max_size: int) -> dict[str, Any]:
    """Return the JSON object that the request has sent; an empty body is an empty one.

    max_size: bytes. Whatever it is declared as, so that `curl -d` works as it stands.
    Raises BodyTooLarge, ClientGone or NotAJsonObject, and BriefError for a key at fault, as one
    that is there twice, or a brief that is too large; a key of a brief is named as if the brief had
    come alone.
    """
    request.max_content_length = max_size
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        raise BodyTooLarge(f"Request too large (at most {in_words(max_size)})") from error
    if len(body) != (request.content_length or len(body)):
        raise ClientGone
    try:
        found = decode(body.decode() or "{}", max_size, whole=WHOLE)
    except UnicodeDecodeError as error:
        raise NotAJsonObject(f"{NO_OBJECT}; it is not UTF-8") from error
    except BriefError as error:
        if error.path == WHOLE:
            raise NotAJsonObject(f"{NO_OBJECT}; it {error.reason}") from error
        raise BriefError(error.path.removeprefix("brief."), error.reason) from error
    if not isinstance(found, dict):
        raise NotAJsonObject(NO_OBJECT)
    if isinstance(found.get("brief"), dict):  # one that is a text is measured when it is read
        require_size(found["brief"])
    return found
