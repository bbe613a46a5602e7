"""Checkpoints are whole or absent: damage is found and passed over, a failed save leaves nothing behind."""

from __future__ import annotations

import ast
import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import TINY, assert_same, grid, learner_tensors, tiny_config, tiny_learner

import hrm_rl
import hrm_rl.checkpoint
import hrm_rl.files
import hrm_rl.training
from hrm_rl import checkpoint
from hrm_rl.checkpoint import TrainingState
from hrm_rl.config import Config
from hrm_rl.curriculum import Counts, CurriculumState
from hrm_rl.errors import UserError
from hrm_rl.learner import Learner
from hrm_rl.local import LocalWorker
from hrm_rl.models import build_model
from hrm_rl.training import Trainer

FILES = {
    "model.safetensors",
    "averaged.safetensors",
    "optimizer.safetensors",
    "state.json",
    "rank-0000.safetensors",
    "rank-0000.json",
    "manifest.json",
}


def state(update: int, config: Config = TINY, score: float | None = None) -> TrainingState:
    return TrainingState(
        update=update,
        skipped_in_a_row=2,
        world_size=1,
        stage=0,
        curriculum=CurriculumState(stage=1, interval=3, graduated_at=3, window=(Counts(1, 2, 3),)),
        config=config,
        score=score,
    )


@pytest.fixture(scope="module")
def learner() -> Learner:
    """One learner for tests that only save it."""
    torch.set_num_threads(1)
    learner = tiny_learner(tiny_config(model={"puzzle_emb_ndim": 16}))
    learner.update()
    return learner


def save(root: Path, learner: Learner, update: int, score: float | None = None) -> Path:
    return checkpoint.save(root, learner, state(update, learner.config, score))


def names(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir())


def everything_in(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_checkpoint_holds_the_documented_files_and_nothing_temporary(
    learner: Learner, tmp_path: Path
) -> None:
    path = save(tmp_path, learner, 250)
    assert path == tmp_path / "update-00000250"
    assert set(names(path)) == FILES
    assert names(tmp_path) == ["update-00000250"]
    assert set(json.loads((path / "manifest.json").read_text())) == FILES - {"manifest.json"}
    assert checkpoint.damage(path) is None


def test_state_survives_its_json(learner: Learner, tmp_path: Path) -> None:
    saved = state(7, learner.config, score=0.25)
    assert TrainingState.from_json(saved.to_json(), "test") == saved
    assert json.loads(saved.to_json())["versions"].keys() >= {"python", "torch", "commit"}


def test_what_is_loaded_is_what_was_saved(learner: Learner, tmp_path: Path) -> None:
    path = save(tmp_path, learner, 1)
    other = tiny_learner(learner.config)
    with torch.no_grad():
        for p in other.model.parameters():
            p.add_(1.0)
    loaded = checkpoint.load(path, other)
    assert loaded == state(1, learner.config)
    assert_same(learner_tensors(other), learner_tensors(learner))
    assert (other.updates, other.skipped_in_a_row) == (1, 2)


def test_weights_for_inference_are_the_averaged_ones_or_the_raw_ones(
    learner: Learner, tmp_path: Path
) -> None:
    path = save(tmp_path, learner, 1)
    for weights, expected in (
        ("ema", learner.averaged.average),
        ("raw", dict(learner.model.named_parameters())),
    ):
        model = build_model(learner.config.model, vocab_size=6, coordinates=grid(4, 4))
        checkpoint.load_weights(path, model, weights)
        for name, p in model.named_parameters():
            assert torch.equal(p, expected[name]), name
        assert torch.equal(model.h_init, learner.model.h_init)
        assert torch.equal(model.puzzle_emb.weight, learner.model.puzzle_emb.weight)
    assert not torch.equal(learner.averaged.average["lm_head.weight"], learner.model.lm_head.weight)


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
    best = checkpoint.best(tmp_path)
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
    assert [p.name for p in checkpoint.checkpoints(tmp_path)] == ["update-00000003", "update-00000002"]
    assert {"update-1", "notes.txt"} <= set(names(tmp_path))


def test_there_are_no_checkpoints_where_there_is_no_folder(tmp_path: Path) -> None:
    assert checkpoint.checkpoints(tmp_path / "nowhere") == []
    assert checkpoint.best(tmp_path / "nowhere") is None
    assert checkpoint.latest_sound(tmp_path / "nowhere", print) is None


# Damage.


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "corrupted": flip_byte,
    "missing": Path.unlink,
}


@pytest.mark.parametrize("file", sorted(FILES - {"manifest.json"}))
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_named_and_passed_over(
    kind: str, file: str, learner: Learner, tmp_path: Path
) -> None:
    sound, broken = save(tmp_path, learner, 1), save(tmp_path, learner, 2)
    DAMAGE[kind](broken / file)
    said: list[str] = []
    assert checkpoint.latest_sound(tmp_path, said.append) == sound
    assert said == [f"checkpoint update-00000002 is damaged ({file} is {kind}): going back to the one before"]
    assert checkpoint.damage(sound) is None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, "manifest.json is missing"),
        (truncate, "manifest.json is unreadable"),
        (lambda path: path.write_text("{}{"), "manifest.json is unreadable"),
        (lambda path: path.write_text("[]"), "manifest.json is unreadable"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "manifest.json is unreadable"),
    ],
    ids=["missing", "truncated", "no json", "no mapping", "no text"],
)
def test_a_checkpoint_without_its_manifest_is_damaged(
    damage: Callable[[Path], None], reason: str, learner: Learner, tmp_path: Path
) -> None:
    sound, broken = save(tmp_path, learner, 1), save(tmp_path, learner, 2)
    damage(broken / "manifest.json")
    assert reason in checkpoint.damage(broken)
    assert checkpoint.latest_sound(tmp_path, lambda line: None) == sound


