"""Mazes."""

from __future__ import annotations

from hrm_rl.config.presets.base import CURRICULUM, GIVEN, PAPER, SMALL, TRM, every, preset

MAZE = dict(task="maze", size=30)

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

MAZE_PRESETS = (
    preset(
        "maze-quick",
        "6x6 mazes; hidden 64, 2+2 layers; mazes in minutes on two cores",
        SMALL,
        "82.2 % solved in 6 min 29 s on two busy cores",
        env=dict(task="maze", size=6),
        data=dict(eval_puzzles=512),
        model=dict(h_layers=2, l_layers=2, swiglu_multiple=32),
        optim=dict(warmup_updates=50, lr_min_ratio=0.1, ema_decay=0.99),
        train=dict(max_updates=1500, loss_on="blanks", **every(300)),
        curriculum=dict(stages=("very-easy=1,easy=1,medium=1",), metric="solved"),
    ),
    preset(
        "maze-curriculum",
        "6x6 to 30x30 mazes, six stages by size and length; hidden 256, 4+4 layers; wants a GPU",
        CURRICULUM,
        env=MAZE | dict(options={"levels": MAZE_LEVELS}),
        train=dict(global_batch_size=256),
        curriculum=dict(stages=MAZE_STAGES, metric="solved", threshold=0.8),
    ),
    preset(
        "maze-hard-1k",
        "1,000 mazes of `--data.path` (Maze-Hard), 30x30; the paper's, 900 tokens; wants a GPU",
        PAPER,
        env=MAZE,
        data=GIVEN | dict(augment=False),
        curriculum=dict(metric="solved"),
    ),
    preset(
        "trm-maze-hard-1k",
        "1,000 mazes of `--data.path` (Maze-Hard), 30x30, augmented; TRM's, 900 tokens; wants a GPU",
        TRM,
        env=MAZE,
        data=GIVEN | dict(augment=True),
        model=dict(l_cycles=4),
        curriculum=dict(metric="solved"),
    ),
)
