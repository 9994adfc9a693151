"""Bytes on their way in: whole, durable files, or none.

limits      how large an upload may be, and how many are received at once
incoming    one video, whichever protocol brings it
multipart   the form that browsers and curl send
"""

from jobserver.uploads.incoming import IncomingFile, StoredFile
from jobserver.uploads.limits import UploadLimits, UploadSlots, upload_slot
from jobserver.uploads.multipart import ReceivedForm, UploadParser, receive

__all__ = [
    "IncomingFile",
    "ReceivedForm",
    "StoredFile",
    "UploadLimits",
    "UploadParser",
    "UploadSlots",
    "receive",
    "upload_slot",
]
