"""jobserver that expects 32 MiB a second of every client: `Server.wsgi = "tests.brisk:app"`."""

from jobserver import timeouts
from wsgi import app

timeouts.SLOWEST = 32 * 1024 * 1024

__all__ = ["app"]
