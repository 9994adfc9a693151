"""The ZIP of a job that grows: what one has of an earlier ZIP is never mixed with a later one."""

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from jobserver import render
from jobserver.render import errors as render_errors
from jobserver.web.manifest import MAX_ERROR_LENGTH
from jobserver.worker.attempt import GAVE_UP
from tests.growing import GrowingJob, numbered
from tests.support import Site

pytestmark = pytest.mark.both_databases

MANIFESTS = ["manifest.json", "manifest.csv"]

WGET = "Wget/1.21.3"
GONE = {"error": "The ZIP has changed since; download it from the start", "code": "zip_changed"}


class Zips:
    """What a client is given of one job."""

    def __init__(self, site: Site, job: GrowingJob) -> None:
        self._site, self.job = site, job
        self.seen: list[bytes] = []

    def get(self, range_: str | None = None, **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {} if range_ is None else {"Range": range_}
        return self._site.client.get(self.job.download, headers={**self._site.headers, **named})

    def whole(self) -> bytes:
        """The ZIP as it is now, a sound one; remembered."""
        answer = self.get()
        if self.seen and answer.data == self.seen[-1]:
            return answer.data
        assert answer.status_code == 200, answer.json
        with zipfile.ZipFile(io.BytesIO(answer.data)) as read:
            assert read.testzip() is None
            assert read.namelist()[:2] == MANIFESTS
        self.seen.append(answer.data)
        return answer.data

    def resumes(self, before: bytes, now: bytes = b"") -> bool:
        """Ask for what follows `before`; whether a client would then have a whole ZIP.

        Fails when a client would take a mixture for a ZIP. now: the ZIP as it is, if known.
        """
        answer, now = self.get(f"bytes={len(before)}-"), now or self.whole()
        if answer.status_code == 200:
            assert answer.data == now
            return False
        if answer.status_code == 416:  # clients take this for: you have it all
            assert is_zip(before)
            return True
        assert answer.status_code == 206
        assert before + answer.data == now
        return True


def is_zip(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as read:
            return read.testzip() is None and b"PK\5\6" in content[-22:]
    except zipfile.BadZipFile:
        return False


def manifest(content: bytes):
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        return json.loads(read.read("manifest.json"))


def members(content: bytes) -> list[str]:
    """The members in the sequence in which they lie."""
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        return [each.filename for each in sorted(read.infolist(), key=lambda i: i.header_offset)]


@pytest.fixture
def start(site: Site) -> Callable[..., Zips]:
    def started(*names: str, variations: int = 4) -> Zips:
        return Zips(site, GrowingJob(site.server, *(names or ("a.mp4",)), variations=variations))

    return started


def life(job: GrowingJob) -> Iterator[None]:
    """Everything that happens to a job of three files; what is small lies inside many a tail."""
    first, second, third = job.claim(), job.claim(), job.claim()
    job.record_source(second)
    job.publish(second, numbered(10, 4000))
    yield
    job.record_source(first)
    yield
    job.publish(first, numbered(9000))
    yield
    job.publish(third, numbered(1))
    yield
    job.fail(job.claim(), "This video is damaged and could not be read to its end.")
    yield
    assert job.claim() == second
    job.publish(second, numbered(20, 30, first=3), last=True, at=job.now - 500)  # the clock was set
    yield
    job.cancel()
    yield
    job.retry()
    yield
    job.claim()
    yield
    job.publish(first, numbered(8000, 1, 2, first=2), last=True)
    yield
    job.claim()
    job.publish(third, numbered(1, 700, 3, first=2), last=True)
    yield


def places(seen: list[bytes], chosen: random.Random) -> set[int]:
    """Where two ZIPs begin to differ or end, one more and one less, and some by chance."""
    found = {len(body) for body in seen}
    for one, other in pairwise(seen):
        found.add(next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 1))
    found |= {place + step for place in found for step in (-1, 1)}
    return found | set(chosen.choices(range(1, max(map(len, seen))), k=10))


def test_no_client_that_resumes_anywhere_at_any_time_gets_a_mixture(start):
    zips, chosen = start("a.mp4", "b.mp4", "c.mp4"), random.Random(9)
    for _ in life(zips.job):
        now = zips.whole()
        at = places(zips.seen, chosen)
        beginnings = {earlier[:place] for earlier in zips.seen for place in at if place}
        for before in chosen.sample(sorted(beginnings), min(len(beginnings), 40)):
            zips.resumes(before, now)
    assert len({len(body) for body in zips.seen}) == 6
    assert len(set(zips.seen)) >= 9  # some of the same length


def test_members_lie_in_the_sequence_of_publication_and_the_manifest_last(start):
    zips = start("a.mp4", "b.mp4")
    job = zips.job
    job.claim()
    job.render((1, numbered(10, 11), False))
    assert members(zips.whole()) == ["02_b/b_var1.mp4", "02_b/b_var2.mp4", *MANIFESTS]
    job.publish(0, numbered(12), at=job.now - 500)  # the clock was set back
    grown = ["02_b/b_var1.mp4", "02_b/b_var2.mp4", "01_a/a_var1.mp4", *MANIFESTS]
    assert members(zips.whole()) == grown


def test_a_beginning_goes_on_where_the_job_has_grown_since(start):
    zips = start()
    zips.job.render((0, numbered(50_000, 50_000), False))
    early = zips.whole()
    zips.job.render((0, numbered(50_000, 50_000, first=3), True))
    assert zips.resumes(early[:70_000])
    assert zips.resumes(zips.whole()[:170_000])


def test_what_has_a_tail_where_the_zip_has_a_member_now_gets_everything(start):
    zips = start()
    zips.job.render((0, numbered(50_000, 50_000), False))
    early = zips.whole()
    zips.job.render((0, numbered(50_000, 50_000, first=3), True))
    assert not zips.resumes(early)
    assert not zips.resumes(early[:-1])
    assert not zips.resumes(early[:101_000])
    etag = zips.get().headers["ETag"]
    answer = zips.get(f"bytes={len(early)}-", If_Range=etag)  # the client knows what it has
    assert answer.status_code == 206


def test_a_zip_that_is_whole_has_nothing_to_go_on_with(start):
    zips = start()
    zips.job.render((0, numbered(500), False))
    whole = zips.whole()
    assert zips.get(f"bytes={len(whole)}-").status_code == 416
    zips.job.render((0, numbered(500, first=2), True))
    assert zips.get(f"bytes={len(zips.whole())}-").status_code == 416


def test_the_tail_of_a_job_that_has_ended_can_be_read_by_itself(start):
    """As by programs that list a ZIP without downloading it."""
    zips = start()
    zips.job.render((0, numbered(500), False))
    assert zips.get("bytes=-100").status_code == 200  # more may follow
    zips.job.render((0, numbered(500, 1, 1, first=2), True))
    whole = zips.whole()
    answer = zips.get("bytes=-100")
    assert (answer.status_code, answer.data) == (206, whole[-100:])


@pytest.mark.parametrize("change", ["failed", "cancelled"])
def test_the_tail_may_differ_once_a_file_has_ended_without_an_output(start, change: str):
    zips = start("a.mp4", "b.mp4")
    zips.job.render((0, numbered(500, 1, 1, 1), True))
    early = zips.whole()
    if change == "cancelled":
        zips.job.cancel()
    else:
        zips.job.fail(zips.job.claim(), "No.")
    late = zips.whole()
    assert [len(early), "queued"] == [len(late), manifest(early)["sources"][1]["status"]]
    assert manifest(late)["sources"][1]["status"] == change
    assert not zips.resumes(early[:-30])


def test_a_part_that_ends_where_an_earlier_zip_ended_is_not_given(start):
    """A program that downloads in parts would take it for the last one (as rclone does)."""
    zips = start()
    zips.job.render((0, numbered(50_000, 50_000), False))
    early = zips.whole()
    zips.job.render((0, numbered(50_000, 50_000, first=3), True))
    answer = zips.get(f"bytes=70000-{len(early) - 1}")
    assert (answer.status_code, answer.data) == (200, zips.whole())
    for last in (90_000, len(zips.whole()) - 1, 999_999_999):
        assert zips.get(f"bytes=70000-{last}").status_code == 206


def test_after_an_output_was_lost_no_beginning_is_safe(start, site: Site):
    zips = start()
    zips.job.render((0, numbered(50_000, 50_000), False))
    early = zips.whole()
    zips.job.lose(2, site.store)
    assert not zips.resumes(early[:10])
    assert not zips.resumes(zips.whole())
    zips.job.cancel()
    zips.job.retry()
    zips.job.render((0, numbered(50_000, 40_000, 50_000, first=2), True))
    whole = zips.whole()
    for before in (early[:10], early[:70_000], early, whole[:10], whole):
        assert not zips.resumes(before)
    with_etag = zips.get("bytes=10-", If_Range=zips.get().headers["ETag"])
    assert (with_etag.status_code, with_etag.data) == (206, whole[10:])


def test_outputs_of_before_there_were_events_are_never_resumed_without_if_range(start, site: Site):
    zips = start()
    zips.job.render((0, numbered(5000, 10, 11, 12), True))
    whole = zips.whole()
    with closing(site.connect()) as db:
        db.execute("DELETE FROM event")
    assert zips.whole() == whole
    assert not zips.resumes(whole[:10])


def test_wget_gets_an_error_where_it_must_not_append(start):
    """It would cut what it has from a 200 and append the rest."""
    zips = start()
    zips.job.render((0, numbered(50_000, 50_000), False))
    early = zips.whole()
    zips.job.render((0, numbered(50_000, 50_000, first=3), True))
    answer = zips.get(f"bytes={len(early)}-", User_Agent=WGET)
    assert (answer.status_code, answer.json) == (428, GONE)
    assert "Content-Disposition" not in answer.headers
    assert zips.get("bytes=70000-", User_Agent=WGET).status_code == 206
    assert zips.get(User_Agent=WGET).status_code == 200


def test_a_zip_of_the_same_length_with_another_manifest_has_another_etag(start):
    zips = start("a.mp4", "b.mp4")
    zips.job.render((0, numbered(500, 1, 1, 1), True))
    first = zips.get()
    zips.job.cancel()
    second = zips.get()
    assert first.content_length == second.content_length
    assert first.headers["ETag"] != second.headers["ETag"]


def test_the_room_of_the_manifest_holds_every_sentence_of_ours(start):
    sentences = [
        each.sentence
        for each in vars(render_errors).values()
        if isinstance(each, type) and issubclass(each, render.RenderError)
    ]
    assert max(map(len, [*sentences, GAVE_UP])) <= MAX_ERROR_LENGTH
    zips = start("a.mp4", "b.mp4")
    zips.job.render((0, numbered(500, 1, 1, 1), True))
    length = len(zips.whole())
    zips.job.claim()
    zips.job.record_source(1)
    zips.job.fail(1, "x\u00e9" * 5000)
    assert len(zips.whole()) == length
    assert manifest(zips.whole())["sources"][1]["error"] == "x\u00e9" * 100
