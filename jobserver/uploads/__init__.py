"""Bytes on their way in: whole, durable files, or none.

kinds       the file fields, and what each takes
limits      how large an upload may be, and how many are received at once
incoming    one file, whichever protocol brings it
body        what a request sends, in pieces
multipart   the form that browsers and curl send
fingerprint what a form asks for, as one hash
tus         the headers of the protocol of uploads that come in several requests
resumable   what may arrive in them
committed   whole files become durable together
"""

from jobserver.uploads.committed import committed
from jobserver.uploads.fingerprint import Fingerprint, Nowhere, of_json
from jobserver.uploads.incoming import IncomingFile, StoredFile
from jobserver.uploads.limits import UploadLimits, UploadSlots, upload_slot
from jobserver.uploads.multipart import ReceivedForm, UploadParser, receive
from jobserver.uploads.resumable import Arriving, Declared

__all__ = [
    "Arriving",
    "Declared",
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
