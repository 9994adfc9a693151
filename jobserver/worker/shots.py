"""The second stage of a file of a brief: the shots that only it can give, a group a claim."""

import logging
from collections.abc import Sequence
from pathlib import Path

from jobserver import render
from jobserver.brief.timeline import Shot
from jobserver.db import exclusive
from jobserver.files.store import Staged
from jobserver.jobs import events, queue, shots, stages
from jobserver.jobs.model import Claim
from jobserver.jobs.shots import NewShot
from jobserver.worker import footage, measures, plans
from jobserver.worker.footage import Made
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.plans import Advance, JobPlan
from jobserver.worker.publish import end_claim, place_of
from jobserver.worker.workbench import Workbench

log = logging.getLogger(__name__)


class ShotRenderer:
    """Renders one group of shots after the other."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def work(self, held: HeldClaim) -> bool:
        """Render the next group of missing shots of the claimed file.

        Behind the last a video goes on to its outputs; any other file has ended.
        Returns False when the file was lost meanwhile.
        Raises render.Cancelled, MediaError or EngineError, OSError or DatabaseError.
        """
        bench, claim = self._bench, held.claim
        plan = plans.load(bench.db, claim.job_id)
        if plan is None:  # deleted since it was claimed: the claim is lost
            return False
        self._weigh(plan)
        source = plan.source_of(claim.id)
        there = shots.of_job(bench.db, claim.job_id)
        missing = [shot for key, shot in plan.needed(source).items() if key not in there]
        group = self._next_group(plan, missing)
        advance = Advance(held, plan.cost(source), plan.remaining(source, there))
        with bench.scratch_dir(claim) as folder:
            known, seen = measures.picture_of(bench.db, claim.id), list[render.Fingerprint]()
            made = footage.render_group(
                *(bench, held, plan, group),
                out=folder,
                advance=advance,
                picture=known,
                on_picture=seen.append,
            )
            staged = [self._put(claim, each) for each in made]
            last = len(group) == len(missing)
            done = end_claim(
                *(bench.db, bench.store, held, [file for file, _ in staged]),
                end=lambda now: self._end(
                    held,
                    [row for _, row in staged],
                    last=last,
                    now=now,
                    picture=seen[0] if seen else None,
                ),
            )
        if done:
            rest = len(missing) - len(group)
            log.info("%s: %d shots, %d to go", claim.label, len(group), rest, extra=claim.fields)
        return done

    def _weigh(self, plan: JobPlan) -> None:
        """Note how much each file is in the progress of its job, before anything is encoded."""
        weights = {
            file.id: plan.cost(source)
            for source, file in plan.files.items()
            if not file.weight and plan.cost(source)
        }
        if weights:
            with exclusive(self._bench.db, "queue"):
                stages.set_weights(self._bench.db, plan.job.id, weights)

    def _next_group(self, plan: JobPlan, missing: Sequence[Shot]) -> list[Shot]:
        """Return as many pictures as one process may write; behind the last, all sounds too."""
        pictures = [shot for shot in missing if shot.picture is not None]
        sounds = [shot for shot in missing if shot.picture is None]
        if not pictures:
            return sounds
        probe = plan.probes[pictures[0].role, pictures[0].source]
        wanted = [(shot.picture, Path()) for shot in pictures if shot.picture]
        size = render.shot_group_size(probe.footage, wanted, self._bench.settings)
        return [*pictures[:size], *(sounds if size >= len(pictures) else [])]

    def _end(
        self,
        held: HeldClaim,
        rows: Sequence[NewShot],
        *,
        last: bool,
        now: float,
        picture: render.Fingerprint | None,
    ) -> bool:
        db, claim = self._bench.db, held.claim
        if not last:
            is_held = queue.release(db, claim, held.progress, now)
        elif claim.role == "video":
            is_held = queue.advance(db, claim, stages.JOINS, progress=held.progress, now=now)
        else:
            is_held = queue.finish(db, claim, now)
            events.record_change(db, claim.job_id, claim.id, now)
        if is_held:
            shots.insert(db, claim, rows, now)
            measures.keep_picture(db, claim, picture)
        return is_held

    def _put(self, claim: Claim, made: Made) -> tuple[Staged, NewShot]:
        """Make a shot durable; return it, and its row."""
        store, name = self._bench.store, f"shot.{made.shot.key}{made.path.suffix}"
        size = made.path.stat().st_size
        staged = store.put(made.path, place_of(store, claim, name))
        return staged, NewShot(made.shot.key, staged.key, size, made.facts)
