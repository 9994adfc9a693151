"""What docs/operations.md says can be done as it says."""

import re
from contextlib import closing

import pytest

from tests.support import PROJECT, Site

pytestmark = pytest.mark.both_databases
DOC = (PROJECT / "docs" / "operations.md").read_text()


def queries() -> list[str]:
    """The statement for autoscalers: as SQL, and in KEDA's object."""
    return [
        *re.findall(r"```sql\n(.*?)\n```", DOC, re.S),
        *re.findall(r"^ +query: (.*)$", DOC, re.M),
    ]


def test_the_query_for_autoscalers_is_the_number_of_unfinished_videos(
    site: Site, clip: bytes
) -> None:
    first, second = queries()
    assert first == second
    assert site.rows(first) == [(0,)]
    job_id = site.upload(clip, clip)
    site.upload(clip)
    assert site.rows(first) == [(3,)]
    with closing(site.connect()) as db:
        found = db.value(first)
    assert (found, type(found)) == (3, int)
    site.post_action(job_id, "cancel")
    assert site.rows(first) == [(1,)]
    site.post_action(job_id, "retry")
    assert site.rows(first) == [(3,)]
