"""Outputs of several parts: their shots one behind the other, with one sound for the whole.

Nothing of the picture is encoded again. Read in this sequence: `model`, `samples` and `pictures`
(what is taken of each shot), `gain`, `command`, `check` (what came out), `join`.
"""

from jobserver.render.joins.join import join
from jobserver.render.joins.model import Joined, JoinPart, Mixing

__all__ = ["JoinPart", "Joined", "Mixing", "join"]
