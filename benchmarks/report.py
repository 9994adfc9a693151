"""How a figure and its floor are taken and printed."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import WORKERS, Server

ROUNDS = 5


@contextmanager
def running(
    wsgi: str = "wsgi:app", token_of: Server | None = None, worker_count: int = WORKERS
) -> Iterator[Server]:
    """Start gunicorn with the project's configuration in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), GUNICORN_CMD_ARGS=f"--workers {worker_count}")
        server.wsgi, server.worker_count = wsgi, worker_count
        server.start()
        if token_of is not None:
            server.use_token(token_of.token)
        try:
            yield server
        finally:
            server.stop()


def best_of_each(
    measure: Callable[[Server], float], ours: Server, floor: Server, best: Callable[..., float]
) -> tuple[float, float]:
    """Measure both in turns; return the least disturbed round of ours and of the floor."""
    rounds = [(measure(ours), measure(floor)) for _ in range(ROUNDS)]
    return best(mine for mine, _ in rounds), best(floors for _, floors in rounds)


def report(what: str, unit: str, goal: str, ours: float, floor: float) -> None:
    """Print our figure, the floor's, and their ratio with what it should be."""
    print(
        f"{what}: {ours:.3g} {unit}, floor {floor:.3g} {unit}, ratio {ours / floor:.2f} ({goal})",
        flush=True,
    )
