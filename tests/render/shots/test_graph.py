"""One graph for many chains."""

from jobserver.render.shots.graph import graph

JOIN = "[{a}]split[x{n}][y{n}];[x{n}][y{n}]hstack[{b}]"


def test_one_chain_is_one_path():
    assert graph("0:1", [["hflip", "vflip"]]) == "[0:1]hflip[p0];[p0]vflip[p2];[p2]null[v0]"


def test_what_chains_begin_with_is_done_once():
    text = graph("0:0", [["scale=9:9", "hflip"], ["scale=9:9", "vflip"], ["scale=8:8"]])
    assert [text.count(step) for step in ("scale=9:9", "scale=8:8", "hflip", "vflip")] == [1] * 4
    assert text.count("split=2") == 2
    assert all(text.count(f"[v{n}]") == 1 for n in range(3))


def test_equal_chains_have_an_output_each():
    text = graph("0:0", [["hflip"], ["hflip"]])
    assert text.count("hflip") == 1
    assert text.count("null[v0]") == text.count("null[v1]") == 1


def test_a_chain_that_is_the_beginning_of_another_ends_there():
    text = graph("0:0", [["hflip"], ["hflip", "vflip"]])
    assert text.count("hflip") == text.count("vflip") == 1
    assert "null[v0]" in text


def test_pieces_of_graph_have_pads_of_their_own():
    text = graph("0:0", [[JOIN, JOIN], ["hflip", JOIN]])
    names = [part.split("]")[0] for part in text.split("split[x")[1:]]
    assert len(set(names)) == len(names) == 3
    assert "{" not in text
