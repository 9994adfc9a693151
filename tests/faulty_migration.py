"""migrate-to with a fault: `python -m tests.faulty_migration STEP migrate-to ...`.

The process kills itself at its step: moved (the source is out of use), file (some files are
noted as copied), row (some tables are copied), copied (committed, nothing is said yet).
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from flask.cli import ScriptInfo

from jobserver import create_app
from jobserver.db import transfer


def killed_after(call: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Return the call, whose count-th return never happens."""
    calls = iter(range(1, count + 1))

    def called(*args: Any, **named: Any) -> Any:
        result = call(*args, **named)
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()
        return result

    return called


STEPS = {
    "moved": ("put_out_of_use", 1),
    "file": ("note_copied_file", 3),
    "row": ("_copy_table", 5),
    "copied": ("copy_rows", 1),
}

if __name__ == "__main__":
    name, count = STEPS[sys.argv[1]]
    setattr(transfer, name, killed_after(getattr(transfer, name), count))
    create_app().cli.main(args=sys.argv[2:], obj=ScriptInfo(create_app=create_app))
