"""The last stage of a video of a brief: its outputs, joined of shots, some a claim.

As many as a few seconds allow, so that the first are seen early, and a cancel or another job
waits for little.
"""

import logging
import time
from pathlib import Path

from jobserver import metrics, render
from jobserver.jobs import queue, shots, stages
from jobserver.worker import measures, outputs, plans
from jobserver.worker.batch import Batch, ShotMissing
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.measures import Compared
from jobserver.worker.plans import JOIN_COST, Advance
from jobserver.worker.publish import end_claim
from jobserver.worker.workbench import Workbench

JOIN_S = 3.0  # after so long a claim begins no other join

log = logging.getLogger(__name__)


class Joiner:
    """Joins some outputs after the others."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def work(self, held: HeldClaim) -> bool:
        """Join the next missing outputs of the claimed video, and list those that cannot be.

        Returns False when the file was lost meanwhile.
        Raises render.Cancelled or EngineError, OSError or DatabaseError.
        """
        bench, claim = self._bench, held.claim
        plan = plans.load(bench.db, claim.job_id)
        if plan is None:  # deleted since it was claimed: the claim is lost
            return False
        kept = shots.of_job(bench.db, claim.job_id)
        picture = measures.picture_of(bench.db, claim.id)
        batch, source = Batch(plan, claim.id, kept, picture), plan.source_of(claim.id)
        advance = Advance(held, plan.cost(source), plan.remaining(source, kept))
        unneeded: list[str] = []
        with bench.scratch_dir(claim) as folder:
            try:
                batch.require_shots()
                self._join_some(held, batch, folder, advance)
            except ShotMissing as missing:
                return self._make_again(held, missing.key)

            compared = measures.with_siblings(bench.db, claim.id, batch.staged)

            def end(now: float) -> bool:
                if not self._end(held, batch, compared, now):
                    return False
                unneeded.extend(shots.drop(bench.db, claim.job_id, batch.unneeded()))
                return True

            done = end_claim(bench.db, bench.store, held, batch.files, end=end)
        if done:
            shots.delete_files(bench.store, unneeded)
            made, rest = len(batch.staged), len(batch.todo)
            metrics.outputs_failed(len(batch.failed))
            log.info(
                "%s: joined %d outputs, %d to go",
                *(claim.label, made, rest),
                extra={**claim.fields, "outputs": made},
            )
        return done

    def _join_some(self, held: HeldClaim, batch: Batch, folder: Path, advance: Advance) -> None:
        """Join outputs until JOIN_S have passed; one that cannot be joined fails alone."""
        end = time.monotonic() + JOIN_S
        while batch.todo:
            timeline = batch.todo[0]
            cost = JOIN_COST * timeline.seconds

            def show(share: float, cost: float = cost) -> None:
                advance.show(share, cost)

            try:
                staged = outputs.join_output(
                    *(self._bench, held, batch, timeline), folder=folder, on_progress=show
                )
                batch.staged.append(staged)
            except render.MediaError as error:
                metrics.render_failed(error)
                log.info("%s: %s %s", held.claim.label, error, error.detail)
                batch.fail(timeline.output, str(error))
            del batch.todo[0]
            advance.add(cost)
            if time.monotonic() >= end:
                break

    def _end(self, held: HeldClaim, batch: Batch, compared: Compared, now: float) -> bool:
        """End the claim; what is complete is judged here, where nothing else is written."""
        db, claim = self._bench.db, held.claim
        listed = stages.listed_outputs(db, claim)
        made = listed.published + len(batch.staged)
        left = (claim.planned or 0) - made - listed.failed - len(batch.failed)
        if left > 0 and not batch.is_empty:
            is_held = queue.release(db, claim, held.progress, now)
        elif made or not batch.failed:
            is_held = queue.finish(db, claim, now)
        else:
            is_held = queue.fail(db, claim, batch.failed[0].reason, now)
        if is_held:
            stages.list_failed(db, batch.failed)
            queue.insert_outputs(db, claim, [each.row for each in compared.staged], now)
            measures.keep(db, claim, compared, None)
        return is_held

    def _make_again(self, held: HeldClaim, key: str) -> bool:
        """Let a shot that has gone be made again, and the video wait for it."""
        bench, claim = self._bench, held.claim
        log.warning("%s: a shot has gone; it is made again", claim.label)

        def end(now: float) -> bool:
            again = queue.advance(bench.db, claim, stages.SHOTS, progress=held.progress, now=now)
            if again:
                stages.remake_shots(bench.db, claim.job_id, now)
                shots.drop(bench.db, claim.job_id, [key])
            return again

        return end_claim(bench.db, bench.store, held, [], end=end)
