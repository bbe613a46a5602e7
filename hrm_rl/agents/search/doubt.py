"""When a search agent starts over: its doubt, read from the value of continuing.

Legend: B slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hrm_rl.config import Config


@dataclass(frozen=True)
class Doubt:
    """The rule by which a search agent drops its assumptions."""

    kind: Literal["returns", "supervised"] = "returns"
    """As in `config.search.doubt`: how the value of continuing was taught."""
    discount: float = 1.0
    """Of one more segment, in training."""
    after: int = 2
    """Segments before which a first start is not doubted: at least 2, since its first one gives the value to
    compare with."""

    @staticmethod
    def of(config: Config) -> Doubt:
        return Doubt(config.search.doubt, config.halting.discount)

    def starts_over(
        self,
        q_continue: NDArray[np.float32],
        root: NDArray[np.float32],
        age: NDArray[np.int64],
        assumed: NDArray[np.bool_],
        starts: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """(B,) whether starting over is worth more than continuing.

        q_continue: (B,) value of continuing with the present board, as a logit.  root: (B,) the same after
        the first segment of this start, NaN where there was none.  age: (B,) segments of this start.
        assumed: (B,) whether the board has assumptions.  starts: (B,) times it has started over before; each
        start is left in peace for one segment more than the one before, so that no puzzle whose fresh starts
        are valued too highly is begun again for ever. Starting over is worth discount * root, since that
        segment has to be thought again. A value that was taught whether all assumptions are right is compared
        with one half instead, and says nothing of a board without any.
        """
        if self.kind == "supervised":
            worse = (q_continue < 0) & assumed
        else:
            worse = probability(q_continue) < self.discount * probability(root)
        return np.asarray((age >= self.after + starts) & worse)


def probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The logistic function, in float64."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))
