"""Where a run begins: at the newest undamaged checkpoint in its folder, which all ranks agree on, or at its
start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.tally import sum_over_ranks
from hrm_rl.config import Config
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.checkpoint import Agree, TrainingState
from hrm_rl.runs.dependencies import digests_of_puzzles, moved, refusal
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.warm_start import start_from
from hrm_rl.training.worker import Worker
from hrm_rl.utils.errors import NotResumable


def begin(learner: Learner, config: Config) -> None:
    """Start a run: from `train.init_from`, if it is given, and on new puzzles."""
    averaged = learner.optimisation.averaged
    if config.train.init_from is not None:
        start_from(config.train.init_from, learner.model)
        if averaged is not None:
            averaged.begin()
    learner.start()


def resume(
    learner: Learner, worker: Worker, folder: RunFolder, say: Callable[[str], None], agree: Agree
) -> TrainingState | None:
    """Put the learner and the worker's curriculum where the newest undamaged checkpoint was. None if there is
    none; then nothing is changed. Raises NotResumable, on all ranks alike, if the puzzles at the run's paths
    are no more what they were."""
    update = _agreed_checkpoint(worker, folder, say)
    if update < 0:
        return None
    path = folder.checkpoint(update)
    changed = []
    if worker.rank == 0:
        changed = moved(checkpoint.read_state(path).digests, digests_of_puzzles(learner.config))
    if errors := agree(refusal(changed, "run") if changed else None):
        raise NotResumable(errors[0])
    state = checkpoint.load(path, learner, worker.rank, worker.world_size)
    worker.curriculum.resume(state.curriculum)
    if not state.world_size:
        say("from another trial's checkpoint, with this trial's settings; slots start on new puzzles")
    elif state.world_size != worker.world_size:
        say(
            f"{state.world_size} -> {worker.world_size} workers: weights and optimisers resume, slots start "
            "on new puzzles"
        )
    say(f"resuming from update {update}")
    return state


def _agreed_checkpoint(worker: Worker, folder: RunFolder, say: Callable[[str], None]) -> int:
    """The update of the checkpoint that all ranks resume from, chosen by rank 0; -1 for none."""
    update = 0.0
    if worker.rank == 0:
        path = selection.latest_sound(folder.checkpoints, say)
        if path is not None:
            update = 1.0 + selection.update_of(path)
    return int(sum_over_ranks(np.array([update]), worker.device)[0]) - 1
