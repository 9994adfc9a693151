"""Whole files become durable together, and stay only if what follows succeeds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from jobserver.errors import OutcomeUnknown
from jobserver.files.keys import source_key
from jobserver.files.store import Store


class Committable(Protocol):
    """A file that is whole; see store.Incoming."""

    @property
    def stored_name(self) -> str:
        """What its key names."""

    def commit(self) -> object:
        """Make it visible. Raises OSError."""


@contextmanager
def committed(store: Store, files: Sequence[Committable]) -> Iterator[None]:
    """Make files durable; delete them if `with` raises.

    They stay when nobody knows whether their rows were written: a job whose sources are gone is
    worse than files without a job, which the sweep takes. Raises OSError.
    """
    try:
        for file in files:
            file.commit()
        store.sync_uploads()
        yield
    except OutcomeUnknown:
        raise
    except BaseException:
        for file in files:
            with suppress(OSError):  # what cannot go now is the sweep's
                store.delete(source_key(file.stored_name))
        raise
