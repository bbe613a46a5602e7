"""One puzzle being searched: what each segment was about, for hrm_rl/analysis/boards.py to draw."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from envs import PAD, PuzzleBatch
from envs.search import Choice
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.search.search import Moves
from hrm_rl.analysis.boards import Step, cells


@dataclass(frozen=True, kw_only=True)
class SearchStep(Step):
    """One segment of one chain."""

    start: int
    """Times that the chain had started over before."""
    side_by_side: bool
    """Whether there are other chains."""
    choice: Choice
    contradicted: bool
    """It starts over because the board contradicted itself."""
    assumes: int
    """Cells assumed after this segment."""
    misled: int | None
    """Assumptions on the board that differ from the solution; None where that is not known."""

    @property
    def place(self) -> str:
        chain = f", chain {self.chain + 1}" if self.side_by_side else ""
        return f"segment {self.number}{chain}, start {self.start + 1}"

    @property
    def mark(self) -> str | None:
        return {Choice.HAND_IN: "hands in", Choice.START_OVER: "starts over"}.get(self.choice)

    @property
    def decision(self) -> str:
        if self.choice == Choice.HAND_IN:
            return "hands in"
        if self.spent:
            return "abstains"
        if self.choice == Choice.START_OVER:
            return f"{self.reason}, starts over"
        return f"assumes {cells(self.assumes)}" if self.assumes else "continues"

    @property
    def reason(self) -> str:
        """Why it starts over."""
        assert self.assumed is not None
        if self.contradicted:
            return "contradicted"
        return "doubted" if self.assumed.any() else "given up"

    @property
    def change(self) -> str:
        assert self.assumed is not None
        count = int(self.assumed.sum())
        if not count:
            return super().change
        wrong = "" if self.misled is None else f", {self.misled or 'none'} of them wrong"
        return f"{count} assumed{wrong}"


def search_steps(moves: Moves, solver: Solver, puzzle: PuzzleBatch) -> list[SearchStep]:
    """The segments of one puzzle, a batch of its own."""
    steps: list[SearchStep] = []
    last: dict[int, SearchStep] = {}
    solution = puzzle.solution[0]
    labelled = solution != PAD
    side_by_side = bool(moves.chain.any())
    for i in range(len(moves.index)):
        answer, board, (q_halt, q_continue) = moves.answer[i], moves.board[i], moves.q[i].tolist()
        chain, assumed = int(moves.chain[i]), board != moves.inputs[i]
        before = last[chain].answer if moves.age[i] > 1 else None
        step = SearchStep(
            number=int(moves.segment[i]),
            answer=answer,
            before=before,
            q_halt=q_halt,
            q_continue=q_continue if solver.q_target.learns_continue else None,
            halts=bool(moves.solved[i]),
            spent=bool(moves.done[i] and not moves.solved[i]),
            thinks_on=False,
            solved=bool(moves.solved[i]),
            wrong=int(((answer != solution) & labelled).sum()) if labelled.any() else None,
            assumed=assumed,
            chain=chain,
            start=int(moves.start[i]),
            side_by_side=side_by_side,
            choice=Choice(int(moves.choice[i])),
            contradicted=bool(moves.contradicted[i]),
            assumes=int((moves.assumed[i] > 0).sum()),
            misled=int((assumed & labelled & (board != solution)).sum()) if labelled.any() else None,
        )
        steps.append(step)
        last[chain] = step
    return steps


def search_outcome(steps: list[SearchStep]) -> str:
    """How it ended, and how often it started over, and why."""
    last, over = steps[-1].number, [step for step in steps if step.choice == Choice.START_OVER]
    right = any(step.solved for step in steps)
    line = (
        f"handed in after segment {last}: solved" if right else f"abstained after segment {last}: not solved"
    )
    if not over:
        return f"{line}; it never started over"
    why = Counter(step.reason for step in over)
    rightly = sum(bool(step.misled) for step in over if step.reason == "doubted")
    parts = [f"{count} {reason}" for reason, count in why.items()]
    if why["doubted"] and over[0].misled is not None:
        parts.append(f"{rightly} of {why['doubted']} doubts right")
    return f"{line}; started over {len(over)} times: {', '.join(parts)}"
