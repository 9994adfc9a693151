import json
from hashlib import sha256

import pytest

from jobserver.render.__main__ import main

from .conftest import ffmpeg
from .joins.support import beeps, complaints, flashes, flashing


def test_it_renders_without_a_server_and_names_outputs_after_the_source(clip, tmp_path, capsys):
    arguments = [str(clip("plain")), "-n", "2", "--out", str(tmp_path / "o"), "--seed", "7"]
    assert main(arguments) == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "plain_var1.mp4",
        "plain_var2.mp4",
    ]
    assert "100%" in capsys.readouterr().err
    first = [path.read_bytes() for path in sorted((tmp_path / "o").iterdir())]
    assert main([*arguments[:-4], "--out", str(tmp_path / "p"), "--seed", "7"]) == 0
    assert [path.read_bytes() for path in sorted((tmp_path / "p").iterdir())] == first


def test_a_bad_file_gives_one_sentence_and_exit_status_1(tmp_path, capsys):
    (tmp_path / "x.mp4").write_bytes(bytes(1024))
    assert main([str(tmp_path / "x.mp4"), "--out", str(tmp_path / "o")]) == 1
    assert (
        capsys.readouterr().err
        == f"{tmp_path / 'x.mp4'}: This file is not an MP4, MOV, WebM or MKV video.\n"
    )
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("count", ["0", "21", "many"])
def test_a_count_out_of_range_is_a_usage_error(tmp_path, count):
    with pytest.raises(SystemExit):
        main(["x.mp4", "-n", count, "--out", str(tmp_path)])


# -- the outputs of a brief --------------------------------------------------------------------


@pytest.fixture
def footage(tmp_path):
    """Folders of two hooks, a main clip without sound, a still and a piece of music."""
    for name in ("videos", "hooks", "endings", "music"):
        (tmp_path / name).mkdir()
    flashing(tmp_path / "hooks" / "a.mp4", "30")
    flashing(tmp_path / "hooks" / "b.mp4", "24", size="90x160")
    flashing(tmp_path / "videos" / "main.mp4", "25", sound=False)
    ffmpeg("-f", "lavfi", "-i", "color=0x808080:s=64x64", "-frames:v", "1",
           tmp_path / "endings" / "end.png")  # fmt: skip
    ffmpeg("-f", "lavfi", "-i", "sine=300:d=3", tmp_path / "music" / "song.mp3")
    return tmp_path


def run(footage, brief, out, *more):
    (footage / "brief.json").write_text(json.dumps(brief))
    names = ("videos", "hooks", "endings", "music")
    folders = [word for name in names for word in (f"--{name}", str(footage / name))]
    return main(["--brief", str(footage / "brief.json"), *folders, "--seed", "7", "--out",
                 str(footage / out), *more])  # fmt: skip


BRIEF = {
    "formats": ["9:16"],
    "size": 360,
    "loudness": -20,
    "stillSeconds": 0.5,
    "music": [None, "song.mp3"],
}


def test_a_brief_is_rendered_without_a_server(footage):
    assert run(footage, BRIEF, "out") == 0
    made = json.loads((footage / "out" / "manifest.json").read_text())
    outputs = {each["path"]: each for each in made["outputs"]}
    assert {path.name for path in (footage / "out").iterdir()} == {*outputs, "manifest.json"}
    assert len(outputs) == 4
    for name, output in outputs.items():
        path = footage / "out" / name
        assert sha256(path.read_bytes()).hexdigest() == output["sha256"]
        assert (output["width"], output["height"]) == (360, 640)
        assert output["duration"] == 2.88
        assert output["loudness"]["integrated"] == pytest.approx(-20, abs=0.5)
        assert len(flashes(path)) == 2
        assert complaints(path) == ""
        if output["axes"]["music"] is None:
            assert beeps(path)[0] == pytest.approx(flashes(path)[0], abs=0.04)


def test_the_same_brief_and_seed_give_the_same_bytes(footage):
    brief = {**BRIEF, "music": [None], "hooks": ["a.mp4"], "combine": "all"}
    for name in ("hooks/b.mp4", "music/song.mp3"):
        (footage / name).unlink()
    assert run(footage, brief, "one", "-n", "1") == run(footage, brief, "two", "-n", "1") == 0
    first, second = [
        {path.name: path.read_bytes() for path in (footage / name).iterdir()}
        for name in ("one", "two")
    ]
    assert first == second


def test_an_output_that_cannot_be_made_is_said_and_the_others_are_made(footage, capsys):
    brief = {**BRIEF, "lengths": ["full", 1], "combine": "one-at-a-time"}
    assert run(footage, brief, "out") == 1
    made = json.loads((footage / "out" / "manifest.json").read_text())
    [failed] = made["failedOutputs"]
    assert failed["axes"]["length"] == 1
    assert f"{failed['name']}: {failed['reason']}\n" in capsys.readouterr().err
    assert len(made["outputs"]) == 3


def test_a_broken_file_is_named_before_anything_is_encoded(footage, capsys):
    (footage / "hooks" / "b.mp4").write_bytes(bytes(1024))
    assert run(footage, BRIEF, "out") == 1
    assert capsys.readouterr().err == (
        f"{footage / 'hooks' / 'b.mp4'}: This file is not an MP4, MOV, WebM or MKV video.\n"
    )
    assert not (footage / "out").exists()


def test_a_brief_that_cannot_be_followed_is_said(footage, capsys):
    assert run(footage, {"formats": ["2:3"]}, "out") == 1
    assert capsys.readouterr().err.startswith("formats[0] ")


@pytest.mark.parametrize(
    "arguments", [[], ["x.mp4", "--hooks", "h"], ["--brief", "b"], ["x.mp4", "--brief", "b"]]
)
def test_a_video_and_a_brief_exclude_each_other(tmp_path, arguments):
    with pytest.raises(SystemExit):
        main([*arguments, "--out", str(tmp_path)])


def test_files_of_a_folder_that_the_brief_does_not_name_are_left_alone(footage, capsys):
    (footage / "hooks" / "a.mp4").write_bytes(b"not a video, and not looked at")
    brief = {"formats": ["9:16"], "size": 360, "hooks": ["b.mp4"], "endings": [None]}
    assert run(footage, {**brief, "music": [None]}, "out") == 0, capsys.readouterr().err
    manifest = json.loads((footage / "out" / "manifest.json").read_text())
    assert [output["axes"]["hook"] for output in manifest["outputs"]] == ["b.mp4"]
