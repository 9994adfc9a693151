"""One output of a brief: its shots fetched, joined, made durable, and described."""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from jobserver.brief.timeline import Segment, Shot, Timeline
from jobserver.files.store import Store
from jobserver.jobs import shots
from jobserver.render.joins import Joined, JoinPart, Mixing, join
from jobserver.render.measure import joined as joined_hashes
from jobserver.render.sound import SoundFile
from jobserver.worker.batch import Batch, ShotMissing
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.measures import with_source
from jobserver.worker.publish import Staging, loudness_facts, stage_files
from jobserver.worker.workbench import Workbench


def join_output(
    bench: Workbench,
    held: HeldClaim,
    batch: Batch,
    timeline: Timeline,
    *,
    folder: Path,
    on_progress: Callable[[float], None],
) -> Staging:
    """Join one output in a folder and make it durable.

    Raises ShotMissing; render.Cancelled, MediaError or EngineError, or OSError.
    """
    start, number, music = time.monotonic(), timeline.output.number, None
    with ExitStack() as stack:
        fetched = _Fetched(stack, bench.store, batch, held.cancel)
        parts = [fetched.part(segment) for segment in timeline.segments]
        if timeline.music is not None:
            music = fetched.sound(batch.plan.music_shot(timeline.music))
        joined = join(
            *(parts, folder / f"{number}.mp4", bench.settings),
            mixing=Mixing(
                loudness=timeline.loudness, music=music, music_volume=timeline.music_volume
            ),
            thumbnail=True,
            on_progress=on_progress,
            cancel=held.cancel,
        )
    took = time.monotonic() - start + batch.seconds_of_shots(timeline)
    staged = stage_files(
        *(bench.store, held.claim, number), path=joined.path, thumbnail=joined.thumbnail
    )
    staged = _described(staged, timeline, joined, seconds=took, made_with=bench.made_with)
    return with_source(staged, _hashes(batch, timeline, joined.lengths), batch.picture)


def _hashes(batch: Batch, timeline: Timeline, lengths: Sequence[float]) -> bytes | None:
    """Return the hashes of an output, which are its shots'; None where some have none."""
    kept = [json.loads(batch.shot(each.picture).facts).get("hashes") for each in timeline.segments]
    if None in kept:  # encoded before they were measured
        return None
    return joined_hashes(list(zip(map(b64decode, kept), lengths, strict=True)))


class _Fetched(NamedTuple):
    """Shots of a job, on this machine for as long as `stack` lives. All raise ShotMissing."""

    stack: ExitStack
    store: Store
    batch: Batch
    cancel: threading.Event

    def part(self, segment: Segment) -> JoinPart:
        picture, _ = self._file(segment.picture)
        sound = None if segment.sound is None else self.sound(segment.sound)
        seconds = segment.seconds if segment.cut else None
        return JoinPart(picture=picture, sound=sound, seconds=seconds)

    def sound(self, shot: Shot) -> SoundFile:
        path, row = self._file(shot)
        return SoundFile.from_facts(path, json.loads(row.facts))

    def _file(self, shot: Shot) -> tuple[Path, shots.Shot]:
        row = self.batch.shot(shot)
        try:
            path = self.stack.enter_context(self.store.local_path(row.place, self.cancel))
        except FileNotFoundError as error:
            raise ShotMissing(shot.key) from error
        if not path.exists():  # in a folder nobody has looked before
            raise ShotMissing(shot.key)
        return path, row


def _described(
    staged: Staging, timeline: Timeline, joined: Joined, *, seconds: float, made_with: str
) -> Staging:
    """Say in the row of an output what it is."""
    output = timeline.output
    row = staged.row._replace(
        name=f"{output.name}.mp4",
        parameters=_look_of(timeline),
        seconds=seconds,
        made_with=made_with,
        axes=output.axes._asdict(),
        width=joined.width,
        height=joined.height,
        duration=joined.seconds,
        loudness=loudness_facts(joined.loudness),
    )
    return staged._replace(row=row)


def _look_of(timeline: Timeline) -> dict[str, float]:
    """Return the parameters of the main clip's look, none when it has none."""
    for segment in timeline.segments:
        shot = segment.picture
        if shot.role == "video" and shot.picture is not None:
            return dict(shot.picture.look or ())
    return {}
