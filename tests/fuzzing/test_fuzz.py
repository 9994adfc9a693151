"""schemathesis finds nothing: some cases of each call here, 10,000 with `make fuzz`."""

import pytest

from tests.fuzzing.run import fuzz
from tests.support import Server

pytestmark = pytest.mark.tools


def test_the_server_answers_any_request_as_the_document_says(own_server: Server) -> None:
    found = fuzz(own_server.start(), examples=3, seed=1)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2000:]
    own_server.check_sound()
