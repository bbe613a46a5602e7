"""What a checkpoint holds, when one is saved, which are kept and who may load it.
Damage is another file's."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import torch

import hrm_rl
from hrm_rl.agents.act.learner import Learner
from hrm_rl.config import Config
from hrm_rl.models import build_model
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.checkpoint import TrainingState
from hrm_rl.training import loop
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.utils.errors import UserError
from tests.helpers.checkpoints import FILES, learner_to_save, names, save, state
from tests.helpers.tiny import assert_same, grid, learner_tensors, tiny_config, tiny_learner


@pytest.fixture(scope="module")
def learner() -> Learner:
    """One learner for tests that only save it."""
    return learner_to_save()


def test_a_checkpoint_holds_the_documented_files_and_nothing_temporary(
    learner: Learner, tmp_path: Path
) -> None:
    path = save(tmp_path, learner, 250)
    assert path == tmp_path / "update-00000250"
    assert set(names(path)) == FILES
    assert names(tmp_path) == ["update-00000250"]
    assert set(json.loads((path / "manifest.json").read_text())) == FILES - {"manifest.json"}
    assert selection.damage(path) is None


def test_state_survives_its_json(learner: Learner, tmp_path: Path) -> None:
    saved = state(7, learner.config, score=0.25)
    assert TrainingState.from_json(saved.to_json(), "test") == saved
    assert json.loads(saved.to_json())["versions"].keys() >= {"python", "torch", "commit"}


def test_state_of_version_0_1_0_is_read(learner: Learner) -> None:
    saved = state(7, learner.config)
    values = json.loads(saved.to_json()) | {"loss_scale": [1.0, 7]}
    values["config"]["train"] |= {"initial_batch_size": 64, "batch_warmup_updates": 0}
    assert TrainingState.from_json(json.dumps(values), "test") == saved


def test_what_is_loaded_is_what_was_saved(learner: Learner, tmp_path: Path) -> None:
    path = save(tmp_path, learner, 1)
    other = tiny_learner(learner.config)
    with torch.no_grad():
        for p in other.model.parameters():
            p.add_(1.0)
    loaded = checkpoint.load(path, other)
    assert loaded == state(1, learner.config)
    assert_same(learner_tensors(other), learner_tensors(learner))
    assert (other.updates, other.optimisation.skipped_in_a_row) == (1, 2)


def test_what_is_loaded_lies_in_memory_as_torch_lays_it(learner: Learner, tmp_path: Path) -> None:
    # The CPU's products of few columns (q_head's) are rounded by where an operand begins.
    other = tiny_learner(learner.config)
    checkpoint.load(save(tmp_path, learner, 1), other)
    moments = [v for entry in other.optimisation.optimizer.state.values() for v in entry.values()]
    assert moments
    carry = other.slots.carry
    kept = [carry.z_h, carry.z_l, other._loss_sums, *other.model.parameters(), *moments]
    assert {value.data_ptr() % 64 for value in kept} == {0}


def test_weights_for_inference_are_the_averaged_ones_or_the_raw_ones(
    learner: Learner, tmp_path: Path
) -> None:
    path = save(tmp_path, learner, 1)
    for weights, expected in (
        ("ema", learner.optimisation.averaged.average),
        ("raw", dict(learner.model.named_parameters())),
    ):
        model = build_model(learner.config.model, vocab_size=6, coordinates=grid(4, 4))
        checkpoint.load_weights(path, model, weights)
        for name, p in model.named_parameters():
            assert torch.equal(p, expected[name]), name
        assert torch.equal(model.h_init, learner.model.h_init)
        assert torch.equal(model.puzzle_emb.weight, learner.model.puzzle_emb.weight)
    average = learner.optimisation.averaged.average
    assert not torch.equal(average["lm_head.weight"], learner.model.lm_head.weight)


def test_identifiers_of_a_checkpoint_are_the_rows_of_its_puzzle_embedding(
    learner: Learner, tmp_path: Path
) -> None:
    assert checkpoint.identifiers(save(tmp_path, learner, 1)) == 1
    without = save(tmp_path / "other", tiny_learner(), 1)
    assert checkpoint.identifiers(without) == 1


# Which are kept.


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([None, None, None, None], [3, 4]),
        ([0.1, 0.9, 0.2, 0.3], [2, 3, 4]),
        ([0.1, 0.2, 0.3, 0.9], [3, 4]),
        ([0.5, None, None, None], [1, 3, 4]),
        ([0.5, 0.5, 0.1, 0.1], [2, 3, 4]),  # the newest of equals
        ([0.0, None, None, None], [1, 3, 4]),
    ],
)
def test_the_last_two_and_the_best_are_kept(
    scores: list[float | None], kept: list[int], learner: Learner, tmp_path: Path
) -> None:
    for update, score in enumerate(scores, start=1):
        save(tmp_path, learner, update, score)
    assert names(tmp_path) == [f"update-{update:08d}" for update in kept]
    best = selection.best(tmp_path)
    assert (
        best is None if scores[0] is None else best.name == f"update-{kept[-3 if len(kept) == 3 else -1]:08d}"
    )


def test_saving_an_update_again_replaces_it(learner: Learner, tmp_path: Path) -> None:
    save(tmp_path, learner, 1, score=0.1)
    path = save(tmp_path, learner, 1, score=0.2)
    assert names(tmp_path) == [path.name]
    assert checkpoint.read_state(path).score == 0.2


def test_other_files_beside_the_checkpoints_are_neither_listed_nor_deleted(
    learner: Learner, tmp_path: Path
) -> None:
    (tmp_path / "update-1").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    for update in (1, 2, 3):
        save(tmp_path, learner, update)
    assert [p.name for p in selection.checkpoints(tmp_path)] == ["update-00000003", "update-00000002"]
    assert {"update-1", "notes.txt"} <= set(names(tmp_path))


def test_there_are_no_checkpoints_where_there_is_no_folder(tmp_path: Path) -> None:
    assert selection.checkpoints(tmp_path / "nowhere") == []
    assert selection.best(tmp_path / "nowhere") is None
    assert selection.latest_sound(tmp_path / "nowhere", print) is None


def test_a_trainer_saves_when_due_and_whenever_it_has_become_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy = iter([0.0, 0.2, 0.1, 0.3, 0.3])
    monkeypatch.setattr(loop, "evaluation_scalars", lambda *_: dict.fromkeys(EVALUATED, next(accuracy)))
    saved: list[tuple[int, float | None]] = []
    real = checkpoint.save

    def recording(root: Path, learner: Learner, state: TrainingState, *rest: object) -> Path:
        saved.append((state.update, state.score))
        return real(root, learner, state, *rest)

    monkeypatch.setattr(checkpoint, "save", recording)
    config = tiny_config(train={"max_updates": 10, "log_every": 5, "eval_every": 2, "checkpoint_every": 5})
    outcome = Trainer(config, LocalWorker(config, tmp_path, lambda line: None)).run()
    assert saved == [(2, 0.0), (4, 0.2), (5, None), (8, 0.3), (10, 0.3)]
    assert (outcome.accuracy, outcome.best_solved) == (0.3, 0.3)


EVALUATED = ("eval/exact_accuracy", "eval/solved", "eval/cell_accuracy", "eval/segments_mean")


# Another configuration.


def test_another_configuration_is_refused_with_the_fields_that_differ(
    learner: Learner, tmp_path: Path
) -> None:
    path = save(tmp_path, learner, 1)
    other = tiny_learner(tiny_config(seed=3, model={"puzzle_emb_ndim": 16}, optim={"lr": 0.5}))
    with pytest.raises(UserError) as refusal:
        checkpoint.load(path, other)
    message = str(refusal.value)
    assert "seed: 0 -> 3; optim.lr: 0.001 -> 0.5 (stored -> asked for)" in message
    assert "\n" not in message


def test_fields_that_do_not_matter_may_differ(learner: Learner, tmp_path: Path) -> None:
    path = save(tmp_path, learner, 1)
    values = learner.config.model_dump()
    values["train"] |= {"max_updates": 99, "eval_every": 5, "checkpoint_every": 5, "device": "auto"}
    values["optim"] |= {"max_skipped_updates": 3}
    other = tiny_learner(Config.model_validate(values | {"preset": "sudoku6"}))
    assert checkpoint.load(path, other).update == 1


# Nothing is unpickled.

UNPICKLERS = {"pickle", "cloudpickle", "dill", "shelve", "joblib", "marshal"}


def test_nothing_in_the_package_unpickles() -> None:
    for path in Path(hrm_rl.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = {alias.name.split(".")[-1] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules = {(node.module or "").split(".")[-1], *(alias.name for alias in node.names)}
            else:
                modules = set()
            assert not modules & UNPICKLERS, f"{path.name} imports {modules & UNPICKLERS}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("weights_only") == "True", f"{path.name} calls torch.load unrestricted"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("np", "load"), f"{path.name} calls np.load"
