"""One short round in the ordinary run; `make cluster` does many, with every kind of fault."""

import pytest

from tests.cluster.round import Plan, run

pytestmark = pytest.mark.tools


def test_a_short_round_keeps_every_promise() -> None:
    report = run(Plan(seed=1, count=3, longest_store_outage_s=4.0))
    assert report.found.wrong == []
    assert len(report.happened) == 3, report.missed
    assert report.found.jobs > 5
    assert report.found.outputs > 20
