"""What presets are made of: the settings that several share."""

from __future__ import annotations

from typing import Any, NamedTuple

from hrm_rl.config.config import Config

Settings = dict[str, dict[str, Any]]
"""By section of `Config`; what is not there has its default."""

GIVEN = dict(required=True, max_puzzles=1000)
"""The data of runs on 1,000 puzzles of a file."""


class Preset(NamedTuple):
    """A named configuration."""

    config: Config
    purpose: str
    """The puzzles, the network, what it is for, in one line."""
    reaches: str
    """What a run of it came to; "" where none was run to its end."""


def preset(name: str, purpose: str, base: Settings, reaches: str = "", **sections: dict[str, Any]) -> Preset:
    """`base` with other values for some settings."""
    config = Config.model_validate({"preset": name, **merged(base, **sections)})
    return Preset(config, purpose, reaches)


def merged(base: Settings, **sections: dict[str, Any]) -> Settings:
    """`base` with other values for some settings."""
    return base | {name: base.get(name, {}) | values for name, values in sections.items()}


def every(updates: int) -> dict[str, int]:
    return dict(eval_every=updates, checkpoint_every=updates)


SMALL: Settings = dict(
    model=dict(hidden_size=64, num_heads=4),
    halting=dict(halt_max_steps=8),
    optim=dict(lr=1e-3),
    train=dict(global_batch_size=64, log_every=20),
)
"""Networks that two CPU cores train in minutes."""

BEST: Settings = dict(
    model=dict(name="transformer", h_layers=1, l_layers=1, h_cycles=1, swiglu_multiple=64)
    | dict(pos_encodings="axial", gradient="last_cycle", dtype="bfloat16"),
    halting=dict(q_target="delayed", halt_max_steps=16, halt_exploration_prob=0.1),
    optim=dict(name="muon", lr=2e-3, warmup_updates=100, lr_min_ratio=0.05, ema_decay=0.999),
    train=dict(loss_on="blanks", **every(500)),
)
"""The best recipe known for hard puzzles (docs/search.md): two blocks applied twice a segment, axial
positions, Muon, the gradient of the last cycle, a budget of 16."""

CURRICULUM: Settings = dict(
    model=dict(hidden_size=256, num_heads=4, h_layers=4, l_layers=4, h_cycles=2, l_cycles=2),
    halting=dict(halt_max_steps=16, halt_exploration_prob=0.1),
    optim=dict(name="adamw", lr=1e-4, betas=(0.9, 0.95)),
    train=dict(global_batch_size=512, loss_on="blanks", **every(250)),
    curriculum=dict(window=300, min_updates=300),
)
"""A mid-size network through stages of difficulty."""

PAPER: Settings = dict(
    model=dict(hidden_size=512, num_heads=8, h_layers=4, l_layers=4, h_cycles=2, l_cycles=2, dtype="bfloat16")
    | dict(puzzle_emb_ndim=512),
    halting=dict(halt_max_steps=16, halt_exploration_prob=0.1),
    optim=dict(name="adam_atan2", lr=1e-4, betas=(0.9, 0.95), weight_decay=1.0, warmup_updates=2000)
    | dict(puzzle_emb_lr=1e-4, puzzle_emb_weight_decay=1.0, grad_clip=0.0),
    train=dict(global_batch_size=768, max_updates=26_000, loss="stablemax", **every(1000)),
    curriculum=dict(stages=("all=1",)),
)
"""The HRM paper's runs on 1,000 puzzles of Sudoku-Extreme and Maze-Hard: 20,000 epochs."""

TRM = merged(
    PAPER,
    model=dict(name="trm", l_layers=2, h_cycles=3, l_cycles=6, puzzle_emb_len=16),
    halting=dict(q_target="halt_only"),
    optim=dict(ema_decay=0.999),
    train=dict(max_updates=65_000, **every(2500)),
)
"""The TRM paper's runs on these puzzles, with attention: 50,000 epochs."""
