"""scripts/time_to_accuracy.py: other projects' trainers are run as they are, watched, timed and compared."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm_rl.benchmarks.against import command, ours, stand_ins, theirs
from hrm_rl.benchmarks.against.boards import CONTESTS, OPPONENTS, OURS, settings_of, trainers
from hrm_rl.benchmarks.against.report import faster, table
from hrm_rl.benchmarks.against.runs import Race, read
from hrm_rl.utils.errors import UserError
from tests.helpers.foreign_trainer import checkout


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what loading a checkout does to this process."""
    before, method = dict(sys.modules), multiprocessing.get_start_method(allow_none=True)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("DISABLE_COMPILE", "")
    yield
    for name in set(sys.modules) - set(before):
        if name == "pretrain" or name in stand_ins.MODULES or name.startswith("models"):
            del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if name in stand_ins.MODULES})
    multiprocessing.set_start_method(method, force=True)


@pytest.mark.parametrize("ema", [False, True])
def test_their_trainer_runs_on_a_cpu_until_the_goal(ema: bool, apart: None, tmp_path: Path) -> None:
    theirs_at = checkout(tmp_path, good_at=30)
    curve = theirs.train(theirs_at, tmp_path, 0, {"ema": ema}, every_s=0.02, goal=1.0, limit_s=60)
    assert [accuracy for *_, accuracy in curve] == [0.0] * (len(curve) - 1) + [1.0]
    assert len(curve) > 1
    assert curve[-1][0] >= 30 > curve[-2][0]
    seconds = [cpu for _, cpu, _, _ in curve]
    assert seconds == sorted(seconds)


def test_their_trainer_is_stopped_at_the_limit(apart: None, tmp_path: Path) -> None:
    curve = theirs.train(checkout(tmp_path, 10**9), tmp_path, 0, {}, every_s=60, goal=1.0, limit_s=0.05)
    ((_, seconds, _, accuracy),) = curve
    assert accuracy == 0.0
    assert 0.05 <= seconds < 1


def test_their_configuration_is_that_of_their_files_with_changes(tmp_path: Path) -> None:
    settings = {"lr": 2e-3, "arch.hidden_size": 64}
    values = theirs.configuration(checkout(tmp_path, 1), Path("puzzles"), 3, settings)
    assert values["arch"] == {"hidden_size": 64, "puzzle_emb_ndim": 64, "halt_max_steps": 16}
    assert (values["lr"], values["seed"], values["data_path"]) == (2e-3, 3, "puzzles")
    assert values["epochs"] % values["eval_interval"] == 0


def test_a_folder_that_is_no_checkout_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkout of HRM or TinyRecursiveModels: it has no pretrain\.py"):
        command.main(["--hrm", str(tmp_path), "--results", str(tmp_path / "r")])


def test_stand_ins_compute_what_they_stand_in_for() -> None:
    q, k, v = torch.randn(3, 2, 5, 4, 8, generator=torch.Generator().manual_seed(0))
    weights = torch.einsum("bqhd,bkhd->bhqk", q, k / 8**0.5).softmax(-1)
    expected = torch.einsum("bhqk,bkhd->bqhd", weights, v)
    torch.testing.assert_close(stand_ins.flash_attn_func(q=q, k=k, v=v, causal=False), expected)
    assert stand_ins.rearrange(q, "B S H D -> B H S D").equal(q.transpose(1, 2))
    with pytest.raises(NotImplementedError):
        stand_ins.rearrange(q, "B S H D -> B S (H D)")


def test_small_opponents_are_as_wide_as_ours() -> None:
    for board, kind in CONTESTS.items():
        assert ours.configuration(kind, Path("p"), 0).model.hidden_size == kind.hidden
        for name, opponent in OPPONENTS.items():
            assert ("arch.hidden_size" in settings_of(board, name, {})) == opponent.small


def race(trainer: str, seed: int, seconds: float, accuracy: float = 1.0) -> Race:
    settings = {} if trainer == OURS else settings_of("4x4", trainer, {})
    return Race("4x4", trainer, seed, 60, "c", settings, [(10, seconds, seconds, accuracy)])


def test_how_many_times_faster_is_a_bound_where_the_goal_was_not_reached() -> None:
    assert faster([(2.0, True), (4.0, True)], [(8.0, True), (16.0, True)]) == "4.0 times (2.0 to 8.0)"
    assert faster([(2.0, True)], [(8.0, True), (60.0, False)]).startswith("at least 11.0 times (4.0 to 30.0)")
    assert faster([(2.0, False)], [(8.0, True)]) == "-"
    rows = table("4x4", [race(OURS, 0, 5), race("hrm-small", 0, 60, 0.5), race("hrm-small", 1, 20)])
    assert "| `ours` | 1 | 1 | 5 |" in rows
    assert "| `hrm-small` | 2 | 1 | 20 |" in rows


def test_what_was_measured_is_not_measured_again_and_what_lacks_a_checkout_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = []

    def measure(board: str, trainer: str, seed: int, *_: Any) -> Race:
        measured.append((board, trainer, seed))
        return race(trainer, seed, 10.0 + seed)

    monkeypatch.setattr(command, "measure", measure)
    hrm = checkout(tmp_path / "HRM", 1)
    results, picture = tmp_path / "r.jsonl", tmp_path / "p.png"
    args = ["--hrm", str(hrm), "--boards", "4x4", "--results", str(results), "--picture", str(picture)]
    assert command.main([*args, "--most", "2"]) == 0
    assert "TRM was skipped: give a checkout of its repository with --trm PATH" in capsys.readouterr().out
    assert command.main([*args, "--seeds", "0", "1"]) == 0
    hrms = [name for name in trainers() if name == OURS or OPPONENTS[name].project == "HRM"]
    assert sorted(measured) == sorted(("4x4", name, seed) for name in hrms for seed in (0, 1))
    assert len(read(results)) == len(measured)
    assert picture.read_bytes().startswith(b"\x89PNG")
    results.write_text("{}\n")
    with pytest.raises(UserError, match="is no file of results"):
        command.main([*args, "--report"])


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--trainers", "hrm"], "unknown trainer 'hrm'"),
        (["--boards", "5x5"], "unknown board '5x5'"),
        (["--set", "lr"], "--set takes NAME=VALUE, not 'lr'"),
    ],
)
def test_wrong_flags_are_named(words: list[str], wrong: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=wrong):
        command.main([*words, "--results", str(tmp_path / "r.jsonl")])
