"""Named configurations: what each sets, what it is for, and what it was seen to reach."""

from __future__ import annotations

from typing import Any, NamedTuple

from hrm_rl.config.config import Config
from hrm_rl.utils.errors import unknown

Settings = dict[str, dict[str, Any]]
"""By section of `Config`; what is not there has its default."""

FIVE_STAGES = (
    "easy=1",
    "easy=0.7,medium=0.3",
    "easy=0.5,medium=0.4,hard=0.1",
    "easy=0.3,medium=0.3,hard=0.3,extreme=0.1",
    "easy=0.1,medium=0.3,hard=0.4,extreme=0.2",
)

MAZE_LEVELS = "s6=6:3-,s10=10:5-33,s15=15:8-52,s20=20:10-71,s30=30:15-109,hard=30:110-"
"""Mazes of 6x6 to 30x30 cells by the cells of their shortest paths; `hard` are those of Maze-Hard."""

MAZE_STAGES = (
    "s6=1",
    "s6=0.3,s10=0.7",
    "s6=0.1,s10=0.3,s15=0.6",
    "s10=0.2,s15=0.3,s20=0.5",
    "s15=0.2,s20=0.3,s30=0.5",
    "s20=0.1,s30=0.3,hard=0.6",
)


def _with(base: Settings, **sections: dict[str, Any]) -> Settings:
    """`base` with other values for some settings."""
    return base | {name: base.get(name, {}) | values for name, values in sections.items()}


def _every(updates: int) -> dict[str, int]:
    return dict(eval_every=updates, checkpoint_every=updates)


SUDOKU, MAZE = dict(task="sudoku", size=9), dict(task="maze", size=30)
GIVEN = dict(required=True, max_puzzles=1000)

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
    train=dict(loss_on="blanks", **_every(500)),
)
"""The best recipe known for hard puzzles (docs/search.md): two blocks applied twice a segment, axial
positions, Muon, the gradient of the last cycle, a budget of 16."""

HARD_STAGES = ("medium=1,hard=1,extreme=1", "easy=0.5,medium=0.5,hard=1,extreme=3")

CURRICULUM: Settings = dict(
    model=dict(hidden_size=256, num_heads=4, h_layers=4, l_layers=4, h_cycles=2, l_cycles=2),
    halting=dict(halt_max_steps=16, halt_exploration_prob=0.1),
    optim=dict(name="adamw", lr=1e-4, betas=(0.9, 0.95)),
    train=dict(global_batch_size=512, loss_on="blanks", **_every(250)),
    curriculum=dict(window=300, min_updates=300),
)
"""A mid-size network through stages of difficulty."""

PAPER: Settings = dict(
    model=dict(hidden_size=512, num_heads=8, h_layers=4, l_layers=4, h_cycles=2, l_cycles=2, dtype="bfloat16")
    | dict(puzzle_emb_ndim=512),
    halting=dict(halt_max_steps=16, halt_exploration_prob=0.1),
    optim=dict(name="adam_atan2", lr=1e-4, betas=(0.9, 0.95), weight_decay=1.0, warmup_updates=2000)
    | dict(puzzle_emb_lr=1e-4, puzzle_emb_weight_decay=1.0, grad_clip=0.0),
    train=dict(global_batch_size=768, max_updates=26_000, loss="stablemax", **_every(1000)),
    curriculum=dict(stages=("all=1",)),
)
"""The HRM paper's runs on 1,000 puzzles of Sudoku-Extreme and Maze-Hard: 20,000 epochs."""

TRM = _with(
    PAPER,
    model=dict(name="trm", l_layers=2, h_cycles=3, l_cycles=6, puzzle_emb_len=16),
    halting=dict(q_target="halt_only"),
    optim=dict(ema_decay=0.999),
    train=dict(max_updates=65_000, **_every(2500)),
)
"""The TRM paper's runs on these puzzles, with attention: 50,000 epochs."""


class PresetNote(NamedTuple):
    """A preset in words, as the documentation shows it."""

    purpose: str
    """The puzzles, the network, what it is for, in one line."""
    reaches: str
    """What a run of it came to; "" where none was run to its end."""


PRESETS: dict[str, Config] = {}
_NOTES: dict[str, PresetNote] = {}


