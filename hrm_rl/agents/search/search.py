"""Search over a queue of puzzles: few slots search many (hrm_rl/agents/search/chains.py says how), as in
hrm_rl/agents/act/engine.py, and with the same promise: what becomes of a puzzle depends on its tokens, its
place in the queue and the seed, not on its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from envs import PuzzleBatch
from envs.search import refuse_unsearchable
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.queue import PuzzleQueue
from hrm_rl.agents.search.chains import Chains
from hrm_rl.agents.search.moves import Moves, Search


@torch.no_grad()
def search(
    solver: Solver, puzzles: Iterable[PuzzleBatch], how: Search, batch_size: int = 256
) -> Iterator[Moves]:
    """Search the puzzles of `puzzles`, which may be without end; yields after every round.

    batch_size: slots, those of all chains together; a puzzle's chains are never parted. At the end of the
    queue, slots that are done are left out (hrm_rl/agents/act/engine.py says how many are kept). The
    solutions in `puzzles` are not looked at. The model is in evaluation mode as long as this runs. Raises
    UserError for a task that cannot be searched.
    """
    refuse_unsearchable(solver.task)
    model, most = solver.model, max(1, batch_size // how.chains)
    least = 1 if solver.device.type == "cpu" else most
    queue = PuzzleQueue(puzzles)
    numbers, batch = queue.take(most)
    if batch is None:
        return
    chains = Chains.filled(solver, how, numbers, batch, max(len(numbers), least))
    was_training = model.training
    model.eval()
    try:
        while True:
            moves = chains.think()
            yield moves

            ended = np.isin(chains.index, moves.index[moves.done])
            if not ended.any():
                continue
            chains.index[ended] = -1
            free = np.flatnonzero(ended[:: how.chains])
            numbers, batch = queue.take(len(free))
            if batch is not None:
                chains.put(free[: len(numbers)], numbers, batch)
            if len(numbers) == len(free):
                continue
            used = chains.in_use  # the queue is empty
            if not len(used):
                return
            kept, groups = max(len(used), least), len(chains.index) // how.chains
            if kept < groups:
                idle = np.setdiff1d(np.arange(groups), used)
                chains.keep(np.concatenate([used, idle])[:kept])
    finally:
        model.train(was_training)
