"""The model card of an exported model, and who else is told what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hrm_rl.cli import convert as convert_command
from hrm_rl.cli import export as export_command
from hrm_rl.data.curriculum import CurriculumState
from hrm_rl.runs import checkpoint
from hrm_rl.runs.checkpoint import TrainingState
from tests.helpers.tiny import tiny_config, tiny_learner


def test_the_card_says_what_the_run_log_says(run_dir: Path, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    assert "given cells" not in card
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    (logged,) = [r for r in records if r["update"] == 8 and "eval/exact_accuracy" in r]
    for level, prefix in (("all", "eval"), ("easy", "eval/easy"), ("hard", "eval/hard")):
        exact, solved, cells = (
            logged[f"{prefix}/{n}"] for n in ("exact_accuracy", "solved", "cell_accuracy")
        )
        segments = logged[f"{prefix}/segments_mean"]
        assert f"| {level} | {exact:.1%} | {solved:.1%} | {cells:.1%} | {segments:.2f} |" in card
    state = json.loads((run_dir / "checkpoints" / "update-00000008" / "state.json").read_text())
    for part in (
        "hrm on sudoku of size 4", "run my-run, update-00000008", "easy=1,hard=1", "seed 3", "update 8 of 8",
        state["versions"]["commit"], "hidden_size: 16", "RecurrentModel.from_pretrained",
    ):  # fmt: skip
        assert part in card, part


def test_the_results_are_found_in_the_log_of_a_run_that_was_killed_while_it_wrote(
    run_dir: Path, exported: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "my-run"
    shutil.copytree(run_dir, killed)
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"update": 9, "train/lo')
    path = killed / "checkpoints" / "update-00000008"
    assert export_command.main(["--checkpoint", str(path), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "README.md").read_text() == (exported / "README.md").read_text()


def test_a_network_trained_on_the_blanks_alone_says_so_to_whoever_gets_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(
        model={"swiglu_multiple": 256}, train={"loss_on": "blanks"}, halting={"q_target": "halt_only"}
    )
    state = TrainingState(7, 0, 1, 0, CurriculumState(), config, None)
    path = checkpoint.save(tmp_path / "checkpoints", tiny_learner(config), state)
    renamed = path.rename(tmp_path / "best-ckpt")
    export_command.main(["--checkpoint", str(renamed), "--out", str(tmp_path / "out")])
    use = (tmp_path / "out" / "README.md").read_text().partition("## Use")[2].partition("## ")[0]
    assert "its logits for given cells mean nothing" in use
    for number, source in enumerate((renamed, tmp_path / "out")):
        capsys.readouterr()
        out = tmp_path / f"official-{number}"
        assert convert_command.main(["--from", str(source), "--to", "official", "--out", str(out)]) == 0
        assert {file.name for file in out.iterdir()} == {"step_7", "all_config.yaml"}
        blanks, rule = capsys.readouterr().err.splitlines()
        assert "train.loss_on blanks" in blanks
        assert "q_continue, which was never trained" in rule
