"""The path of one job, one module a step.

views      HTTP in: who may, what is asked (order)
intake     the request body becomes whole, durable files in UPLOAD_DIR
store      one transaction makes them a job: from here on it is promised
views      HTTP out: 202, and later its status (told)
worker     another process: slots that render, and the housekeeping
slot       claims a file (lease), renders its next variations, publishes them (output)
views      what is ready, as a file or a ZIP (delivery, archive, sending)
expiry     a day later, or for want of space: files and rows go
operating  what an operator asks in a terminal
"""

from jobserver.jobs.intake import Limits
from jobserver.jobs.views import UploadRequest, bp, storage_bp

__all__ = ["Limits", "UploadRequest", "bp", "storage_bp"]
