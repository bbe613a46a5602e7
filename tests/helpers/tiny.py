"""The smallest run that still has every part, for tests of hrm_rl: 4x4 Sudoku, 4 slots, 16 numbers wide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs import PuzzleBatch, make_task
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.build import build_learner
from hrm_rl.config import (
    Config,
    CurriculumConfig,
    DataConfig,
    EnvConfig,
    HaltingConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)
from hrm_rl.data.streams import build_data
from hrm_rl.models import RecurrentModel
from hrm_rl.runs.folder import read_metrics

CPU = torch.device("cpu")

TINY = Config(
    preset="sudoku4-quick",
    env=EnvConfig(task="sudoku", size=4),
    data=DataConfig(eval_puzzles=8, exclude_twins=False),
    model=ModelConfig(hidden_size=16, num_heads=2, h_layers=1, l_layers=1, swiglu_multiple=16),
    halting=HaltingConfig(halt_max_steps=3),
    optim=OptimConfig(lr=1e-3, ema_decay=0.9),
    train=TrainConfig(
        global_batch_size=4, max_updates=12, log_every=4, eval_every=6, checkpoint_every=6, device="cpu"
    ),
    curriculum=CurriculumConfig(stages=("easy=1",)),
)


def tiny_config(seed: int = 0, **sections: dict[str, Any]) -> Config:
    """TINY with other settings: `tiny_config(train={"max_updates": 5})`."""
    values = TINY.model_dump() | {"seed": seed}
    for name, changes in sections.items():
        values[name] = {**values[name], **changes}
    return Config.model_validate(values)


def tiny_learner(config: Config = TINY) -> Learner:
    """A learner of one worker, its slots filled."""
    learner = build_learner(config, build_data(config), CPU, rank=0, world_size=1)
    learner.start()
    return learner


def solver_of(learner: Learner) -> Solver:
    """The learner's model, with its present weights."""
    return Solver.of(learner.config, learner.model, learner.env.task)


def grid(rows: int, columns: int) -> np.ndarray:
    """(rows * columns, 2) the coordinates of a board, as most tasks give them."""
    return np.indices((rows, columns)).reshape(2, -1).T


def make_decisive(model: RecurrentModel, seed: int = 0) -> None:
    """Give q_head weights and no bias, so that halting depends on the puzzle; at first it never happens."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.q_head.weight.copy_(torch.randn(model.q_head.weight.shape, generator=generator))
        model.q_head.bias.zero_()


def always(model: RecurrentModel, halt: bool) -> None:
    """Make the model want to halt after every segment, or after none."""
    with torch.no_grad():
        model.q_head.weight.zero_()
        model.q_head.bias.copy_(torch.tensor([1.0, -1.0] if halt else [-1.0, 1.0]))


def puzzles(count: int, level: str = "easy", seed: int = 0) -> PuzzleBatch:
    """4x4 Sudokus."""
    return make_task("sudoku", size=4).generate(level, count, np.random.default_rng(seed))


def write_csv(path: Path, batch: PuzzleBatch) -> Path:
    """A file of 4x4 Sudokus that `data.path` accepts."""
    rows = [
        f"{''.join(str(max(0, int(t) - 1)) for t in question)},{''.join(str(int(t) - 1) for t in answer)}"
        for question, answer in zip(batch.inputs, batch.solution, strict=True)
    ]
    path.write_text("\n".join(["puzzle,solution", *rows]) + "\n")
    return path


def learner_tensors(learner: Learner) -> dict[str, Tensor]:
    """Everything that learning has changed: weights, averaged weights, moments, carry."""
    tensors = {f"model.{k}": v for k, v in learner.model.state_dict().items()}
    if learner.optimisation.averaged is not None:
        tensors |= {f"averaged.{k}": v for k, v in learner.optimisation.averaged.average.items()}
    for i, entry in learner.optimisation.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in entry.items()}
    tensors |= {"carry.z_h": learner.slots.carry.z_h, "carry.z_l": learner.slots.carry.z_l}
    return {k: v.detach().clone() for k, v in tensors.items()}


def metrics(folder: Path) -> list[dict[str, float]]:
    """Records of a run's metrics.jsonl without those that measure time."""
    records = read_metrics(folder / "metrics.jsonl")
    return [{k: v for k, v in record.items() if not k.startswith("perf/")} for record in records]


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{name} differs"
