"""wsgi.py by the clock of the soak."""

from tests.soak import clock

clock.move()

from wsgi import app  # noqa: E402

__all__ = ["app"]
