"""Whether an exported segment does what the network does, segment by segment, over puzzles.

Both think about the same puzzles for the whole budget, the network in float32. Logits are compared segment
by segment, each from the same state, since a segment is what was exported: from states of their own, what two
ways to round differ by grows from segment to segment (by a factor of 10 to 100 in 16 segments of the networks
that were tried). Halting, answers and states are compared with each on its own, as it is used.

Legend: N puzzles, K segments, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import PuzzleBatch
from envs.puzzle import Tokens
from hrm_rl.agents.act.answers import exact, likeliest
from hrm_rl.agents.act.solver import Solver
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.utils.errors import UserError

TOLERANCE = 1e-4
"""The most by which a logit or Q-value may differ."""
TIE = 1e-3
"""Where the network itself halts, or prefers a token, by less than this, rounding may decide otherwise."""
AT_ONCE = 64
FROM_SAME = 100
"""Puzzles, the first ones, on which logits are compared from equal states, rounded up to whole batches."""


@dataclass(frozen=True)
class Agreement:
    """How far a format is from the network in float32."""

    puzzles: int
    budget: int
    logits: float
    """The largest difference of a logit or Q-value, over all segments, each from the same state, on the first
    FROM_SAME puzzles."""
    drift: float
    """The largest difference of a logit, each on its own from the first segment to the last."""
    decisions: float
    """Share of the puzzles where all decisions to halt are the same, after every segment, but for ties."""
    halting: float
    """Share where halting comes after the same segment."""
    answers: float
    """Share where the answers are the same, after every segment, but for ties."""
    ties: int
    """Decisions and cells that fell otherwise at a tie."""
    handed_in: float
    """Share where the answer that is handed in is the same."""
    fidelity: tuple[float, ...]
    """(K) cosine between its state and the network's after each segment, the mean over the puzzles."""
    exact: float
    """Share of the puzzles whose answer that is handed in equals the solution."""
    exact_network: float
    """The same of the network."""

    @property
    def faithful(self) -> bool:
        """Whether it does the same within TOLERANCE."""
        return self.logits <= TOLERANCE and self.decisions == self.answers == 1

    def in_words(self) -> str:
        """One line."""
        ties = f" but for {self.ties} tie{'s' if self.ties > 1 else ''}" if self.ties else ""
        same = f"same halting, same answers{ties}"
        if self.decisions < 1 or self.answers < 1:
            same = f"same halting in {self.halting:.1%}, same answer handed in in {self.handed_in:.1%}"
        return (
            f"{self.puzzles} puzzles x {self.budget} segments: logits within {self.logits:.1e} "
            f"({self.drift:.1e} after all), {same}, state cosine {self.fidelity[-1]:.5f}"
        )

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class AnswerTrace:
    """What some puzzles came to, after each segment."""

    halts: NDArray[np.bool_]
    """(K, N) whether the model wants to halt."""
    answers: Tokens
    """(K, N, L)"""

    def segments(self) -> NDArray[np.int64]:
        """(N,) segments until each puzzle is handed in."""
        return np.where(self.halts.any(axis=0), self.halts.argmax(axis=0) + 1, len(self.halts))

    def handed_in(self) -> Tokens:
        """(N, L)"""
        return self.answers[self.segments() - 1, np.arange(self.answers.shape[1])]


@dataclass(frozen=True)
class Comparison:
    """The network and a format on the same puzzles."""

    puzzles: PuzzleBatch
    network: AnswerTrace
    other: AnswerTrace
    logits: NDArray[np.float64]
    """(K,) the largest difference from the same state."""
    drift: NDArray[np.float64]
    """(K,) the largest difference, each on its own."""
    cosine: NDArray[np.float64]
    """(K, N)"""
    halting_ties: NDArray[np.bool_]
    """(K, N) where the network halts, or not, by less than TIE."""
    answer_ties: NDArray[np.bool_]
    """(K, N, L) where it prefers a token by less."""

    def agreement(self) -> Agreement:
        one, two = self.network, self.other
        handed_in = one.handed_in(), two.handed_in()
        halts, answers = one.halts != two.halts, one.answers != two.answers
        return Agreement(
            puzzles=len(self.puzzles),
            budget=len(self.logits),
            logits=float(self.logits.max()),
            drift=float(self.drift.max()),
            decisions=float((~halts | self.halting_ties).all(axis=0).mean()),
            halting=float((one.segments() == two.segments()).mean()),
            answers=float((~answers | self.answer_ties).all(axis=(0, 2)).mean()),
            ties=int((halts & self.halting_ties).sum() + (answers & self.answer_ties).sum()),
            handed_in=float((handed_in[0] == handed_in[1]).all(axis=1).mean()),
            fidelity=tuple(self.cosine.mean(axis=1).tolist()),
            exact=float(exact(handed_in[1], self.puzzles.solution).mean()),
            exact_network=float(exact(handed_in[0], self.puzzles.solution).mean()),
        )

    def changes(self) -> tuple[int, int]:
        """Puzzles whose exact answer the format loses, and those that it wins."""
        one, two = (exact(trace.handed_in(), self.puzzles.solution) for trace in (self.network, self.other))
        return int((one & ~two).sum()), int((two & ~one).sum())

    @staticmethod
    def join(parts: Sequence[Comparison]) -> Comparison:
        """Of several batches, as one."""

        def trace(name: str) -> AnswerTrace:
            found = [getattr(part, name) for part in parts]
            halts, answers = [t.halts for t in found], [t.answers for t in found]
            return AnswerTrace(np.concatenate(halts, axis=1), np.concatenate(answers, axis=1))

        return Comparison(
            PuzzleBatch.concatenate([part.puzzles for part in parts]),
            trace("network"),
            trace("other"),
            np.max([part.logits for part in parts], axis=0),
            np.max([part.drift for part in parts], axis=0),
            *(
                np.concatenate([getattr(part, name) for part in parts], axis=1)
                for name in ("cosine", "halting_ties", "answer_ties")
            ),
        )