def test_nothing_is_sound_if_all_are_damaged(learner: Learner, tmp_path: Path) -> None:
    said: list[str] = []
    for update in (1, 2):
        truncate(save(tmp_path, learner, update) / "model.safetensors")
    assert checkpoint.latest_sound(tmp_path, said.append) is None
    assert len(said) == 2


def test_a_run_that_went_back_behind_damage_keeps_what_it_saves_from_there(
    learner: Learner, tmp_path: Path
) -> None:
    for update, score in ((10, 0.2), (20, 0.3), (30, 0.9)):
        save(tmp_path, learner, update, score)
    for path in checkpoint.checkpoints(tmp_path)[:2]:
        truncate(path / "model.safetensors")
    shutil.copytree(tmp_path / "update-00000020", tmp_path / "update-00000040")
    save(tmp_path, learner, 11, score=0.1)
    # 20, 30 and 40 are damaged; were they counted among the last two, the new one would be deleted at once.
    assert names(tmp_path) == ["update-00000011"]


def test_a_trainer_goes_back_behind_damage_and_says_so(tmp_path: Path) -> None:
    config = tiny_config(train={"max_updates": 8, "log_every": 4, "eval_every": 8, "checkpoint_every": 4})
    Trainer(config, LocalWorker(config, tmp_path, lambda line: None)).run()
    root = tmp_path / "checkpoints"
    assert names(root) == ["update-00000004", "update-00000008"]
    flip_byte(root / "update-00000008" / "rank-0000.safetensors")
    said: list[str] = []
    trainer = Trainer(config, LocalWorker(config, tmp_path, said.append))
    assert trainer.learner.updates == 4
    assert trainer.best_score is None, "the score of the damaged checkpoint is not this run's"
    assert any("update-00000008 is damaged" in line for line in said)
    assert "resuming from update 4" in said
    trainer.run()
    assert names(root) == ["update-00000004", "update-00000008"]
    assert checkpoint.damage(root / "update-00000008") is None


def test_a_trainer_saves_when_due_and_whenever_it_has_become_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy = iter([0.0, 0.2, 0.1, 0.3, 0.3])
    monkeypatch.setattr(
        hrm_rl.training, "evaluation_scalars", lambda *_: dict.fromkeys(EVALUATED, next(accuracy))
    )
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


def test_a_folder_that_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no checkpoint that can be read") as refusal:
        checkpoint.read_state(tmp_path)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UserError, match="cannot read"):
        checkpoint.load_weights(tmp_path, build_model(TINY.model, 6, grid(4, 4)))


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


# A save that fails.


def full_disk(path: Path) -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", str(path))


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_failed_save_leaves_nothing_and_the_checkpoints_before_untouched(
    file: str, learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for update in (1, 2):
        save(tmp_path, learner, update)
    before = everything_in(tmp_path)
    real = hrm_rl.checkpoint.write_atomically

    def write(path: Path, content: str | bytes) -> None:
        if path.name == file:
            raise full_disk(path)
        real(path, content)

    monkeypatch.setattr(hrm_rl.checkpoint, "write_atomically", write)
    with pytest.raises(UserError) as failure:
        save(tmp_path, learner, 3)
    message = str(failure.value)
    assert message.startswith("could not save the checkpoint of update 3 in ")
    assert "No space left on device" in message
    assert "free some space" in message
    assert "\n" not in message
    assert everything_in(tmp_path) == before
    assert names(tmp_path) == ["update-00000001", "update-00000002"]


def test_a_checkpoint_folder_that_cannot_be_made_is_one_line(learner: Learner, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file is in the way")
    with pytest.raises(UserError, match="could not save the checkpoint of update 1"):
        save(tmp_path / "checkpoints", learner, 1)


def test_a_save_that_another_worker_could_not_finish_leaves_nothing(learner: Learner, tmp_path: Path) -> None:
    save(tmp_path, learner, 1)
    calls = []

    def agree(error: str | None) -> list[str]:
        calls.append(error)
        return ["another worker could not write its part"] if len(calls) == 2 else []

    with pytest.raises(UserError, match="another worker could not write its part"):
        checkpoint.save(tmp_path, learner, state(2), agree=agree)
    assert names(tmp_path) == ["update-00000001"]


def test_a_checkpoint_without_every_workers_part_is_not_published(learner: Learner, tmp_path: Path) -> None:
    missing = TrainingState(**(vars(state(2)) | {"world_size": 2}))
    with pytest.raises(UserError, match="the part of worker 1 is not here"):
        checkpoint.save(tmp_path, learner, missing)
    assert names(tmp_path) == []


def test_remains_of_a_killed_save_are_cleared_by_the_next(learner: Learner, tmp_path: Path) -> None:
    temporary = tmp_path / ".update-00000001.tmp"
    temporary.mkdir(parents=True)
    (temporary / "rank-0007.json").write_text("{}")
    assert checkpoint.checkpoints(tmp_path) == []
    path = save(tmp_path, learner, 1)
    assert set(names(path)) == FILES
    assert names(tmp_path) == [path.name]


def test_atomic_write_leaves_the_old_content_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    hrm_rl.files.write_atomically(path, "old")

    def fail(descriptor: int) -> None:
        raise full_disk(path)

    monkeypatch.setattr(hrm_rl.files.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        hrm_rl.files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


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
