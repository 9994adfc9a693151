"""What a brief would make, asked for before anything is uploaded."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.brief.samples import LOGO, documents
from tests.support import Site, field_part
from tests.uploads.brief_parts import brief_part, parts

pytestmark = pytest.mark.both_databases

CLIP = [{"name": "clip.mp4"}]
PARTS = {
    "videos": [{"name": "clip.mp4"}, {"name": "second.mp4"}],
    "hooks": [{"name": "hook1.mp4"}, {"name": "hook2.mp4"}],
    "endings": [{"name": "end.png"}],
    "overlays": [{"name": "logo.png"}],
    "music": [{"name": "song.m4a"}],
}


def ask(site: Site, body: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return site.client.post("/api/briefs/plan", data=content, headers=site.headers)


def planned(site: Site, **body: Any) -> dict[str, Any]:
    answer = ask(site, {"videos": CLIP, **body})
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


def refusal(site: Site, body: Any) -> dict[str, Any]:
    answer = ask(site, body)
    assert answer.status_code == 400, answer.json
    return dict(answer.json)


def sent(brief: dict[str, Any], *fields: bytes) -> list[bytes]:
    """Return the parts of an upload of PARTS with a brief."""
    names = {field: [file["name"] for file in files] for field, files in PARTS.items()}
    files = [part for field in names for part in parts(field, *names[field])]
    return [*files, brief_part(**brief), *fields]


def test_a_plan_names_every_output_with_its_axes(site: Site):
    hooks = [{"name": "hook1.mp4"}, {"name": "hook2.mp4"}]
    found = planned(site, hooks=hooks, brief={"formats": ["9:16"]}, title="May")
    assert list(found) == ["variationsPerVideo", "totalVariations", "shots", "outputs"]
    assert (found["variationsPerVideo"], found["totalVariations"], found["shots"]) == (2, 2, 3)
    assert found["outputs"][1] == {
        "video": "clip.mp4",
        "name": "May_clip_hook2_2",
        "axes": {
            "video": "clip.mp4",
            "hook": "hook2.mp4",
            "ending": None,
            "format": "9:16",
            "length": "full",
            "speed": 1,
            "mirror": False,
            "headline": None,
            "music": None,
            "look": None,
        },
    }


def test_ten_hooks_ten_clips_and_three_endings_are_23_encodes(site: Site):
    def files(count: int, stem: str) -> list[dict[str, str]]:
        return [{"name": f"{stem}{n}.mp4"} for n in range(count)]

    found = planned(site, videos=files(10, "v"), hooks=files(10, "h"), endings=files(3, "e"))
    assert (found["totalVariations"], found["shots"]) == (300, 23)


@pytest.mark.parametrize(
    ("variations", "count"), [(3, 3), ("3", 3), ("3x", 3), (7.9, 7), (None, 1), ("x", 1), (0, 1)]
)
def test_variations_are_looks_as_beside_the_brief_of_an_upload(
    site: Site, variations: Any, count: int
):
    found = planned(site, variations=variations, recipe="classic", brief={})
    assert found["totalVariations"] == count
    looks = [output["axes"]["look"] for output in found["outputs"]]
    assert looks == (list(range(1, count + 1)) if variations not in (None, "x") else [None])


def test_a_plan_is_that_of_the_upload(site: Site):
    brief = {"formats": ["9:16", "source"], "combine": "one-at-a-time", "logo": LOGO}
    found = ask(site, {**PARTS, "brief": brief, "variations": 2}).json
    job = site.post(*sent(brief, field_part("variations", "2"))).json
    assert found["variationsPerVideo"] == job["variationsPerVideo"]
    assert found["totalVariations"] == job["totalVariations"]


@pytest.mark.parametrize(
    ("brief", "path"),
    [
        ({"headlines": [None, {"text": "a\u202eb"}]}, "headlines[1].text"),
        ({"headlines": [{"text": "\U0001f600"}]}, "headlines[0].text"),
        ({"formats": ["2:1"]}, "formats[0]"),
        ({"hooks": ["x.mp4"]}, "hooks[0]"),
        ({"hooks": ["hook1.mp4"]}, "hooks"),
        ({"minimumDifference": 3}, "minimumDifference"),
        ({"speeds": [n / 1000 for n in range(500, 1001)]}, "brief"),
        ({"name": "{x}"}, "name"),
        ({"exclude": [{"hook": "hook1.mp4"}]}, "exclude"),
    ],
)
def test_a_refusal_is_that_of_the_upload_and_names_the_key(
    site: Site, brief: dict[str, Any], path: str
):
    brief = {"logo": LOGO, **brief}
    refused = refusal(site, {**PARTS, "brief": brief})
    uploaded = site.post(*sent(brief))
    assert uploaded.status_code == 400
    assert uploaded.json == refused
    assert refused["path"] == path
    assert refused["error"].startswith(f"{path} ")


def test_a_million_combinations_are_refused_with_their_number(site: Site):
    brief = {"lengths": list(range(1, 1001)), "speeds": [n / 1000 for n in range(500, 1500)]}
    refused = refusal(site, {"videos": CLIP, "brief": brief})
    sentence = "brief would make 1000000 outputs; at most 500 can be made"
    assert refused == {"error": sentence, "code": "invalid_brief", "path": "brief"}


def test_max_outputs_is_a_setting(site: Site):
    site.change_settings(max_outputs=1)
    refused = refusal(site, {"videos": CLIP, "brief": {"speeds": [1, 2]}})
    assert refused["error"] == "brief would make 2 outputs; at most 1 can be made"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "videos is missing"),
        ({"videos": []}, "videos must be a list of 1 to 10"),
        ({"videos": CLIP * 11}, "videos must be a list of 1 to 10"),
        ({"videos": CLIP * 2}, "videos[1] repeats videos[0]"),
        ({"videos": ["clip.mp4"]}, "videos[0] must be an object"),
        ({"videos": [{"duration": 5}]}, "videos[0].name is missing"),
        ({"videos": [{"name": "a", "size": 5}]}, "videos[0].size is unknown here"),
        (
            {"videos": [{"name": "a", "duration": -1}]},
            "videos[0].duration must be a number from 0 to 36000 or null",
        ),
        ({"videos": CLIP, "hooks": CLIP * 11}, "hooks must be a list of 0 to 10"),
        ({"videos": CLIP, "recipe": ["bold"]}, "recipe must be a name or an object"),
        ({"videos": CLIP, "recipe": {"zoom": [0, 1]}}, "recipe.zoom[1] must be a number from 0"),
        ({"videos": CLIP, "variations": True}, "variations must be a number or a text"),
        ({"videos": CLIP, "brief": []}, "brief must be an object or null"),
        ({"videos": CLIP, "webhook": "x"}, "webhook is unknown here"),
        (b'{"videos": [{"name": "a"}], "brief": {"size": 1e999}}', "size is not a number"),
        (b'{"videos": [{"name": "a"}], "brief": {"fit": "pad", "fit": "crop"}}', "fit is there"),
        (b'{"videos": [{"name": "a"}], "brief": {}, "brief": {}}', "brief is there twice"),
        (b'{"videos": [{"name": "\\ud800"}]}', "videos[0].name has half a surrogate"),
    ],
)
def test_a_body_that_is_not_understood_is_refused_with_its_key(site: Site, body: Any, error: str):
    refused = refusal(site, body)
    assert refused["error"].startswith(error)
    assert refused["path"] == error.split()[0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", ""),
        (b'"a"', ""),
        (b"x", "; it is not JSON: Expecting value at line 1, column 1"),
        (b"\xff", "; it is not UTF-8"),
        (b"[" * 100_000, "; it is nested too deeply"),
        (b'{"a":' * 30_000, "; it is nested too deeply"),
        (b'{"videos": ' + b"9" * 5000 + b"}", "; it has a number with too many digits"),
        (b"NaN", "; it is not a number that JSON has"),
    ],
)
def test_a_body_that_is_no_object_is_refused_with_its_reason(site: Site, body: bytes, reason: str):
    sentence = f"The body must be a JSON object{reason}"
    assert refusal(site, body) == {"error": sentence, "code": "invalid_json"}


def test_a_body_that_is_too_large_is_refused(site: Site):
    assert ask(site, b" " * (256 * 1024 + 1)).status_code == 413
    larger = {"videos": CLIP, "brief": {"headlines": [{"text": "x" * 400}] * 170}}
    assert refusal(site, larger)["error"] == "brief is larger than 65536 bytes"


def test_a_plan_needs_a_token(site: Site):
    assert site.client.post("/api/briefs/plan", json={"videos": CLIP}).status_code == 401


def test_durations_give_estimates_and_say_what_cannot_be_made(site: Site):
    body = {
        "videos": [{"name": "a.mp4", "duration": 20}],
        "hooks": [{"name": "h.mp4", "duration": 4}],
        "endings": [{"name": "e.PNG"}],
        "brief": {"lengths": ["full", 6, 10]},
    }
    found = planned(site, **body)
    assert [(each["duration"], each["reason"]) for each in found["outputs"]] == [
        (26, None),
        (None, "Hook and ending take 6 s: nothing of the main clip fits into 6 s"),
        (10, None),
    ]
    # 2.0736 megapixels; 20, 4 and 2 s are encoded, 26 and 10 s are shown
    assert found["estimatedSeconds"] == round(2.0736 * 26 * 0.4 + 2 * 0.2 + 36 * 0.04)
    assert found["estimatedBytes"] == round(2.0736 * 36 * 200_000)
    body["hooks"] = [{"name": "h.mp4"}]
    assert "estimatedSeconds" not in planned(site, **body)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents(), st.sampled_from([None, 0, 0.001, 20, 36_000]))
def test_no_brief_is_a_fault_of_the_server(site: Site, document: Any, duration: float | None):
    parts = {
        field: [{**file, "duration": duration} for file in files] for field, files in PARTS.items()
    }
    if isinstance(document, dict):
        document = {"logo": LOGO, **document}
    answer = ask(site, {**parts, "brief": document})
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json["path"]
        assert "\n" not in answer.json["error"]


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ('{"fit": "pad", "fit": "crop"}', "fit", "is there twice"),
        ('{"speeds": [1, NaN]}', "speeds[1]", "is not a number that JSON has"),
        ('{"size": 1e999}', "size", "is not a number that JSON has"),
        ('{"size": ' + "9" * 5000 + "}", "brief", "has a number with too many digits"),
        ('{"size": ' + "9" * 4000 + "}", "size", "is too large a number"),
        ('{"combine": 18446744073709551616}', "combine", "is too large a number"),
        ('{"combine": 1e300}', "combine", "is too large a number"),
        ("[" * 60_000, "brief", "is nested too deeply"),
        ('{"name": "\\ud800"}', "name", "has half a surrogate pair, which is no character"),
        ('{"hooks": [' + "null," * 12_000 + "null]}", "hooks[1]", "repeats hooks[0]"),
        ('{"\\n": 1}', '["\\n"]', "is unknown here"),
    ],
)
def test_a_brief_that_two_readers_could_read_differently_leaves_nothing(
    site: Site, text: str, path: str, reason: str
):
    answer = site.post(*parts("videos", "clip.mp4"), field_part("brief", text))
    assert answer.status_code == 400
    assert answer.json["path"] == path
    assert answer.json["error"].startswith(f"{path} {reason}")
    assert [each for each in site.upload_dir.iterdir() if each.name != ".database"] == []
    assert site.rows("SELECT id FROM job") == []
