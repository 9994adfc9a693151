"""schemathesis against a server of its own: `python -m tests.fuzzing [--cases N] [--seed N]`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzzing.run import fuzz
from tests.support import Server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="at least, of all calls together")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            found = fuzz(server, examples=arguments.cases, seed=arguments.seed)
        finally:
            server.stop()
    print(found.stdout)
    return found.returncode


if __name__ == "__main__":
    sys.exit(main())
