"""What is compared: boards, and on each the trainers with their settings.

Theirs comes in two sizes. *Published* is what their README gives for 1,000 Sudokus of 9x9, on top of their
configuration files. *Small* is the same code with a network of the size of ours, and a rate, warm-up and
cycles that were tried out with one seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hrm_rl.utils.errors import UserError, nearest

OURS = "ours"
PUZZLES_SEED = 0
"""Of the puzzles, which are the same for every trainer and every seed."""


@dataclass(frozen=True)
class Contest:
    """A kind of puzzle, and what counts as learned."""

    env: Mapping[str, Any]
    level: str
    """As `hrm-rl dataset --level`."""
    puzzles: int
    held_out: int
    preset: str
    """Ours for this board."""
    every: int
    """Updates of ours between two evaluations."""
    every_s: float
    """CPU seconds of training between two evaluations of their small networks; published ones, whose
    evaluation takes minutes, are evaluated at the end."""
    hidden: int
    """Width of the small versions of theirs."""
    goal: float
    limit_s: float
    """CPU seconds of training that a run gets."""


CONTESTS = {
    "4x4": Contest(
        {"task": "sudoku", "size": 4}, "easy=1,medium=1,hard=1,extreme=1", 8192, 256,
        preset="sudoku4-quick", every=25, every_s=2.5, hidden=64, goal=0.95, limit_s=45,
    ),
    "6x6": Contest(
        {"task": "sudoku", "size": 6}, "easy=1,medium=1,hard=1,extreme=1", 32_768, 256,
        preset="sudoku6", every=25, every_s=10, hidden=128, goal=0.90, limit_s=300,
    ),
    "9x9": Contest(
        {"task": "sudoku", "size": 9}, "easy", 32_768, 256,
        preset="sudoku9-cpu", every=25, every_s=30, hidden=128, goal=0.95, limit_s=1800,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Opponent:
    """A trainer of theirs."""

    project: str
    """HRM or TRM: the checkout that it needs."""
    settings: Mapping[str, Any]
    """Over those of their configuration files; `arch.` before those of the network."""
    small: bool


README = {"lr": 1e-4, "puzzle_emb_lr": 1e-4, "weight_decay": 1.0, "puzzle_emb_weight_decay": 1.0}
SMALL = {
    "global_batch_size": 64,
    "lr": 2e-3,
    "lr_warmup_steps": 50,
    "puzzle_emb_lr": 2e-3,
    "arch.num_heads": 4,
    "arch.halt_max_steps": 8,
    "arch.forward_dtype": "float32",
}
"""One puzzle embedding, as wide as the network, is one more token; theirs cannot do without in HRM."""
SMALL_TRM = {
    "lr": 4e-3,
    "puzzle_emb_lr": 4e-3,
    "arch.H_cycles": 1,
    "arch.L_cycles": 3,
    "arch.L_layers": 1,
    "arch.puzzle_emb_len": 0,
    "ema": True,
    "ema_rate": 0.98,
}
MLP = {"arch.mlp_t": True, "arch.pos_encodings": "none"}

OPPONENTS = {
    "hrm-small": Opponent("HRM", SMALL | {"arch.H_layers": 1, "arch.L_layers": 1}, small=True),
    "trm-mlp-small": Opponent("TRM", SMALL | SMALL_TRM | MLP, small=True),
    "trm-att-small": Opponent("TRM", SMALL | SMALL_TRM, small=True),
    "hrm-published": Opponent(
        "HRM", README | {"global_batch_size": 384, "lr": 7e-5, "puzzle_emb_lr": 7e-5}, small=False
    ),
    "trm-published": Opponent("TRM", README | MLP | {"ema": True}, small=False),
}


def contest(name: str) -> Contest:
    """Raises UserError for an unknown board."""
    if name not in CONTESTS:
        raise UserError(f"unknown board '{name}'{nearest(name, CONTESTS)} (boards: {', '.join(CONTESTS)})")
    return CONTESTS[name]


def trainers() -> list[str]:
    return [OURS, *OPPONENTS]


def settings_of(board: str, trainer: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one of theirs on a board, over those of their files."""
    opponent = OPPONENTS[trainer]
    size = {"arch.hidden_size": CONTESTS[board].hidden} if opponent.small else {}
    return {**opponent.settings, **size, **changes}
