"""Search with a trained model: it writes digits into the board, thinks on, doubts them, and starts over.

A network that is sure of a wrong digit is sure of it every time it meets the same board. So every fresh start
but the very first thinks about the puzzle in another form, under a random symmetry of its task where that has
any: there it errs elsewhere. What is told of a segment is in the form in which the puzzle was given.

After each segment the rule judges the answer, and one that is right is handed in; nothing else ever is. Once
the budget is spent the puzzle is left unanswered (abstained). Until then a chain continues, or assumes some
more digits, or starts over: where the board contradicts itself, or where continuing is worth less to the
model than starting over, which is doubt.

Several chains of a puzzle run side by side. They share nothing but the budget, and the first that is right
ends the puzzle. A round is one segment in each. The budget is dealt out in rounds like cards, so that in the
last one only the first chains may get a segment. All segments of a round count, whichever chain hands in.

What becomes of a puzzle depends on its tokens, its place in the queue and the seed, not on its neighbours:
each chain draws from a stream of its own.

Legend: B slots, b of them in use, C chains a puzzle, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch, Symmetries
from envs.puzzle import Tokens
from envs.search import Choice
from hrm_rl.agents.act.answers import likeliest, probabilities
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.search.moves import Moves, Search
from hrm_rl.models import Carry
from hrm_rl.utils.devices import ToCpu, to_device

_ROWS = ("index", "chain", "start", "age", "spent", "budget", "root", "puzzle", "inputs", "board")
"""The arrays of `Chains`."""


@dataclass
class Chains:
    """What is in B slots, a row each; the C chains of a puzzle lie side by side, the first one first."""

    solver: Solver
    how: Search
    index: NDArray[np.int64]
    """(B,) which puzzle: its place in the queue, -1 for an idle slot."""
    chain: NDArray[np.int64]
    """(B,)"""
    start: NDArray[np.int64]
    """(B,) times that it has started over."""
    age: NDArray[np.int64]
    """(B,) segments since then."""
    spent: NDArray[np.int64]
    """(B,) segments spent on its puzzle, by all chains."""
    budget: NDArray[np.int64]
    """(B,) the most segments of its puzzle, by all chains."""
    root: NDArray[np.float32]
    """(B,) q_continue after the first segment since then."""
    puzzle: Tokens
    """(B, L) as it was given."""
    inputs: Tokens
    """(B, L) the form of it that this start thinks about."""
    board: Tokens
    """(B, L) that form with the assumptions."""
    forms: list[Symmetries | None]
    """B of them: what makes that form of the puzzle; None for the puzzle itself."""
    identifier: torch.Tensor
    """(B,) of the puzzle, on the device."""
    carry: Carry
    streams: list[np.random.Generator]
    """B of them: what each chain draws from."""
    seen: tuple[NDArray[np.float32], list[Symmetries | None]] | None = None
    """Of the slots in use in the last round: the probabilities (b, L, V) of the answer's tokens, and the form
    that each was in."""

    @staticmethod
    def filled(
        solver: Solver, how: Search, numbers: NDArray[np.int64], batch: PuzzleBatch, groups: int
    ) -> Chains:
        """The first puzzles of the queue in groups of C slots; idle ones repeat the last puzzle."""
        rows = groups * how.chains
        some = batch.take(np.minimum(np.arange(rows) // how.chains, len(numbers) - 1))
        chains = Chains(
            solver=solver,
            how=how,
            index=np.full(rows, -1),
            chain=np.tile(np.arange(how.chains), groups),
            start=np.zeros(rows, np.int64),
            age=np.zeros(rows, np.int64),
            spent=np.zeros(rows, np.int64),
            budget=np.full(rows, how.budget),
            root=np.zeros(rows, np.float32),
            puzzle=some.inputs,
            inputs=some.inputs.copy(),
            board=some.inputs.copy(),
            forms=[None] * rows,
            identifier=to_device(torch.from_numpy(some.identifier), solver.device),
            carry=solver.model.initial_carry(rows),
            streams=[np.random.default_rng(how.seed)] * rows,
        )
        chains.put(np.arange(len(numbers)), numbers, batch)
        return chains

    @property
    def in_use(self) -> NDArray[np.int64]:
        """The groups of slots that have a puzzle."""
        return np.flatnonzero(self.index[:: self.how.chains] >= 0)

    def rows_of(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slots of some groups."""
        size = self.how.chains
        return (groups[:, None] * size + np.arange(size)).ravel()

    def think(self) -> Moves:
        """One round: a segment in every slot in use, and what follows from it."""
        how, task = self.how, self.solver.task
        tokens = to_device(torch.from_numpy(self.board), self.solver.device).long()
        self.carry, logits, q_values = self.solver.model(self.carry, tokens, self.identifier)
        found = ToCpu(likeliest(logits), q_values, probabilities(logits, self.solver.loss)).wait()

        used = np.flatnonzero((self.index >= 0) & (self.spent + self.chain < self.budget))
        likely, q, chances = (part.numpy()[used] for part in found)
        self.spent = np.minimum(self.spent + how.chains, self.budget)
        self.age += 1
        self.root[used] = np.where(self.age[used] == 1, q[:, 1], self.root[used])
        index, chain, start, age = (part[used] for part in (self.index, self.chain, self.start, self.age))
        inputs, board = self.inputs[used], self.board[used]
        spent, budget = self.spent[used], self.budget[used]

        answer = self.solver.answer(likely, board)
        solved = task.solved(inputs, answer)
        right = np.isin(index, index[solved])
        ended = right | (spent == budget)
        done = ended & ~right & (chain == 0)
        done[np.flatnonzero(solved)[np.unique(index[solved], return_index=True)[1]]] = True

        last = ended | (spent + chain >= budget)  # in the second case other chains have a turn left
        doubted = np.zeros(len(used), np.bool_)
        if how.doubt is not None:
            assumptions = (board != inputs).any(axis=1)
            doubted = how.doubt.starts_over(q[:, 1], self.root[used], age, assumptions, start) & ~last
        doubted |= (age == how.patience) & ~last
        due = np.flatnonzero(how.branching.due(age) & ~doubted & ~last)
        assumed = np.zeros_like(board)
        assumed[due] = self._assume(used[due], chances[due])
        after = np.where(assumed > 0, assumed, board)
        contradicted = np.zeros(len(used), np.bool_)
        contradicted[due] = task.contradicts(after[due])

        shown = [self._as_given(used, tokens) for tokens in (board, answer, assumed)]
        self.seen = chances, [self.forms[row] for row in used]
        over = doubted | contradicted
        self.board[used] = after
        self.start[used] += over
        self._change_form(used[over])
        self._begin(used[over])
        choice = np.where(solved, Choice.HAND_IN, np.where(over, Choice.START_OVER, Choice.CONTINUE))
        return Moves(
            index, chain, start, age, spent, self.puzzle[used], shown[0], shown[1], q,
            solved, choice, contradicted, shown[2], done,
        )  # fmt: skip

    def chances(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(b, L, V) probabilities of the answer's tokens in some rows of the last moves, in the form in which
        the puzzle was given."""
        assert self.seen is not None, "nothing was thought yet"
        chances, forms = self.seen
        shown = chances[rows]
        for i, row in enumerate(rows):
            if (form := forms[row]) is not None:
                shown[i] = form.undo_chances(shown[i : i + 1])[0]
        return shown

    def _assume(self, rows: NDArray[np.int64], chances: NDArray[np.float32]) -> Tokens:
        """(b, L) what the slots `rows` assume, from the answer's probabilities (b, L, V)."""
        sampled = (self.chain[rows] > 0) | (self.start[rows] > 0)
        board = self.board[rows]
        uniform = np.zeros(board.shape)
        for i in np.flatnonzero(sampled):
            uniform[i] = self.streams[rows[i]].random(board.shape[1])
        return self.how.branching.assumptions(self.solver.task, board, chances, sampled, uniform)

    def _change_form(self, rows: NDArray[np.int64]) -> None:
        """Give some slots their puzzles in another form, if the task knows any, without assumptions."""
        for row in rows:
            puzzle = self.puzzle[row : row + 1]
            self.forms[row] = form = self.solver.task.symmetries(puzzle, self.streams[row])
            self.inputs[row] = self.board[row] = (puzzle if form is None else form.apply(puzzle))[0]

    def _as_given(self, rows: NDArray[np.int64], tokens: Tokens) -> Tokens:
        """Boards, answers or assumptions (b, L) of some slots, in the form in which the puzzle was given."""
        shown = tokens.copy()
        for i, row in enumerate(rows):
            if (form := self.forms[row]) is not None:
                shown[i] = form.undo(tokens[i : i + 1])[0]
        return shown

    def _begin(self, rows: NDArray[np.int64]) -> None:
        """Give some slots the initial carry."""
        if not len(rows):
            return
        self.age[rows] = 0
        begun = torch.zeros(len(self.index), dtype=torch.bool)
        begun[torch.from_numpy(rows)] = True
        initial = self.solver.model.initial_carry(len(begun))
        self.carry = self.carry.replace_rows(to_device(begun, self.solver.device), initial)

    def put(self, groups: NDArray[np.int64], numbers: NDArray[np.int64], batch: PuzzleBatch) -> None:
        """Begin with new puzzles in some groups."""
        rows, each = self.rows_of(groups), self.how.chains
        self.index[rows] = np.repeat(numbers, each)
        self.start[rows], self.spent[rows], self.budget[rows] = 0, 0, self.how.budget
        self.puzzle[rows] = self.inputs[rows] = self.board[rows] = batch.inputs.repeat(each, axis=0)
        identifier = torch.from_numpy(batch.identifier.repeat(each))
        at = to_device(torch.from_numpy(rows), self.solver.device)
        self.identifier[at] = to_device(identifier, self.solver.device)
        for row in rows:
            self.forms[row] = None
            place = (self.how.seed, self.index[row], self.chain[row])
            self.streams[row] = np.random.default_rng(place)
        self._begin(rows)
        self._change_form(rows[self.chain[rows] > 0])

    def join(self, other: Chains) -> None:
        """Take over the groups of `other`, searched in the same way but for budget and seed, behind one's
        own."""
        for name in _ROWS:
            setattr(self, name, np.concatenate([getattr(self, name), getattr(other, name)]))
        self.identifier = torch.cat([self.identifier, other.identifier])
        self.carry = Carry.join([self.carry, other.carry])
        self.streams = self.streams + other.streams
        self.forms = self.forms + other.forms

    def keep(self, groups: NDArray[np.int64]) -> None:
        """Drop all other groups."""
        rows = self.rows_of(groups)
        for name in _ROWS:
            setattr(self, name, getattr(self, name)[rows])
        at = to_device(torch.from_numpy(rows), self.solver.device)
        self.identifier, self.carry = self.identifier[at], self.carry.select(at)
        self.streams = [self.streams[row] for row in rows]
        self.forms = [self.forms[row] for row in rows]
