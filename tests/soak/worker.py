"""tests.faulty_worker by the clock of the soak."""

import runpy

from tests.soak import clock

clock.move()
runpy.run_module("tests.faulty_worker", run_name="__main__")