@torch.no_grad()
def compare(
    solver: Solver,
    network: RecurrentModel,
    others: Sequence[RecurrentModel],
    puzzles: PuzzleBatch,
    budget: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Comparison]:
    """Each of `others` with `network`, over the whole budget. solver: says how answers and Q-values are read.
    progress: called with the number of puzzles done."""
    parts: list[list[Comparison]] = [[] for _ in others]
    done = 0
    for rows in np.array_split(np.arange(len(puzzles)), -(-len(puzzles) // AT_ONCE)):
        some = _compare(solver, network, others, puzzles.take(rows), budget, from_same=done < FROM_SAME)
        for part, found in zip(parts, some, strict=True):
            part.append(found)
        done += len(rows)
        progress(done)
    return [Comparison.join(part) for part in parts]


def _compare(
    solver: Solver,
    network: RecurrentModel,
    others: Sequence[RecurrentModel],
    puzzles: PuzzleBatch,
    budget: int,
    from_same: bool,
) -> list[Comparison]:
    """Of one batch. from_same: whether to compare logits from equal states."""
    tokens, identifier = torch.from_numpy(puzzles.inputs).long(), torch.from_numpy(puzzles.identifier)
    models = (network, *others)
    carries = [model.initial_carry(len(puzzles)) for model in models]
    halts: list[list[Any]] = [[] for _ in models]
    answers: list[list[Any]] = [[] for _ in models]
    same, drift = np.zeros((budget, len(others))), np.zeros((budget, len(others)))
    cosine = np.zeros((budget, len(others), len(puzzles)))
    halting_ties, answer_ties = [], []
    for k in range(budget):
        logits: list[Tensor] = []
        values: list[Tensor] = []
        before = carries[0]
        for i, model in enumerate(models):
            carries[i], found, q = model(carries[i], tokens, identifier)
            logits.append(found)
            values.append(q)
            halts[i].append(solver.wants_to_halt(q.numpy()))
            answers[i].append(solver.answer(likeliest(found).numpy(), puzzles.inputs))
        likely = logits[0].topk(2).values
        answer_ties.append((likely[..., 0] - likely[..., 1] < TIE).numpy())
        halting_ties.append(
            solver.wants_to_halt(values[0].numpy(), TIE) != solver.wants_to_halt(values[0].numpy(), -TIE)
        )
        for i, other in enumerate(others):
            if from_same:
                _, found, q = other(before, tokens, identifier)
                same[k, i] = max(_difference(logits[0], found), _difference(values[0], q))
            drift[k, i] = _difference(logits[0], logits[i + 1])
            cosine[k, i] = _cosine(carries[0], carries[i + 1])
    traces = [AnswerTrace(np.stack(h), np.stack(a)) for h, a in zip(halts, answers, strict=True)]
    ties = np.stack(halting_ties), np.stack(answer_ties)
    return [
        Comparison(puzzles, traces[0], traces[i + 1], same[:, i], drift[:, i], cosine[:, i], *ties)
        for i in range(len(others))
    ]


def _difference(one: Tensor, two: Tensor) -> float:
    """The largest; infinity where something is no number."""
    found = float((one - two).abs().max())
    return found if found == found else float("inf")


def _cosine(one: Carry, two: Carry) -> NDArray[np.float64]:
    """(N,) of all numbers of a puzzle's state."""
    flat = [torch.cat((c.z_h.flatten(1), c.z_l.flatten(1)), dim=1).double() for c in (one, two)]
    found: NDArray[np.float64] = torch.cosine_similarity(flat[0], flat[1], dim=1).numpy()
    return found


def refuse_disagreement(name: str, found: Agreement, full_precision: bool) -> None:
    """Raise UserError for a format that gives no numbers, and for one in full precision that does not do the
    same as the network."""
    if not np.isfinite(found.drift):
        raise UserError(
            f"{name} gives infinity or NaN, so nothing is written: its weights do not fit into that type"
        )
    if full_precision and not found.faithful:
        raise UserError(
            f"{name} disagrees with the network, so nothing is written: {found.in_words()} (logits may "
            f"differ by {TOLERANCE:.0e})"
        )
