"""Briefs, plans and shots as values."""

from jobserver.brief.model import Axes, Part, Plan, PlannedOutput, Sources


def output(video: int, number: int) -> PlannedOutput:
    axes = Axes("a.mp4", None, None, "source", "full", 1.0, False, None, None, None)
    return PlannedOutput(video, number, f"a_{video}_{number}", axes)


def test_a_plan_counts_the_outputs_of_the_main_clip_that_has_most():
    plan = Plan((output(0, 1), output(1, 1), output(1, 2)), shots=3)
    assert (plan.total, plan.variations_per_video) == (3, 2)
    assert [each.number for each in plan.of_video(1)] == [1, 2]
    assert Plan((), shots=0).variations_per_video == 0


def test_a_file_is_found_by_its_role_and_name():
    sources = Sources(videos=(Part("a.mp4"),), hooks=(Part("b.mp4", 2.0), Part("a.mp4")))
    assert (sources.index("video", "a.mp4"), sources.index("hook", "a.mp4")) == (0, 1)
    assert sources.of_role("music") == ()
