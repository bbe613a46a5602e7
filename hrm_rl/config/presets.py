"""Named configurations that are known to work; the README says what each is for and what it reaches."""

from __future__ import annotations

from hrm_rl.config.config import Config, ModelConfig
from hrm_rl.config.sections import (
    CurriculumConfig,
    DataConfig,
    EnvConfig,
    HaltingConfig,
    OptimConfig,
    TrainConfig,
)
from hrm_rl.utils.errors import unknown

FIVE_STAGES = (
    "easy=1",
    "easy=0.7,medium=0.3",
    "easy=0.5,medium=0.4,hard=0.1",
    "easy=0.3,medium=0.3,hard=0.3,extreme=0.1",
    "easy=0.1,medium=0.3,hard=0.4,extreme=0.2",
)

MAZE_LEVELS = "s6=6:3-,s10=10:5-33,s15=15:8-52,s20=20:10-71,s30=30:15-109,hard=30:110-"
"""Mazes of 6x6 to 30x30 cells and the number of cells of their shortest paths; `hard`
are those of Maze-Hard."""

MAZE_STAGES = (
    "s6=1",
    "s6=0.3,s10=0.7",
    "s6=0.1,s10=0.3,s15=0.6",
    "s10=0.2,s15=0.3,s20=0.5",
    "s15=0.2,s20=0.3,s30=0.5",
    "s20=0.1,s30=0.3,hard=0.6",
)

PAPER_MODEL = ModelConfig(
    hidden_size=512,
    num_heads=8,
    h_layers=4,
    l_layers=4,
    h_cycles=2,
    l_cycles=2,
    puzzle_emb_ndim=512,
    dtype="bfloat16",
)
"""The network of the HRM paper: 27.3 million parameters."""

PAPER_OPTIM = OptimConfig(
    name="adam_atan2",
    lr=1e-4,
    betas=(0.9, 0.95),
    weight_decay=1.0,
    warmup_updates=2000,
    puzzle_emb_lr=1e-4,
    puzzle_emb_weight_decay=1.0,
    grad_clip=0.0,
)
"""The optimisers of its published runs on Sudoku-Extreme and Maze-Hard."""

PAPER_TRAIN = TrainConfig(
    global_batch_size=768,
    max_updates=26_000,
    loss="stablemax",
    eval_every=1000,
    checkpoint_every=1000,
)
"""The loop of these runs: 20,000 epochs of 1,000 puzzles in batches of 768."""

TRM_MODEL = ModelConfig(
    name="trm",
    hidden_size=512,
    num_heads=8,
    l_layers=2,
    h_cycles=3,
    l_cycles=6,
    puzzle_emb_ndim=512,
    puzzle_emb_len=16,
    dtype="bfloat16",
)
"""The network of the TRM paper with attention: 6.8 million parameters, 5.0 with the MLP mixer on Sudoku."""

TRM_HALTING = HaltingConfig(halt_max_steps=16, halt_exploration_prob=0.1, q_target="halt_only")

TRM_OPTIM = PAPER_OPTIM.model_copy(update={"ema_decay": 0.999})

TRM_TRAIN = PAPER_TRAIN.model_copy(
    update={"max_updates": 65_000, "eval_every": 2500, "checkpoint_every": 2500}
)
"""50,000 epochs of 1,000 puzzles in batches of 768."""

