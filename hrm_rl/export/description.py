"""What a host program has to know of a segment: how puzzles are written, where a state begins, when to stop.

It stands in `segment.json` beside the files, in the metadata of each ONNX file (a property for each key, its
value as JSON) and in each `.pt2` (`extra_files`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.search.moves import Search
from hrm_rl.export.program import SegmentProgram
from hrm_rl.models.registry import version_of
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.utils.errors import UserError

FORMAT, FORMAT_VERSION = "hrm-rl segment", 1


def describe(loaded: LoadedModel, segment: SegmentProgram, identifier: int | None) -> dict[str, Any]:
    """JSON values. identifier: that of the puzzle embedding which the program keeps alone, if it does."""
    task, config, model = loaded.task, loaded.config, segment.model
    learns_continue = loaded.solver.q_target.learns_continue
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": model.config.name,
        "version": version_of(loaded.model),
        "task": task.name,
        "rows": task.grid_shape[0],
        "columns": task.grid_shape[1],
        "characters": task.characters,
        "unknown": unknown_tokens(task),
        "coordinates": task.coordinates().tolist(),
        "levels": list(task.levels),
        "budget": config.halting.halt_max_steps,
        "loss_on": config.train.loss_on,
        "loss": config.train.loss,
        "q_target": config.halting.q_target,
        "halts_where": "q_halt > q_continue" if learns_continue else "q_halt > 0",
        "identifiers": len(model.puzzle_emb.weight) if segment.takes_identifier else 0,
        "baked_identifier": identifier,
        "initial": {
            name: _initial(model.h_init if name == "z_h" else model.l_init) for name in segment.states
        },
        "positions": model.positions,
        "search": _search(loaded),
    }


def unknown_tokens(task: PuzzleTask) -> list[int]:
    """Tokens of cells that an answer has to find."""
    rows = np.arange(task.vocab_size, dtype=np.uint8)[:, None].repeat(task.length, axis=1)
    return np.flatnonzero(task.unknown(rows).all(axis=1)).tolist()


def refuse_unknown_by_place(task: PuzzleTask, puzzles: Tokens) -> None:
    """Raise UserError if which cells an answer has to find is no matter of their tokens alone, so that a host
    without the task could not tell."""
    if not np.array_equal(task.unknown(puzzles), np.isin(puzzles, unknown_tokens(task))):
        raise UserError(
            f"the unknown cells of {task.name} are not told by their tokens, and the model was trained on "
            "these alone (train.loss_on blanks): other runtimes could not read its answers"
        )


def _initial(state: Tensor) -> list[float]:
    """The vector (D,) that every position of a state begins with."""
    return state.to(torch.float32).tolist()


def _search(loaded: LoadedModel) -> dict[str, Any] | None:
    """How the package would search with this model; None for a task that cannot be searched."""
    if not loaded.task.assumable:
        return None
    how = Search.of(loaded.config)
    doubt = how.doubt and {"kind": how.doubt.kind, "discount": how.doubt.discount, "after": how.doubt.after}
    return {
        "trained": loaded.config.search.share > 0,
        "budget": how.budget,
        "assumable": list(loaded.task.assumable),
        "assume_share": how.branching.share,
        "assume_every": how.branching.every,
        "temperature": how.branching.temperature,
        "doubt": doubt,
        "patience": how.patience,
    }
