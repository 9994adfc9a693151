"""What the form fields of an upload mean."""

import json

import pytest

from jobserver.errors import InvalidOption
from jobserver.jobs.model import JobOptions
from jobserver.web.params import MAX_SEED, job_options, title, variations
from tests.support import Site, field_part, file_part

pytestmark = pytest.mark.both_databases


def test_options_without_fields_are_five_subtle_variations_with_a_new_seed():
    assert job_options({}, new_seed=11) == JobOptions(5, "subtle", 11)


def test_options_are_what_the_fields_say():
    form = {"variations": "3", "recipe": "classic", "seed": "42"}
    assert job_options(form, new_seed=11) == JobOptions(3, "classic", 42)


@pytest.mark.parametrize("seed", ["0", "00", " 0 ", "7", str(MAX_SEED)])
def test_a_seed_is_a_whole_number(seed: str):
    assert job_options({"seed": seed}, 11).seed == int(seed)


@pytest.mark.parametrize("seed", ["", "  "])
def test_an_empty_seed_counts_as_missing(seed: str):
    assert job_options({"seed": seed}, 11).seed == 11


@pytest.mark.parametrize(
    "seed", ["-1", "1.0", "1e3", "x", "0x10", "1_0", "\u0661", "²", str(MAX_SEED + 1), "9" * 5000]
)
def test_any_other_seed_is_refused_with_its_range(seed: str):
    with pytest.raises(InvalidOption) as refused:
        job_options({"seed": seed}, 11)
    assert str(refused.value) == f"seed must be a whole number from 0 to {2**53 - 1}"


@pytest.mark.parametrize("recipe", ["wild", "Subtle", " subtle", "../subtle", "subtle\0"])
def test_an_unknown_recipe_is_refused_with_those_that_exist(recipe: str):
    with pytest.raises(InvalidOption) as refused:
        job_options({"recipe": recipe}, 11)
    assert str(refused.value) == "Unknown recipe (choose one of: subtle, classic, bold)"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, 5),
        ("", 5),
        ("many", 5),
        ("nan", 5),
        ("0", 1),
        ("-3", 1),
        ("-inf", 5),
        ("Infinity", 5),
        (".5", 5),
        ("7x", 7),
        ("1e2", 1),
        ("1_0", 1),
        ("0x10", 16),
        ("0xg", 5),
        ("-0x3", 1),
        ("\ufeff\u30007", 7),
        ("\x1c7", 5),
        ("007", 7),
        ("+7", 7),
        ("- 7", 5),
        ("\u0667", 5),
        ("1", 1),
        ("7.9", 7),
        (" 8 ", 8),
        ("20", 20),
        ("99", 20),
        ("9" * 400, 20),
    ],
)
def test_variations_are_1_to_20_and_5_by_default(text: str | None, number: int):
    assert variations(text) == number


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, None),
        ("", None),
        (" \n ", None),
        ("  Spring Sale \r\n", "Spring Sale"),
        ("e\u0301", "é"),
        ("نمی‌خواهم", "نمی‌خواهم"),
        ("👩‍🚀", "👩‍🚀"),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_title_is_one_line_of_text(text: str | None, found: str | None):
    assert title(text) == found


@pytest.mark.parametrize(
    "text", ["x" * 201, "a\nb", "a\0b", "a\x1b[2J", "a\u202eb", "a\u2028b", "\udc80"]
)
def test_a_title_that_is_none_is_refused(text: str):
    with pytest.raises(InvalidOption, match=r"^title must "):
        title(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [("recipe", "wild"), ("seed", "-1"), ("seed", "x"), ("title", "x" * 201), ("title", "a\0b")],
)
@pytest.mark.parametrize("first", [True, False], ids=["field first", "file first"])
def test_an_upload_with_refused_options_leaves_nothing(
    site: Site, clip: bytes, field: str, value: str, first: bool
):
    parts = [field_part(field, value), file_part(clip)]
    refused = site.post(*(parts if first else parts[::-1]))
    assert refused.status_code == 400
    assert list(refused.json) == ["error", "code"]
    assert [path for path in site.upload_dir.iterdir() if path.name != ".database"] == []
    assert site.rows("SELECT id FROM job") == []


def test_the_answer_to_an_upload_has_its_recipe_and_seed(site: Site, clip: bytes):
    parts = (file_part(clip), field_part("seed", "9"), field_part("recipe", "classic"))
    accepted = site.post(*parts).json
    assert (accepted["recipe"], accepted["seed"]) == ("classic", 9)
    assert accepted["variationsPerVideo"] == 5
    shown = site.show(accepted["jobId"])
    assert (shown["recipe"], shown["seed"], shown["variationsPerVideo"]) == ("classic", 9, 5)


OWN = {"like": "bold", "zoom": [0.02, 0.08]}


def test_ranges_of_ones_own_are_shown_whole_and_made_again(site: Site, clip: bytes):
    """In the form, in a brief, in the plan and in a job made again."""
    sent = (file_part(clip), field_part("recipe", json.dumps(OWN)), field_part("seed", "9"))
    accepted = site.post(*sent).json
    whole = accepted["recipe"]
    assert (whole["like"], whole["zoom"], whole["grain"]) == ("bold", [0.02, 0.08], [1.0, 3.0])
    assert site.show(accepted["jobId"])["recipe"] == whole
    brief = field_part("brief", json.dumps({"recipe": OWN}))
    of_brief = site.post(file_part(clip), brief, field_part("variations", "2")).json
    shown = site.show(of_brief["jobId"])
    assert (of_brief["recipe"], shown["recipe"], shown["brief"]["recipe"]) == (whole,) * 3
    for job, body, recipe in (
        (accepted, {}, whole),
        (accepted, {"recipe": {"contrast": [1, 1.1]}}, {"like": None, "contrast": [1, 1.1]}),
        (of_brief, {}, whole),
        (of_brief, {"recipe": "bold"}, "bold"),
        (of_brief, {"recipe": None}, "subtle"),
    ):
        url = f"/api/jobs/{job['jobId']}/again"
        again = site.client.post(url, json=body, headers=site.headers)
        assert again.status_code == 202, again.json
        assert again.json["recipe"] == recipe
    planned = {"videos": [{"name": "a.mp4"}], "variations": 2, "recipe": OWN}
    assert (
        site.client.post("/api/briefs/plan", json=planned, headers=site.headers).status_code == 200
    )


def test_a_wrong_range_is_a_400_with_its_path(site: Site, clip: bytes):
    answer = site.post(file_part(clip), field_part("recipe", '{"zoom": [0.2, 0.1]}'))
    assert (answer.status_code, answer.json["path"]) == (400, "recipe.zoom")
    assert site.rows("SELECT id FROM job") == []
