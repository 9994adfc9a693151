"""The path of one job, one module a step.

views    HTTP in: who may, what is asked
intake   the request body becomes whole, durable files in UPLOAD_DIR
store    one transaction makes them a job: from here on it is promised
views    HTTP out: 202, and later its status
"""

from jobserver.jobs.intake import Limits
from jobserver.jobs.views import UploadRequest, bp, storage_bp

__all__ = ["Limits", "UploadRequest", "bp", "storage_bp"]
