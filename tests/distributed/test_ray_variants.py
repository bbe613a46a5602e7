"""Real Ray: every model, gradient, Q-target and optimiser trains with two workers and goes on from its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import ray.train
import torch
from ray.train.torch import TorchTrainer
from ray.train.v2.api.config import RunConfig, ScalingConfig
from tiny import tiny_config

from hrm_rl.checkpoint import latest_sound
from hrm_rl.config import Config
from hrm_rl.curriculum import Curriculum, LocalCurriculum
from hrm_rl.training import Trainer, use_threads

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "hrm-last_cycle-delayed": {"model": {"gradient": "last_cycle"}, "halting": {"q_target": "delayed"}},
    "hrm-full-cls": {"model": {"gradient": "full", "prefix": "cls", "num_kv_heads": 1, "dropout": 0.2}},
    "hrm-lambda": {
        "halting": {"q_target": "lambda", "rollout_segments": 3, "q_lambda": 0.5}, "env": {"segment_cost": 0.1},
    },
    "trm-halt_only": {
        "model": {"name": "trm", "puzzle_emb_ndim": 16, "puzzle_emb_len": 2},
        "halting": {"q_target": "halt_only"}, "optim": {"name": "adam_atan2"}, "train": {"loss": "stablemax"},
    },
    "trm-mlp-bfloat16": {
        "model": {"name": "trm", "mixer": "mlp", "pos_encodings": "none", "dtype": "bfloat16"},
        "train": {"loss": "stablemax", "micro_batches": 2},
    },
    "transformer-axial-muon": {
        "model": {"name": "transformer", "pos_encodings": "axial", "hidden_size": 32, "checkpoint_activations": True},
        "optim": {"name": "muon"},
    },
    "hrm-learned-frozen": {
        "model": {"pos_encodings": "learned", "puzzle_emb_ndim": 16}, "optim": {"freeze": "all_but_puzzle_emb"},
        "train": {"initial_batch_size": 2, "batch_warmup_updates": 2},
    },
}  # fmt: skip


def variant(name: str, max_updates: int) -> Config:
    sections = VARIANTS[name]
    train = {"max_updates": max_updates, "log_every": 2, "eval_every": 4, "checkpoint_every": 4}
    return tiny_config(**{**sections, "train": {**train, **sections.get("train", {})}})


class TwoOfThem:
    """`hrm_rl.training.Worker` in a Ray Train worker; with one stage there is no curriculum to share."""

    def __init__(self, config: Config, run_dir: Path):
        context = ray.train.get_context()
        self.rank, self.world_size = context.get_world_rank(), context.get_world_size()
        self.device, self.run_dir = torch.device("cpu"), run_dir
        self.curriculum: Curriculum = LocalCurriculum(config.curriculum, config.train.log_every)

    def say(self, line: str) -> None: ...
    def stop_requested(self) -> bool:
        return False


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """All variants one after the other: 4 updates, then 2 more by a trainer that begins anew."""
    use_threads(1)
    ends: dict[str, Any] = {}
    for name in VARIANTS:
        run_dir = Path(settings["folder"]) / name
        for max_updates in (4, 6):
            config = variant(name, max_updates)
            trainer = Trainer(config, TwoOfThem(config, run_dir))
            began = trainer.learner.updates
            outcome = trainer.run()
            ends[f"{name} {max_updates}"] = [began, outcome.update, trainer.learner.skipped_in_a_row]
        weights = torch.cat([p.detach().flatten() for p in trainer.learner.model.parameters()])
        both = [torch.empty_like(weights) for _ in range(2)]
        torch.distributed.all_gather(both, weights)
        ends[f"{name} agree"] = bool(torch.equal(*both))
    return ends


def test_all_variants_train_under_ray_with_two_workers_and_resume(tmp_path: Path) -> None:
    trainer = TorchTrainer(
        work,  # type: ignore[arg-type]
        train_loop_config={"folder": str(tmp_path)},
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(name="variants", storage_path=str(tmp_path / "ray")),  # type: ignore[arg-type]
    )
    ends = trainer.fit().return_value
    for name in VARIANTS:
        assert ends[f"{name} 4"] == [0, 4, 0], name
        assert ends[f"{name} 6"] == [4, 6, 0], name
        assert ends[f"{name} agree"], name
        path = latest_sound(tmp_path / name / "checkpoints", print)
        assert path is not None
        assert json.loads((path / "state.json").read_text())["world_size"] == 2
