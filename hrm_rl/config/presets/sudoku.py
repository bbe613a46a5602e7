"""Sudoku."""

from __future__ import annotations

from hrm_rl.config.presets.base import BEST, GIVEN, PAPER, SMALL, TRM, every, preset

SUDOKU = dict(task="sudoku", size=9)

FIVE_STAGES = (
    "easy=1",
    "easy=0.7,medium=0.3",
    "easy=0.5,medium=0.4,hard=0.1",
    "easy=0.3,medium=0.3,hard=0.3,extreme=0.1",
    "easy=0.1,medium=0.3,hard=0.4,extreme=0.2",
)

HARD_STAGES = ("medium=1,hard=1,extreme=1", "easy=0.5,medium=0.5,hard=1,extreme=3")

SUDOKU_PRESETS = (
    preset(
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
    ),
    preset(
        "sudoku6",
        "6x6, 8-20 clues; hidden 128, two blocks; a few minutes on a CPU",
        BEST,
        "100 % of 1,000 boards with 8-11 clues, searched, after 826 updates",
        env=dict(task="sudoku", size=6),
        model=dict(hidden_size=128, num_heads=4),
        optim=dict(ema_decay=0.995),
        train=dict(global_batch_size=64, max_updates=1000, log_every=20, **every(250)),
        curriculum=dict(stages=("easy=1,medium=1,hard=1,extreme=1",)),
    ),
    preset(
        "sudoku9-cpu",
        "9x9, 40-45 clues; hidden 128, two blocks; 9x9 on a laptop: ten minutes on two cores",
        SMALL,
        "98.6 % exact in 8 min 45 s on two cores",
        env=SUDOKU,
        model=dict(
            name="transformer", hidden_size=128, h_layers=1, l_layers=1, h_cycles=1, swiglu_multiple=64
        )
        | dict(pos_encodings="axial", gradient="last_cycle"),
        halting=dict(q_target="delayed"),
        optim=dict(name="muon", lr=2e-3, warmup_updates=50, lr_min_ratio=0.05, ema_decay=0.99),
        train=dict(max_updates=1200, loss_on="blanks", **every(300)),
        curriculum=dict(stages=("easy=1",)),
    ),
    preset(
        "sudoku9-hard-cpu",
        "9x9, mostly 20-31 clues; hidden 128, two blocks; hard boards on a laptop",
        BEST,
        "84.5 % exact of 20-27 clues, 98.2 % searched, in 81 min on one busy core",
        env=SUDOKU,
        model=dict(hidden_size=128, num_heads=4),
        train=dict(global_batch_size=64, max_updates=12_000, log_every=20, **every(1000)),
        curriculum=dict(stages=HARD_STAGES, threshold=0.75),
    ),
    preset(
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
        train=dict(global_batch_size=32, max_updates=6000, log_every=20, **every(1000)),
        curriculum=dict(stages=("easy=0.25,medium=0.75,hard=1,extreme=3",), metric="solved"),
    ),
    preset(
        "sudoku9-curriculum-cpu",
        "9x9, five stages; hidden 128, two blocks; the default at the size of a laptop",
        BEST,
        "the last stage after 2,540 updates, 23 min on one busy core",
        env=SUDOKU,
        data=dict(eval_puzzles=256),
        model=dict(hidden_size=128, num_heads=4),
        train=dict(global_batch_size=64, max_updates=8000, log_every=20, **every(1000)),
        curriculum=dict(stages=FIVE_STAGES, threshold=0.85, window=200, min_updates=200),
    ),
    preset(
        "sudoku9-curriculum",
        "9x9, five stages; hidden 256, two blocks; the default; wants a GPU",
        BEST,
        env=SUDOKU,
        model=dict(hidden_size=256, num_heads=8),
        train=dict(global_batch_size=512, max_updates=30_000),
        curriculum=dict(stages=FIVE_STAGES, threshold=0.85, window=200, min_updates=200),
    ),
    preset(
        "sudoku-extreme-1k",
        "1,000 puzzles of `--data.path`, augmented; the paper's hidden 512, 4+4 layers, 27.3M; wants a GPU",
        PAPER,
        env=SUDOKU,
        data=GIVEN | dict(augment=True),
    ),
    preset(
        "trm-sudoku-extreme-1k",
        "1,000 puzzles of `--data.path`, augmented; "
        "TRM's hidden 512, one network of 2 layers, 6.8M; wants a GPU",
        TRM,
        env=SUDOKU,
        data=GIVEN | dict(augment=True),
    ),
    preset(
        "trm-sudoku-extreme-1k-mlp",
        "1,000 puzzles of `--data.path`, augmented; TRM's, an MLP over the cells, 5.0M; wants a GPU",
        TRM,
        env=SUDOKU,
        data=GIVEN | dict(augment=True),
        model=dict(mixer="mlp", pos_encodings="none"),
    ),
    preset(
        "hrm-sudoku-full",
        "all puzzles of `--data.path`; "
        "the paper's, learned positions, 8 low-level cycles; wants several GPUs",
        PAPER,
        env=SUDOKU,
        data=dict(required=True, augment=False),
        model=dict(l_cycles=8, pos_encodings="learned"),
        halting=dict(halt_max_steps=8),
        optim=dict(
            lr=3e-4, lr_min_ratio=0.1, weight_decay=0.1, puzzle_emb_lr=3e-4, puzzle_emb_weight_decay=0.1
        ),
        # 100 epochs of the 3.8 million training puzzles of Sudoku-Extreme
        train=dict(global_batch_size=2304, max_updates=166_000, loss="softmax", **every(5000)),
    ),
)
