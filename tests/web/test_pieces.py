"""The JSON of outputs that is kept: the same as when it is built, and never of another time."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
import pytest

from jobserver.db import Connection, exclusive
from jobserver.jobs import queries, standing
from jobserver.jobs.model import Output
from jobserver.web import pieces, schemas
from jobserver.web.polling import Answers
from jobserver.web.schemas import Link
from tests.jobs import steps
from tests.support import MP4_HEAD, Site, field_part, file_part
from tests.uploads.brief_parts import brief_part, parts

pytestmark = pytest.mark.both_databases


class Shown:
    """A job of two files named alike, three outputs each, and what of_outputs() says of it."""

    def __init__(self, site: Site, db: Connection) -> None:
        self.db, self._app = db, site.client.application
        self.kept: Answers = self._app.extensions["pieces"]
        parts = [file_part(MP4_HEAD, "clip é.mp4") for _ in range(2)]
        self.id: str = site.post(*parts).json["jobId"]
        for _ in parts:
            steps.publish(db, steps.claim(db, time.time()), 1, 2, 3, now=time.time(), last=True)
        self.title: str | None = None
        self.files = queries.files_of(db, self.id)

    def outputs(self, link: Link) -> dict[str, list[Any]]:
        """What is answered, whatever is kept."""
        with self._app.app_context():
            state = queries.job_state(self.db, self.id)
            assert state is not None
            job = state.job._replace(title=self.title)
            found = pieces.of_outputs(self.db, state._replace(job=job, files=self.files), link)
        return {key: orjson.loads(orjson.dumps(shown)) for key, shown in found.items()}


@pytest.fixture
def shown(site: Site) -> Iterator[Shown]:
    with closing(site.connect()) as db:
        yield Shown(site, db)


def linked(window: str) -> Link:
    return lambda endpoint, **ids: "/".join((endpoint, *ids.values(), window))


def test_what_is_kept_is_what_is_built_and_only_ids_are_read(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = shown.outputs(linked("1"))
    stems = dict(zip(built, ("clip é", "clip é_2"), strict=True))
    rows = queries.outputs_of(shown.db, shown.id)
    assert [each for outputs in built.values() for each in outputs] == [
        schemas.output_json(shown.id, row, stems[row.file_id], linked("1")) for row in rows
    ]
    assert list(built) == [file.id for file in shown.files]
    monkeypatch.delattr(queries, "outputs_of")
    assert shown.outputs(linked("1")) == built


def test_only_what_is_not_kept_is_built(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shown.outputs(linked("1"))
    shown.kept._bodies.popitem()  # of the output that was kept last
    build, built = schemas.output_json, []

    def noted(job_id: str, output: Output, *args: Any) -> dict[str, Any]:
        built.append(output.id)
        return build(job_id, output, *args)

    monkeypatch.setattr(schemas, "output_json", noted)
    assert shown.outputs(linked("1")) == before
    assert built == [before[shown.files[1].id][2]["id"]]


def test_links_of_another_window_prefix_or_key_are_made_anew(shown: Shown) -> None:
    first = shown.outputs(linked("1"))
    second = shown.outputs(linked("2"))
    for file_id, outputs in first.items():
        for old, new in zip(outputs, second[file_id], strict=True):
            assert (old["url"][-2:], new["url"][-2:]) == ("/1", "/2")
            assert {**old, "url": new["url"], "thumbnailUrl": new["thumbnailUrl"]} == new
    assert shown.outputs(linked("1")) == first


def test_another_name_of_the_source_is_another_name_of_its_outputs(shown: Shown) -> None:
    shown.outputs(linked("1"))
    shown.files[0] = shown.files[0]._replace(name="other.mp4")
    renamed = shown.outputs(linked("1"))
    assert [each["downloadName"] for outputs in renamed.values() for each in outputs] == [
        *(f"other_var{n}.mp4" for n in (1, 2, 3)),
        *(f"clip é_var{n}.mp4" for n in (1, 2, 3)),
    ]


def test_another_title_is_another_name_of_all_outputs(shown: Shown) -> None:
    shown.outputs(linked("1"))
    shown.title = "Spring"
    renamed = shown.outputs(linked("1"))
    assert [each["downloadName"] for outputs in renamed.values() for each in outputs] == [
        *(f"Spring_clip é_var{n}.mp4" for n in (1, 2, 3)),
        *(f"Spring_clip é_2_var{n}.mp4" for n in (1, 2, 3)),
    ]


def test_an_output_that_is_gone_is_not_shown_although_it_is_kept(shown: Shown) -> None:
    before = shown.outputs(linked("1"))
    first, second = (file.id for file in shown.files)
    with exclusive(shown.db, "publish"):
        shown.db.write("DELETE FROM output WHERE file_id = :id AND number = 2", {"id": first})
        shown.db.write("DELETE FROM output WHERE file_id = :id", {"id": second})
    assert shown.outputs(linked("1")) == {first: [before[first][0], before[first][2]]}


def test_a_brief_is_read_once_and_shown_as_it_can_be_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = (*parts("videos", "a.mp4"), brief_part(formats=["9:16"]), field_part("variations", "2"))
    job_id = site.post(*sent).json["jobId"]
    plain = site.show(site.upload(MP4_HEAD, variations="3"))
    assert (plain["brief"], plain["variations"]) == (None, 3)
    first = site.show(job_id)
    assert (first["brief"]["formats"], first["variations"]) == (["9:16"], 2)
    with closing(site.connect()) as db, exclusive(db, "queue"):
        standing.touch(db, job_id)
    monkeypatch.delattr(queries, "brief_of")
    again = site.show(job_id)
    assert (again["brief"], again["variations"]) == (first["brief"], 2)
