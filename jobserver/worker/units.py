"""What a claim is for: variations of a video, or, of a file of a brief, what its stage says."""

from jobserver.jobs import stages
from jobserver.jobs.model import Claim
from jobserver.worker.group import GroupRenderer
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.joins import Joiner
from jobserver.worker.parts import Prober
from jobserver.worker.shots import ShotRenderer
from jobserver.worker.workbench import Workbench


class Units:
    """Does the next unit of work of a claimed file."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._groups = GroupRenderer(*bench)
        self._of_stage: dict[int, Prober | ShotRenderer | Joiner] = {
            stages.PROBE: Prober(bench),
            stages.SHOTS: ShotRenderer(bench),
            stages.JOINS: Joiner(bench),
        }

    def work(self, held: HeldClaim) -> bool:
        """Render what the claim is for and end it; False when the file was lost meanwhile.

        Raises render.Cancelled, MediaError or EngineError, OSError or DatabaseError.
        """
        if held.claim.planned is None:
            return self._groups.render_next(held)
        return self._of_stage[held.claim.stage].work(held)

    def remove_leftovers(self, claim: Claim) -> None:
        """Remove what workers that crashed left in earlier claims' folders. Raises OSError."""
        with self.bench.scratch_dir(claim):
            pass