def _preset(name: str, purpose: str, base: Settings, reaches: str = "", **sections: dict[str, Any]) -> None:
    """Add a preset: `base` with other values for some settings."""
    PRESETS[name] = Config.model_validate({"preset": name, **_with(base, **sections)})
    _NOTES[name] = PresetNote(purpose, reaches)


_preset(
    "sudoku4-quick",
    "4x4, 4-8 clues; hidden 64, 1+1 layers; `make train`: a minute or two on two cores",
    SMALL,
    "99.6 % exact in 34 s on two cores",
    env=dict(task="sudoku", size=4),
    data=dict(eval_puzzles=512, exclude_twins=False),
    model=dict(h_layers=1, l_layers=1, swiglu_multiple=32, pos_encodings="axial", gradient="last_cycle"),
    halting=dict(q_target="delayed"),
    optim=dict(lr=2e-3, warmup_updates=50, lr_min_ratio=0.1, ema_decay=0.98),
    train=dict(max_updates=500, eval_every=100, checkpoint_every=250),
    curriculum=dict(stages=("easy=1,medium=1,hard=1,extreme=1",)),
)
_preset(
    "sudoku6",
    "6x6, 8-20 clues; hidden 128, two blocks; a few minutes on a CPU",
    BEST,
    "100 % of 1,000 boards with 8-11 clues, searched, after 826 updates",
    env=dict(task="sudoku", size=6),
    model=dict(hidden_size=128, num_heads=4),
    optim=dict(ema_decay=0.995),
    train=dict(global_batch_size=64, max_updates=1000, log_every=20, **_every(250)),
    curriculum=dict(stages=("easy=1,medium=1,hard=1,extreme=1",)),
)
_preset(
    "sudoku9-cpu",
    "9x9, 40-45 clues; hidden 128, two blocks; 9x9 on a laptop: ten minutes on two cores",
    SMALL,
    "98.6 % exact in 8 min 45 s on two cores",
    env=SUDOKU,
    model=dict(name="transformer", hidden_size=128, h_layers=1, l_layers=1, h_cycles=1, swiglu_multiple=64)
    | dict(pos_encodings="axial", gradient="last_cycle"),
    halting=dict(q_target="delayed"),
    optim=dict(name="muon", lr=2e-3, warmup_updates=50, lr_min_ratio=0.05, ema_decay=0.99),
    train=dict(max_updates=1200, loss_on="blanks", **_every(300)),
    curriculum=dict(stages=("easy=1",)),
)
_preset(
    "sudoku9-hard-cpu",
    "9x9, mostly 20-31 clues; hidden 128, two blocks; hard boards on a laptop",
    BEST,
    "84.5 % exact of 20-27 clues, 98.2 % searched, in 81 min on one busy core",
    env=SUDOKU,
    model=dict(hidden_size=128, num_heads=4),
    train=dict(global_batch_size=64, max_updates=12_000, log_every=20, **_every(1000)),
    curriculum=dict(stages=HARD_STAGES, threshold=0.75),
)
_preset(
    "sudoku9-search-cpu",
    "9x9, mostly 20-27 clues, with search; hidden 128, two blocks; from `--train.init-from runs/HARD`",
    BEST,
    "99.7 % of 20-27 clues, 98.3 % of 17 clues, in 42 min more on one busy core",
    env=SUDOKU,
    data=dict(eval_puzzles=256),
    model=dict(hidden_size=128, num_heads=4),
    halting=dict(q_target="lambda", rollout_segments=2, q_lambda=0.9, discount=0.97),
    search=dict(share=0.8, assume_every=4),
    optim=dict(lr=1e-3),
    train=dict(global_batch_size=32, max_updates=6000, log_every=20, **_every(1000)),
    curriculum=dict(stages=("easy=0.25,medium=0.75,hard=1,extreme=3",), metric="solved"),
)
_preset(
    "sudoku9-curriculum-cpu",
    "9x9, five stages; hidden 128, two blocks; the default at the size of a laptop",
    BEST,
    "the last stage after 2,540 updates, 23 min on one busy core",
    env=SUDOKU,
    data=dict(eval_puzzles=256),
    model=dict(hidden_size=128, num_heads=4),
    train=dict(global_batch_size=64, max_updates=8000, log_every=20, **_every(1000)),
    curriculum=dict(stages=FIVE_STAGES, threshold=0.85, window=200, min_updates=200),
)
_preset(
    "sudoku9-curriculum",
    "9x9, five stages; hidden 256, two blocks; the default; wants a GPU",
    BEST,
    env=SUDOKU,
    model=dict(hidden_size=256, num_heads=8),
    train=dict(global_batch_size=512, max_updates=30_000),
    curriculum=dict(stages=FIVE_STAGES, threshold=0.85, window=200, min_updates=200),
)
_preset(
    "sudoku-extreme-1k",
    "1,000 puzzles of `--data.path`, augmented; the paper's hidden 512, 4+4 layers, 27.3M; wants a GPU",
    PAPER,
    env=SUDOKU,
    data=GIVEN | dict(augment=True),
)
_preset(
    "trm-sudoku-extreme-1k",
    "1,000 puzzles of `--data.path`, augmented; TRM's hidden 512, one network of 2 layers, 6.8M; wants a GPU",
    TRM,
    env=SUDOKU,
    data=GIVEN | dict(augment=True),
)
_preset(
    "trm-sudoku-extreme-1k-mlp",
    "1,000 puzzles of `--data.path`, augmented; TRM's, an MLP over the cells, 5.0M; wants a GPU",
    TRM,
    env=SUDOKU,
    data=GIVEN | dict(augment=True),
    model=dict(mixer="mlp", pos_encodings="none"),
)
_preset(
    "hrm-sudoku-full",
    "all puzzles of `--data.path`; the paper's, learned positions, 8 low-level cycles; wants several GPUs",
    PAPER,
    env=SUDOKU,
    data=dict(required=True, augment=False),
    model=dict(l_cycles=8, pos_encodings="learned"),
    halting=dict(halt_max_steps=8),
    optim=dict(lr=3e-4, lr_min_ratio=0.1, weight_decay=0.1, puzzle_emb_lr=3e-4, puzzle_emb_weight_decay=0.1),
    # 100 epochs of the 3.8 million training puzzles of Sudoku-Extreme
    train=dict(global_batch_size=2304, max_updates=166_000, loss="softmax", **_every(5000)),
)
_preset(
    "maze-quick",
    "6x6 mazes; hidden 64, 2+2 layers; mazes in minutes on two cores",
    SMALL,
    "82.2 % solved in 6 min 29 s on two busy cores",
    env=dict(task="maze", size=6),
    data=dict(eval_puzzles=512),
    model=dict(h_layers=2, l_layers=2, swiglu_multiple=32),
    optim=dict(warmup_updates=50, lr_min_ratio=0.1, ema_decay=0.99),
    train=dict(max_updates=1500, loss_on="blanks", **_every(300)),
    curriculum=dict(stages=("very-easy=1,easy=1,medium=1",), metric="solved"),
)
_preset(
    "maze-curriculum",
    "6x6 to 30x30 mazes, six stages by size and length; hidden 256, 4+4 layers; wants a GPU",
    CURRICULUM,
    env=MAZE | dict(options={"levels": MAZE_LEVELS}),
    train=dict(global_batch_size=256),
    curriculum=dict(stages=MAZE_STAGES, metric="solved", threshold=0.8),
)
_preset(
    "maze-hard-1k",
    "1,000 mazes of `--data.path` (Maze-Hard), 30x30; the paper's, 900 tokens; wants a GPU",
    PAPER,
    env=MAZE,
    data=GIVEN | dict(augment=False),
    curriculum=dict(metric="solved"),
)
_preset(
    "trm-maze-hard-1k",
    "1,000 mazes of `--data.path` (Maze-Hard), 30x30, augmented; TRM's, 900 tokens; wants a GPU",
    TRM,
    env=MAZE,
    data=GIVEN | dict(augment=True),
    model=dict(l_cycles=4),
    curriculum=dict(metric="solved"),
)


def get_preset(name: str) -> Config:
    """The preset called `name`. Raises UserError with the nearest name."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def describe(name: str) -> PresetNote:
    """What a preset is for. Raises UserError as `get_preset` does."""
    get_preset(name)
    return _NOTES[name]
