"""What PostgreSQL and its driver say, as our classes.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import psycopg

from jobserver.db.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
)

_BUSY = frozenset(
    {
        "55P03",  # lock_not_available: lock_timeout
        "57014",  # query_canceled: statement_timeout
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
    }
)
_UNAVAILABLE = (
    "08",  # connection exceptions
    "28",  # a password that does not fit any more
    "3D",  # no such database
    "53",  # out of memory, too many connections; a full disk is another class
    "57P",  # shut down, or starting
    "58",  # its disk or its system fails
    "XX",  # damaged
    "25006",  # read-only: a standby
    "25P03",  # idle_in_transaction_session_timeout
)
_FULL = "53100"


def translate(error: psycopg.Error) -> Exception:
    """Return the class of ours that names `error`; an error that is a bug stays what it is.

    The driver's own words are kept as the cause, for the log.
    """
    code = error.sqlstate or ""
    if isinstance(error, psycopg.IntegrityError):
        return ConstraintViolated(str(error))
    if code in _BUSY:
        return DatabaseBusy()
    if code == _FULL:
        return DatabaseFull()
    if code.startswith(_UNAVAILABLE):
        return DatabaseUnavailable()
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and not code:
        return DatabaseUnavailable()  # of the driver itself: the server does not answer
    return error


def reason(error: BaseException) -> str:
    """Return what is wrong in one line, for an operator: the server's words without its address."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[0] if lines else type(error).__name__
    for line in lines:  # several addresses of a name are tried one after the other
        if "FATAL:" in line:
            last = line
    return last.rpartition("FATAL:")[2].strip()
