"""What an object store can answer instead of an object, as our own errors with one sentence.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import errno
import os
from typing import Any

from jobserver.errors import StoreUnreachable

NO_OBJECT = frozenset({"NoSuchKey", "NotFound", "404"})
FULL = frozenset({"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "507"})
_OTHER_REGION = "the bucket {bucket} is in another region{region}: set AWS_DEFAULT_REGION"
_WRONG_KEY = "the store does not accept the credentials (AWS_ACCESS_KEY_ID and its secret)"
_NOT_PERMITTED = "the store does not permit {operation} in the bucket {bucket}"
_REASONS = {
    "NoSuchBucket": "there is no bucket {bucket}",
    "AccessDenied": _NOT_PERMITTED,
    "AllAccessDisabled": _NOT_PERMITTED,
    "403": _NOT_PERMITTED,
    "InvalidAccessKeyId": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_KEY,
    "InvalidToken": _WRONG_KEY,
    "ExpiredToken": "the credentials for the store have expired",
    "RequestTimeTooSkewed": (
        "the clocks of this machine and of the store differ by more than 15 minutes"
    ),
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "PermanentRedirect": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
    "301": _OTHER_REGION,
    "NoCredentialsError": "there are no credentials for the store (AWS_ACCESS_KEY_ID)",
    "PartialCredentialsError": "the credentials for the store lack a part",
    "InvalidRegionError": "AWS_DEFAULT_REGION is no name of a region",
}


def translate(error: Exception, bucket: str, key: str) -> OSError:
    """Return FileNotFoundError, an OSError of a full disk, or StoreUnreachable with its reason.

    error: a ClientError or BotoCoreError of botocore; what it carries says which.
    """
    response: dict[str, Any] = getattr(error, "response", None) or {}
    details = response.get("Error", {})
    code = str(details.get("Code") or type(error).__name__)
    if code in NO_OBJECT:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)
    if code in FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), key)
    region = f" ({details['Region']})" if details.get("Region") else ""
    operation = getattr(error, "operation_name", "it")
    if code in _REASONS:
        reason = _REASONS[code].format(bucket=bucket, region=region, operation=operation)
    elif response:
        reason = f"the store answers {operation} with {code} ({details.get('Message', '')})"
    else:
        reason = f"the store does not answer ({error})"
    return unreachable(reason)


def unreachable(reason: str) -> StoreUnreachable:
    """Return the error whose sentence names the setting."""
    return StoreUnreachable(f"STORAGE_URL cannot be used: {' '.join(reason.split())}")
