"""The first stage of a file of a brief: what it is. Nothing is encoded before all are known."""

import logging
from pathlib import Path

from jobserver import render
from jobserver.files.store import Staged
from jobserver.jobs import events, queue, stages
from jobserver.jobs.model import Claim, SourceFacts
from jobserver.render.facts import clip_facts, music_facts, still_facts
from jobserver.worker import facts
from jobserver.worker.facts import Probe
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.publish import end_claim, place_of, sha256_of
from jobserver.worker.workbench import Workbench

log = logging.getLogger(__name__)


class Prober:
    """Probes one file after the other."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def work(self, held: HeldClaim) -> bool:
        """Probe the claimed file; then it waits for the others of its job. An overlay has ended.

        Returns False when the file was lost meanwhile.
        Raises render.Cancelled, MediaError or EngineError, OSError or DatabaseError.
        """
        bench, claim = self._bench, held.claim
        with (
            bench.source(claim.stored_name, held.cancel) as path,
            bench.scratch_dir(claim) as folder,
        ):
            probe = self._probe(held, path)
            picture = self._picture(held, probe, path, folder / f"{claim.id}.webp")
            found = SourceFacts(
                duration=probe.part.duration or None,
                width=probe.part.width or None,
                height=probe.part.height or None,
                sha256=sha256_of(path),
                thumbnail=None if picture is None else picture.name,
                thumbnail_place=None if picture is None else self._place(claim, picture),
                facts=facts.dump(probe),
                credentials=facts.credentials_of(path),
            )
            staged = [] if picture is None else [self._put(claim, picture)]
            done = end_claim(
                *(bench.db, bench.store, held, staged), end=lambda now: self._end(claim, found, now)
            )
        if done:
            log.info("%s: probed a part (%s)", claim.label, claim.role)
        return done

    def _end(self, claim: Claim, found: SourceFacts, now: float) -> bool:
        db = self._bench.db
        if not queue.record_source(db, claim, found):
            return False
        if claim.role == "overlay":
            held = queue.finish(db, claim, now)
            events.record_change(db, claim.job_id, claim.id, now)
            return held
        return queue.advance(db, claim, stages.SHOTS, progress=claim.progress, now=now)

    def _probe(self, held: HeldClaim, path: Path) -> Probe:
        settings, role = self._bench.settings, held.claim.role
        if role == "music":
            music = render.probe_music(path, settings, held.cancel)
            return Probe(part=music_facts(music), music=music)
        if role == "overlay" or (role == "ending" and render.is_picture(path)):
            still = render.probe_still(path, settings, held.cancel)
            return Probe(part=still_facts(still), still=still)
        media = render.probe(path, settings, held.cancel)
        return Probe(part=clip_facts(media), media=media)

    def _picture(self, held: HeldClaim, probe: Probe, path: Path, out: Path) -> Path | None:
        """Make a picture of a clip; it renders without one too."""
        if probe.media is None:
            return None
        try:
            render.thumbnail(path, out, self._bench.settings, held.cancel, media=probe.media)
        except render.MediaError as error:
            log.info("%s: no thumbnail: %s", held.claim.label, error)
            return None
        return out

    def _place(self, claim: Claim, picture: Path) -> str:
        return place_of(self._bench.store, claim, picture.name)

    def _put(self, claim: Claim, picture: Path) -> Staged:
        return self._bench.store.put(picture, self._place(claim, picture), sync=False)
