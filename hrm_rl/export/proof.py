"""Whether an exported segment does what the network does, segment by segment, over puzzles.

Both think about the same puzzles for the whole budget, the network in float32. Logits are compared segment by
segment, each from the same state, since a segment is what was exported: from states of their own, what two ways
to round differ by grows from segment to segment (by a factor of 10 to 100 in 16 segments of the networks that
were tried). Halting, answers and states are compared with each on its own, as it is used.

Legend: N puzzles, K segments, L tokens.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import PuzzleBatch
from hrm_rl.agents.act.answers import likeliest
from hrm_rl.agents.act.solver import Solver
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.utils.errors import UserError

TOLERANCE = 1e-4
"""The most by which a logit may differ."""
AT_ONCE = 64


@dataclass(frozen=True)
class Agreement:
    """How far a format is from the network in float32."""

    puzzles: int
    budget: int
    logits: float
    """The largest difference of a logit, over all segments, each from the same state."""
    drift: float
    """The same, each on its own from the first segment to the last."""
    decisions: float
    """Share of the puzzles where all decisions to halt are the same, after every segment."""
    halting: float
    """Share where halting comes after the same segment."""
    answers: float
    """Share where the answers are the same, after every segment."""
    handed_in: float
    """Share where the answer that is handed in is the same."""
    fidelity: tuple[float, ...]
    """(K) cosine between its state and the network's after each segment, the mean over the puzzles."""

    @property
    def exact(self) -> bool:
        """Whether it does the same within TOLERANCE."""
        return self.logits <= TOLERANCE and self.decisions == self.answers == 1

    def in_words(self) -> str:
        """One line."""
        many = f"{self.puzzles} puzzles x {self.budget} segments"
        same = "same halting, same answers"
        if self.decisions < 1 or self.answers < 1:
            same = f"same halting in {self.halting:.1%}, same answer in {self.handed_in:.1%}"
        return (
            f"{many}: logits within {self.logits:.1e} ({self.drift:.1e} at the end), {same}, state cosine "
            f"{self.fidelity[-1]:.5f}"
        )

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class _Trace:
    """What some puzzles came to, after each segment."""

    halts: NDArray[np.bool_]
    """(K, N)"""
    answers: NDArray[np.uint8]
    """(K, N, L)"""

    def ends(self) -> NDArray[np.int64]:
        """(N,) the segment after which each puzzle is handed in, from 0."""
        return np.where(self.halts.any(axis=0), self.halts.argmax(axis=0), len(self.halts) - 1)

    def handed_in(self) -> NDArray[np.uint8]:
        """(N, L)"""
        return self.answers[self.ends(), np.arange(self.answers.shape[1])]


@torch.no_grad()
def agreement(
    solver: Solver, network: RecurrentModel, other: RecurrentModel, puzzles: PuzzleBatch, budget: int
) -> Agreement:
    """How `other` agrees with `network` over puzzles. solver: says how answers and Q-values are read."""
    parts = [
        _compare(solver, network, other, puzzles.take(rows), budget)
        for rows in np.array_split(np.arange(len(puzzles)), -(-len(puzzles) // AT_ONCE))
    ]
    logits, drift = np.max([part[0] for part in parts], axis=0).tolist()
    fidelity = np.concatenate([part[1] for part in parts], axis=1).mean(axis=1)
    one, two = (_joined([part[i] for part in parts]) for i in (2, 3))
    return Agreement(
        puzzles=len(puzzles),
        budget=budget,
        logits=logits,
        drift=drift,
        decisions=float((one.halts == two.halts).all(axis=0).mean()),
        halting=float((one.ends() == two.ends()).mean()),
        answers=float((one.answers == two.answers).all(axis=(0, 2)).mean()),
        handed_in=float((one.handed_in() == two.handed_in()).all(axis=1).mean()),
        fidelity=tuple(float(value) for value in fidelity),
    )


def _joined(traces: list[_Trace]) -> _Trace:
    return _Trace(*(np.concatenate([getattr(t, name) for t in traces], axis=1) for name in ("halts", "answers")))


def _compare(
    solver: Solver, network: RecurrentModel, other: RecurrentModel, puzzles: PuzzleBatch, budget: int
) -> tuple[tuple[float, float], NDArray[np.float64], _Trace, _Trace]:
    """The largest differences from the same state and on their own, cosines (K, N), and both traces."""
    tokens, identifier = torch.from_numpy(puzzles.inputs).long(), torch.from_numpy(puzzles.identifier)
    models = (network, other)
    carries = [model.initial_carry(len(puzzles)) for model in models]
    halts: tuple[list[Any], list[Any]] = ([], [])
    answers: tuple[list[Any], list[Any]] = ([], [])
    same, own, cosines = 0.0, 0.0, []
    for _ in range(budget):
        from_same = other(carries[0], tokens, identifier)[1]
        logits: list[Tensor] = []
        for i, model in enumerate(models):
            carries[i], found, q = model(carries[i], tokens, identifier)
            logits.append(found)
            halts[i].append(solver.wants_to_halt(q.numpy()))
            answers[i].append(solver.answer(likeliest(found).numpy(), puzzles.inputs))
        same = max(same, _difference(logits[0], from_same))
        own = max(own, _difference(*logits))
        cosines.append(_cosine(carries[0], carries[1]))
    traces = [_Trace(np.stack(h), np.stack(a)) for h, a in zip(halts, answers, strict=True)]
    return (same, own), np.stack(cosines), traces[0], traces[1]


def _difference(one: Tensor, two: Tensor) -> float:
    """The largest; infinity where something is no number."""
    found = float((one - two).abs().max())
    return found if found == found else float("inf")


def _cosine(one: Carry, two: Carry) -> NDArray[np.float64]:
    """(N,) of all numbers of a puzzle's state."""
    flat = [torch.cat((c.z_h.flatten(1), c.z_l.flatten(1)), dim=1).double() for c in (one, two)]
    found: NDArray[np.float64] = torch.cosine_similarity(flat[0], flat[1], dim=1).numpy()
    return found


def refuse_disagreement(name: str, found: Agreement) -> None:
    """Raise UserError for a format in full precision that does not do the same."""
    if not found.exact:
        raise UserError(
            f"{name} disagrees with the network, so nothing is written: {found.in_words()} (logits may differ "
            f"by {TOLERANCE:.0e}); report this with the network's settings"
        )
