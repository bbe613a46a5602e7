"""A run that starts from the weights of another."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hrm_rl.config import Config
from hrm_rl.export.run import export_run
from hrm_rl.runs.selection import latest_sound
from hrm_rl.runs.warm_start import read_weights
from hrm_rl.training.local import LocalWorker, train_here
from hrm_rl.training.loop import Trainer
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    train_here(
        tiny_config(train={"max_updates": 6}, model={"puzzle_emb_ndim": 16}), folder, 1, lambda line: None
    )
    return folder


def started(config: Config, folder: Path) -> Trainer:
    trainer = Trainer(config, LocalWorker(config, folder, lambda line: None))
    assert trainer.telemetry is not None
    trainer.telemetry.close()
    trainer.data.source.close()
    return trainer


def config_from(folder: Path, **sections: dict) -> Config:
    sections["train"] = {"init_from": str(folder), **sections.get("train", {})}
    return tiny_config(model={"puzzle_emb_ndim": 16, **sections.pop("model", {})}, **sections)


def test_a_run_starts_from_the_weights_that_the_others_evaluations_judged(run: Path, tmp_path: Path) -> None:
    checkpoint = latest_sound(run / "checkpoints", print)
    assert checkpoint is not None
    export_run(checkpoint, tmp_path / "exported")
    weights = read_weights(run)
    for folder in (run, checkpoint, tmp_path / "exported"):
        trainer = started(config_from(folder), tmp_path / f"run-{folder.name}")
        for name, value in trainer.learner.model.state_dict().items():
            assert torch.equal(value, weights[name]), name
        averaged = trainer.learner.optimisation.averaged
        assert averaged is not None
        assert torch.equal(averaged.average["lm_head.weight"], weights["lm_head.weight"])
        assert trainer.learner.updates == 0


def test_with_all_but_the_puzzle_embeddings_frozen_these_alone_change(run: Path, tmp_path: Path) -> None:
    config = config_from(run, optim={"freeze": "all_but_puzzle_emb"}, train={"max_updates": 3})
    train_here(config, tmp_path / "second", 1, lambda line: None)
    before, after = read_weights(run), read_weights(tmp_path / "second")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"puzzle_emb.weight"}


def test_a_resumed_run_goes_on_from_its_own_checkpoint(run: Path, tmp_path: Path) -> None:
    config = config_from(run, train={"max_updates": 2})
    train_here(config, tmp_path / "second", 1, lambda line: None)
    trainer = started(config, tmp_path / "second")
    assert trainer.learner.updates == 2
    assert not torch.equal(trainer.learner.model.lm_head.weight, read_weights(run)["lm_head.weight"])


def test_what_does_not_fit_is_one_line(run: Path, tmp_path: Path) -> None:
    for config, part in (
        (
            config_from(run, model={"hidden_size": 32}),
            "h_init has 16 for 32; .* more; give its --model settings",
        ),
        (config_from(run, model={"h_layers": 2}), "h_level.layers.1.self_attn.qkv_proj.weight is missing"),
        (config_from(tmp_path), "train.init_from: .* holds no sound checkpoint: give a run folder"),
    ):
        with pytest.raises(UserError, match=part) as refused:
            started(config, tmp_path / "refused")
        assert "\n" not in str(refused.value)


def test_puzzle_embeddings_begin_anew_where_there_is_another_number_of_them(
    run: Path, tmp_path: Path
) -> None:
    weights = read_weights(run)
    trainer = started(config_from(run, model={"puzzle_emb_ndim": 8}), tmp_path / "second")
    assert trainer.learner.model.puzzle_emb.weight.shape[1] == 8
    assert torch.equal(trainer.learner.model.lm_head.weight, weights["lm_head.weight"])
