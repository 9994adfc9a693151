"""Chromium plays joined outputs to their end: right duration, no error, every frame decoded."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from jobserver.render import Encoding, Joined, Settings, load_fonts
from jobserver.render.offline import Wishes, make, prepare
from tests.render.joins.support import flashing

pytestmark = pytest.mark.browser

PLAY = """async (name) => {
    const video = document.querySelector("video");
    const happened = [];
    for (const kind of ["error", "stalled", "abort"])
        video.addEventListener(kind, () => happened.push(kind));
    const until = (kind) => new Promise((done) => video.addEventListener(kind, done, {once: true}));
    const loaded = until("loadedmetadata"), ended = Promise.race([until("ended"), until("error")]);
    video.muted = true;
    video.src = name;
    await loaded;
    const sought = until("seeked");
    video.currentTime = video.duration / 2;
    await sought;
    video.currentTime = 0;
    video.playbackRate = 2;
    await until("seeked");
    await video.play();
    await ended;
    const {totalVideoFrames, corruptedVideoFrames} = video.getVideoPlaybackQuality();
    const {duration, currentTime, videoWidth, videoHeight} = video;
    const code = video.error?.code;
    return {happened, duration, currentTime, videoWidth, videoHeight, code, totalVideoFrames,
            corruptedVideoFrames};
}"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> list[Joined]:
    """A main clip alone, cut, sped up, and between a hook and an ending of other rates."""
    folder = tmp_path_factory.mktemp("joined")
    clips = {
        "hook": flashing(folder / "hook.mp4", "24000/1001", size="90x160"),
        "video": flashing(folder / "main.mp4", "30000/1001"),
        "ending": flashing(folder / "end.mp4", "60000/1001", sound=False),
    }
    brief = {
        "formats": ["9:16"], "size": 360, "hooks": [None, "hook.mp4"],
        "endings": [None, "end.mp4"], "speeds": [1, 1.25], "lengths": ["full", 2.9],
        "combine": "pairs",
    }  # fmt: skip
    files = {role: [path] for role, path in clips.items()} | {"overlay": [], "music": []}
    wishes = Wishes(brief=json.dumps(brief), files=files, seed=1, recipe="subtle")
    settings, fonts = Settings(encoding=Encoding(preset="ultrafast")), load_fonts()
    production = prepare(wishes, settings, fonts)
    return [out for _, out in make(production, folder, settings, fonts, scratch=folder)]


def test_chromium_plays_every_output_to_its_end(browser: Browser, outputs, tmp_path: Path):
    assert len(outputs) >= 4
    page = browser.new_page()
    for output in outputs:
        index = output.path.with_name("index.html")
        index.write_text("<!doctype html><video></video>")
        page.goto(index.as_uri())
        seen = page.evaluate(PLAY, output.path.name)
        assert (seen["happened"], seen.get("code")) == ([], None)
        assert seen["duration"] == pytest.approx(output.seconds, abs=0.001)
        assert seen["currentTime"] == pytest.approx(output.seconds, abs=0.001)
        assert (seen["videoWidth"], seen["videoHeight"]) == (output.width, output.height)
        assert seen["totalVideoFrames"] >= output.frames
        assert seen["corruptedVideoFrames"] == 0
    page.close()