PRESETS: dict[str, Config] = {
    "sudoku4-quick": Config(
        preset="sudoku4-quick",
        env=EnvConfig(task="sudoku", size=4),
        data=DataConfig(eval_puzzles=512, exclude_twins=False),
        model=ModelConfig(
            hidden_size=64,
            num_heads=4,
            h_layers=1,
            l_layers=1,
            swiglu_multiple=32,
            pos_encodings="axial",
            gradient="last_cycle",
        ),
        halting=HaltingConfig(halt_max_steps=8, q_target="delayed"),
        optim=OptimConfig(lr=2e-3, warmup_updates=50, lr_min_ratio=0.1, ema_decay=0.98),
        train=TrainConfig(
            global_batch_size=64, max_updates=500, eval_every=100, checkpoint_every=250, log_every=20
        ),
        curriculum=CurriculumConfig(stages=("easy=1,medium=1,hard=1,extreme=1",)),
    ),
    "sudoku6": Config(
        preset="sudoku6",
        env=EnvConfig(task="sudoku", size=6),
        model=ModelConfig(
            hidden_size=128, num_heads=4, h_layers=2, l_layers=2, swiglu_multiple=64, pos_encodings="learned"
        ),
        halting=HaltingConfig(halt_max_steps=8),
        optim=OptimConfig(lr=1e-3, warmup_updates=100, ema_decay=0.99),
        train=TrainConfig(
            global_batch_size=64, max_updates=10_000, eval_every=500, checkpoint_every=500, log_every=20
        ),
        curriculum=CurriculumConfig(stages=("easy=1,medium=1,hard=1",)),
    ),
    "sudoku9-cpu": Config(
        preset="sudoku9-cpu",
        env=EnvConfig(task="sudoku", size=9),
        model=ModelConfig(
            name="transformer",
            hidden_size=128,
            num_heads=4,
            h_layers=1,
            l_layers=1,
            h_cycles=1,
            swiglu_multiple=64,
            pos_encodings="axial",
            gradient="last_cycle",
        ),
        halting=HaltingConfig(halt_max_steps=8, q_target="delayed"),
        optim=OptimConfig(name="muon", lr=2e-3, warmup_updates=50, lr_min_ratio=0.05, ema_decay=0.99),
        train=TrainConfig(
            global_batch_size=64,
            max_updates=1200,
            loss_on="blanks",
            eval_every=300,
            checkpoint_every=300,
            log_every=20,
        ),
        curriculum=CurriculumConfig(stages=("easy=1",)),
    ),
    "sudoku9-curriculum": Config(
        preset="sudoku9-curriculum",
        env=EnvConfig(task="sudoku", size=9),
        model=ModelConfig(hidden_size=256, num_heads=4, h_layers=4, l_layers=4, h_cycles=2, l_cycles=2),
        halting=HaltingConfig(halt_max_steps=16, halt_exploration_prob=0.1),
        optim=OptimConfig(name="adamw", lr=1e-4, betas=(0.9, 0.95)),
        train=TrainConfig(global_batch_size=512, loss_on="blanks", eval_every=250, checkpoint_every=250),
        curriculum=CurriculumConfig(stages=FIVE_STAGES, threshold=0.85, window=300, min_updates=300),
    ),
    "sudoku-extreme-1k": Config(
        preset="sudoku-extreme-1k",
        env=EnvConfig(task="sudoku", size=9),
        data=DataConfig(required=True, max_puzzles=1000, augment=True),
        model=PAPER_MODEL,
        halting=HaltingConfig(halt_max_steps=16, halt_exploration_prob=0.1),
        optim=PAPER_OPTIM,
        train=PAPER_TRAIN,
        curriculum=CurriculumConfig(stages=("all=1",)),
    ),
    "trm-sudoku-extreme-1k": Config(
        preset="trm-sudoku-extreme-1k",
        env=EnvConfig(task="sudoku", size=9),
        data=DataConfig(required=True, max_puzzles=1000, augment=True),
        model=TRM_MODEL,
        halting=TRM_HALTING,
        optim=TRM_OPTIM,
        train=TRM_TRAIN,
        curriculum=CurriculumConfig(stages=("all=1",)),
    ),
    "trm-sudoku-extreme-1k-mlp": Config(
        preset="trm-sudoku-extreme-1k-mlp",
        env=EnvConfig(task="sudoku", size=9),
        data=DataConfig(required=True, max_puzzles=1000, augment=True),
        model=TRM_MODEL.model_copy(update={"mixer": "mlp", "pos_encodings": "none"}),
        halting=TRM_HALTING,
        optim=TRM_OPTIM,
        train=TRM_TRAIN,
        curriculum=CurriculumConfig(stages=("all=1",)),
    ),
    "hrm-sudoku-full": Config(
        preset="hrm-sudoku-full",
        env=EnvConfig(task="sudoku", size=9),
        data=DataConfig(required=True, augment=False),
        model=PAPER_MODEL.model_copy(update={"l_cycles": 8, "pos_encodings": "learned"}),
        halting=HaltingConfig(halt_max_steps=8, halt_exploration_prob=0.1),
        optim=PAPER_OPTIM.model_copy(
            update={
                "lr": 3e-4,
                "lr_min_ratio": 0.1,
                "weight_decay": 0.1,
                "puzzle_emb_lr": 3e-4,
                "puzzle_emb_weight_decay": 0.1,
            }
        ),
        train=TrainConfig(
            global_batch_size=2304,
            max_updates=166_000,  # 100 epochs of the 3.8 million training puzzles of Sudoku-Extreme
            loss="softmax",
            eval_every=5000,
            checkpoint_every=5000,
        ),
        curriculum=CurriculumConfig(stages=("all=1",)),
    ),
    "maze-quick": Config(
        preset="maze-quick",
        env=EnvConfig(task="maze", size=6),
        data=DataConfig(eval_puzzles=512),
        model=ModelConfig(hidden_size=64, num_heads=4, h_layers=2, l_layers=2, swiglu_multiple=32),
        halting=HaltingConfig(halt_max_steps=8),
        optim=OptimConfig(lr=1e-3, warmup_updates=50, lr_min_ratio=0.1, ema_decay=0.99),
        train=TrainConfig(
            global_batch_size=64,
            max_updates=1500,
            loss_on="blanks",
            eval_every=300,
            checkpoint_every=300,
            log_every=20,
        ),
        curriculum=CurriculumConfig(stages=("very-easy=1,easy=1,medium=1",), metric="solved"),
    ),
    "maze-curriculum": Config(
        preset="maze-curriculum",
        env=EnvConfig(task="maze", size=30, options={"levels": MAZE_LEVELS}),
        model=ModelConfig(hidden_size=256, num_heads=4, h_layers=4, l_layers=4, h_cycles=2, l_cycles=2),
        halting=HaltingConfig(halt_max_steps=16, halt_exploration_prob=0.1),
        optim=OptimConfig(name="adamw", lr=1e-4, betas=(0.9, 0.95)),
        train=TrainConfig(global_batch_size=256, loss_on="blanks", eval_every=250, checkpoint_every=250),
        curriculum=CurriculumConfig(
            stages=MAZE_STAGES, metric="solved", threshold=0.8, window=300, min_updates=300
        ),
    ),
    "maze-hard-1k": Config(
        preset="maze-hard-1k",
        env=EnvConfig(task="maze", size=30),
        data=DataConfig(required=True, max_puzzles=1000, augment=False),
        model=PAPER_MODEL,
        halting=HaltingConfig(halt_max_steps=16, halt_exploration_prob=0.1),
        optim=PAPER_OPTIM,
        train=PAPER_TRAIN,
        curriculum=CurriculumConfig(stages=("all=1",), metric="solved"),
    ),
    "trm-maze-hard-1k": Config(
        preset="trm-maze-hard-1k",
        env=EnvConfig(task="maze", size=30),
        data=DataConfig(required=True, max_puzzles=1000, augment=True),
        model=TRM_MODEL.model_copy(update={"l_cycles": 4}),
        halting=TRM_HALTING,
        optim=TRM_OPTIM,
        train=TRM_TRAIN,
        curriculum=CurriculumConfig(stages=("all=1",), metric="solved"),
    ),
}


def get_preset(name: str) -> Config:
    """The preset called `name`. Raises UserError with the nearest name."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]
