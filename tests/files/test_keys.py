"""Names of objects: safe whatever the client sent, and the same when rendered again."""

import re

import pytest

from jobserver.files.keys import output_id, output_key, output_name, source_key, stored_name
from jobserver.ids import generate_id


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("clip.mp4", "clip"),
        ("clip", "clip"),
        ("a.b.mp4", "a_b"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\a.mp4", "C_fakepath_a"),
        ("a\0b.mp4", "a_b"),
        ("a\r\nb.mp4", "a_b"),
        ("....", "video"),
        ("", "video"),
        ("/", "video"),
        (".hidden.mp4", "hidden"),
        ("-i.mp4", "i"),
        ("%d.mp4", "d"),
        ("\u202e\u0301", "video"),
        ("\udcff.mp4", "video"),
        ("x" * 300, "x" * 80),
    ],
)
def test_the_name_of_an_output_is_safe_whatever_the_client_sent(name: str, stem: str) -> None:
    assert output_name("fileid", name, 2) == f"{stem}_var2_{output_id('fileid', 2)}.mp4"


def test_the_id_of_an_output_depends_on_its_file_and_number_alone() -> None:
    ids = {output_id(file_id, number) for file_id in ("a", "b") for number in range(1, 21)}
    assert len(ids) == 40
    assert output_id("a", 1) == output_id("a", 1)
    assert output_name("a", "one.mp4", 1)[-26:] == output_name("a", "other.mp4", 1)[-26:]


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.MP4", ".MP4"),
        ("a.tar.gz", ".gz"),
        ("none", ".mp4"),
        ("a.part", ".mp4"),
        ("a.pArT", ".mp4"),
        ("a.mp4\n", ".mp4"),
        ("a.elevenchars", ".mp4"),
        ("../../etc/passwd", ".mp4"),
        (".database", ".database"),
    ],
)
def test_an_upload_is_stored_under_its_id_and_a_harmless_extension(
    name: str, extension: str
) -> None:
    upload_id = generate_id()
    assert stored_name(upload_id, name) == upload_id + extension
    assert re.fullmatch(r"\w{22}\.\w{1,10}", stored_name(upload_id, name), re.ASCII)


def test_a_key_says_what_kind_of_object_it_names() -> None:
    assert source_key("x.mp4") == "uploads/x.mp4"
    assert output_key("job", "x.mp4") == "outputs/job/x.mp4"
