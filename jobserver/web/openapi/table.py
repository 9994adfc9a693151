"""All routes, by method and rule."""

from jobserver.web.openapi import downloads, operations
from jobserver.web.openapi.model import Operation

OPERATIONS: dict[str, Operation] = {
    **operations.OPERATIONS,
    **downloads.OPERATIONS,
}
