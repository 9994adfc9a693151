"""The layout of a ZIP: any members come out as they went in, and any range is a part of it."""

import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from jobserver.files.zip import Archive, Member, archive_length, members_end, text_member
from tests.fuzz import cases

# As web/names.py makes them: no NUL, no surrogates, no backslash.
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1, max_size=80
)
MEMBERS = st.builds(
    text_member, NAMES, st.binary(max_size=300), st.floats(-1e9, 5e9, allow_nan=False)
)
LISTS = st.lists(MEMBERS, max_size=6, unique_by=lambda member: member.name)


def read(archive: Archive, start: int, stop: int) -> bytes:
    return b"".join(archive.read(start, stop))


@cases(200)
@given(LISTS, st.data())
def test_any_members_come_out_and_any_range_is_part_of_the_whole(
    members: list[Member], data: st.DataObject
) -> None:
    split = data.draw(st.integers(0, len(members)))
    archive = Archive(members[:split], members[split:])
    whole = read(archive, 0, archive.length)
    assert len(whole) == archive.length == archive_length(members[:split], members[split:])
    with zipfile.ZipFile(io.BytesIO(whole)) as found:
        assert found.testzip() is None
        assert {each.filename for each in found.infolist()} == {each.name for each in members}
        for member in members:
            assert found.read(member.name) == member.content
    start = data.draw(st.integers(0, archive.length))
    stop = data.draw(st.integers(start, archive.length))
    assert read(archive, start, stop) == whole[start:stop]


@cases(100)
@given(LISTS, LISTS)
def test_members_that_are_appended_leave_those_before_where_they_are(
    members: list[Member], more: list[Member]
) -> None:
    end = members_end(members)
    before, after = Archive(members), Archive([*members, *more])
    assert read(before, 0, end) == read(after, 0, end)
    assert (before.fingerprint == after.fingerprint) == (not more)
