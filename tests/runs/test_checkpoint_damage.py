"""Checkpoints are whole or absent: damage is found and passed over, a failed save leaves nothing behind."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hrm_rl.agents.act.learner import Learner
from hrm_rl.models import build_model
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.checkpoint import TrainingState
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.utils import files
from hrm_rl.utils.errors import UserError
from tests.helpers.checkpoints import FILES, learner_to_save, names, save, state
from tests.helpers.tiny import TINY, grid, tiny_config


@pytest.fixture(scope="module")
def learner() -> Learner:
    """One learner for tests that only save it."""
    return learner_to_save()


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
    assert selection.latest_sound(tmp_path, said.append) == sound
    assert said == [f"checkpoint update-00000002 is damaged ({file} is {kind}): going back to the one before"]
    assert selection.damage(sound) is None


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
    assert reason in selection.damage(broken)
    assert selection.latest_sound(tmp_path, lambda line: None) == sound


def test_nothing_is_sound_if_all_are_damaged(learner: Learner, tmp_path: Path) -> None:
    said: list[str] = []
    for update in (1, 2):
        truncate(save(tmp_path, learner, update) / "model.safetensors")
    assert selection.latest_sound(tmp_path, said.append) is None
    assert len(said) == 2


def test_a_run_that_went_back_behind_damage_keeps_what_it_saves_from_there(
    learner: Learner, tmp_path: Path
) -> None:
    for update, score in ((10, 0.2), (20, 0.3), (30, 0.9)):
        save(tmp_path, learner, update, score)
    for path in selection.checkpoints(tmp_path)[:2]:
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
    assert selection.damage(root / "update-00000008") is None


def test_a_folder_that_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no checkpoint that can be read") as refusal:
        checkpoint.read_state(tmp_path)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UserError, match="cannot read"):
        checkpoint.load_weights(tmp_path, build_model(TINY.model, 6, grid(4, 4)), "raw")


# A save that fails.


def full_disk(path: Path) -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", str(path))


def everything_in(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_failed_save_leaves_nothing_and_the_checkpoints_before_untouched(
    file: str, learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for update in (1, 2):
        save(tmp_path, learner, update)
    before = everything_in(tmp_path)
    real = checkpoint.write_atomically

    def write(path: Path, content: str | bytes) -> None:
        if path.name == file:
            raise full_disk(path)
        real(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", write)
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
    with pytest.raises(UserError, match="could not save the checkpoint of update 1") as failure:
        save(tmp_path / "checkpoints", learner, 1)
    assert "see to it that all processes of the run can write there" in str(failure.value)
    assert "free some space" not in str(failure.value)


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
    assert selection.checkpoints(tmp_path) == []
    path = save(tmp_path, learner, 1)
    assert set(names(path)) == FILES
    assert names(tmp_path) == [path.name]


def test_atomic_write_leaves_the_old_content_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write_atomically(path, "old")

    def fail(descriptor: int) -> None:
        raise full_disk(path)

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]
