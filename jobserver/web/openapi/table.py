"""All routes, by method and rule."""

from jobserver.web.openapi import downloads, operations, services, uploads
from jobserver.web.openapi.model import Operation

OPERATIONS: dict[str, Operation] = {
    **operations.OPERATIONS,
    **downloads.OPERATIONS,
    **services.OPERATIONS,
    **uploads.OPERATIONS,
}
