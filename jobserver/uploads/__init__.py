"""Bytes on their way in: whole, durable files, or none.

kinds       the file fields, and what each takes
limits      how large an upload may be, and how many are received at once
incoming    one file, whichever protocol brings it
multipart   the form that browsers and curl send
fingerprint what a form asks for, as one hash
committed   whole files become durable together
"""

from jobserver.uploads.committed import committed
from jobserver.uploads.fingerprint import Fingerprint, Nowhere, of_json
from jobserver.uploads.incoming import IncomingFile, StoredFile
from jobserver.uploads.limits import UploadLimits, UploadSlots, upload_slot
from jobserver.uploads.multipart import ReceivedForm, UploadParser, receive

__all__ = [
    "Fingerprint",
    "IncomingFile",
    "Nowhere",
    "ReceivedForm",
    "StoredFile",
    "UploadLimits",
    "UploadParser",
    "UploadSlots",
    "committed",
    "of_json",
    "receive",
    "upload_slot",
]
