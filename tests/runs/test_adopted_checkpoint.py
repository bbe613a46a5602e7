"""A run that goes on from another run's checkpoint with other settings, as
population-based training does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm_rl.config import Config
from hrm_rl.runs import checkpoint, selection
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.training.worker import Evaluated
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import tiny_config

LR = ("optim.lr", "halting.halt_max_steps")


def train(folder: Path, config: Config) -> tuple[Trainer, list[str]]:
    folder.mkdir(exist_ok=True)
    said: list[str] = []
    trainer = Trainer(config, LocalWorker(config, folder, said.append))
    trainer.run()
    return trainer, said


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    """A run of 12 updates with checkpoints at 6 and 12."""
    train(tmp_path / "donor", tiny_config())
    return tmp_path / "donor" / "checkpoints"


def other(**halting: int) -> Config:
    return tiny_config(optim={"lr": 5e-4}, halting=halting, train={"max_updates": 18})


def test_the_weights_go_on_and_the_settings_are_the_new_ones(donor: Path, tmp_path: Path) -> None:
    root = tmp_path / "run" / "checkpoints"
    path = checkpoint.adopt(donor / "update-00000012", root, other(halt_max_steps=2), LR)
    assert selection.damage(path) is None
    trainer = Trainer(other(halt_max_steps=2), LocalWorker(other(), tmp_path / "run", lambda line: None))
    assert trainer.learner.updates == 12
    weights = checkpoint._read_tensors(donor / "update-00000012" / "model.safetensors")
    assert all((weights[name] == value).all() for name, value in trainer.learner.model.state_dict().items())
    trainer.run()
    assert trainer.learner.updates == 18
    assert trainer.learner.optimisation.lr == 5e-4
    assert checkpoint.read_state(selection.checkpoints(root)[0]).config.halting.halt_max_steps == 2


def test_a_run_that_was_further_goes_back_to_the_adopted_checkpoint(donor: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run, tiny_config(optim={"lr": 1e-5}))
    checkpoint.adopt(donor / "update-00000006", run / "checkpoints", other(), LR)
    assert [p.name for p in selection.checkpoints(run / "checkpoints")] == ["update-00000006"]
    _, said = train(run, other())
    assert "resuming from update 6" in said
    assert any("another trial's checkpoint" in line for line in said)


def test_its_own_checkpoint_can_be_adopted(donor: Path) -> None:
    path = checkpoint.adopt(donor / "update-00000012", donor, other(), LR)
    assert checkpoint.read_state(path).config.optim.lr == 5e-4
    assert len(selection.checkpoints(donor)) == 2


def test_settings_that_may_not_change_are_refused(donor: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"optim\.lr: 0\.001 -> 0\.0005"):
        checkpoint.adopt(donor / "update-00000012", tmp_path / "run", other(), ("halting.halt_max_steps",))
    assert not (tmp_path / "run").exists()


def test_more_checkpoints_are_kept_where_others_may_want_them(tmp_path: Path) -> None:
    config = tiny_config(train={"checkpoint_every": 2})
    trainer = Trainer(config, LocalWorker(config, tmp_path, lambda line: None), keep=4)
    trainer.run()
    assert len(selection.checkpoints(tmp_path / "checkpoints")) >= 4


def test_an_evaluation_is_told_after_its_checkpoint_with_the_time_spent_in_updates(tmp_path: Path) -> None:
    heard: list[Evaluated] = []

    class Listening(LocalWorker):
        def evaluated(self, found: Evaluated) -> None:
            assert found.saved is None or selection.damage(found.saved) is None
            heard.append(found)

    config = tiny_config(train={"checkpoint_every": 12, "eval_every": 4})
    Trainer(config, Listening(config, tmp_path, lambda line: None)).run()
    assert [p.update for p in heard] == [4, 8, 12]
    assert heard[-1].saved == tmp_path / "checkpoints" / "update-00000012"
    assert 0 < heard[0].update_seconds < heard[1].update_seconds
    assert "eval/solved" in heard[0].metrics
