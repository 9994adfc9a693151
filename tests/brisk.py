"""jobserver that expects 32 MiB a second of every client: `Server.wsgi = "tests.brisk:app"`."""

from jobserver.serving import client_limits
from wsgi import app

client_limits.MIN_RATE = 32 * 1024 * 1024

__all__ = ["app"]
