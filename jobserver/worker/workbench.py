"""What all units of work of a render thread share."""

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from jobserver import render
from jobserver.db import Connection
from jobserver.files.keys import source_key
from jobserver.files.store import Store
from jobserver.jobs.model import Claim


class Workbench(NamedTuple):
    """One a thread. made_with: what the rows of outputs say about their making."""

    db: Connection
    store: Store
    settings: render.Settings
    made_with: str

    def scratch_dir(self, claim: Claim) -> AbstractContextManager[Path]:
        """Give a claim an empty folder; those of its file's earlier claims are removed."""
        return self.store.scratch_dir(
            job_id=claim.job_id, file_id=claim.id, claim_token=claim.claim_token
        )

    def source(self, stored_name: str, cancel: threading.Event) -> AbstractContextManager[Path]:
        """Give the path of an uploaded file. Raises FetchCancelled."""
        return self.store.local_path(source_key(stored_name), cancel)
