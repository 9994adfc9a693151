import pytest

from jobserver.render.__main__ import main


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
    assert capsys.readouterr().err == f"{tmp_path / 'x.mp4'}: This file is not an MP4 video.\n"
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("count", ["0", "21", "many"])
def test_a_count_out_of_range_is_a_usage_error(tmp_path, count):
    with pytest.raises(SystemExit):
        main(["x.mp4", "-n", count, "--out", str(tmp_path)])
