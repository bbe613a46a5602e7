"""One way to a model from any folder, with all it takes to read its answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hrm_rl.export.run import export_run
from hrm_rl.runs import LoadedModel, RunFolder, checkpoint, load_model
from hrm_rl.runs.selection import best
from hrm_rl.utils.errors import UserError
from tests.helpers.checkpoints import save
from tests.helpers.paths import ROOT
from tests.helpers.tiny import tiny_config, tiny_learner


def weights_of(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    return dict(loaded.model.state_dict())


def test_a_run_its_checkpoint_and_its_exported_folder_give_the_same_model(
    run_dir: Path, tmp_path: Path
) -> None:
    export_run(run_dir, tmp_path / "out")
    path = best(run_dir / "checkpoints")
    assert path is not None
    run, one, exported = (load_model(folder) for folder in (run_dir, path, tmp_path / "out"))
    for other in (one, exported):
        assert all(torch.equal(value, weights_of(run)[name]) for name, value in weights_of(other).items())
        assert (other.update, other.weights) == (run.update, run.weights) == (run.update, "ema")
        assert other.config == run.config
    assert run.path == one.path == path
    assert run.run == one.run == RunFolder(run_dir)
    assert exported.run is None
    raw = load_model(run_dir, "raw")
    assert raw.weights == "raw"
    assert not torch.equal(raw.model.lm_head.weight, run.model.lm_head.weight)


def test_the_solver_reads_answers_as_the_run_was_trained(tmp_path: Path) -> None:
    config = tiny_config(train={"loss_on": "blanks"}, halting={"q_target": "halt_only"})
    loaded = load_model(save(tmp_path / "checkpoints", tiny_learner(config), 3))
    solver = loaded.solver
    assert (solver.loss_on, solver.q_target.name) == ("blanks", "halt_only")
    assert (solver.model, solver.task) == (loaded.model, loaded.task)


def test_averaged_weights_that_a_run_did_not_keep_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "checkpoints", tiny_learner(tiny_config(optim={"ema_decay": 0.0})), 3)
    assert load_model(path).weights == "raw"
    with pytest.raises(UserError, match=r"holds no averaged weights .*: leave out --weights ema"):
        load_model(path, "ema")


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    one = save(tmp_path / "one", tiny_learner(), 3)
    other = save(tmp_path / "other", tiny_learner(tiny_config(model={"hidden_size": 32})), 3)
    for name in (checkpoint.WEIGHTS, checkpoint.AVERAGED):
        (one / name).write_bytes((other / name).read_bytes())
    with pytest.raises(UserError) as refused:
        checkpoint.load_weights(one, tiny_learner().model, "ema")
    assert "are not those of the network" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_names_of_a_run_folder_are_known_without_torch() -> None:
    code = "import sys, hrm_rl.runs.folder; assert not {'torch', 'numba'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
