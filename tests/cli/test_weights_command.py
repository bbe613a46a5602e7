"""`hrm-rl weights`: the list of the shipped models, and one made by its recipe, stopped and gone on with."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from hrm_rl.cli import weights as weights_command
from hrm_rl.cli.main import main
from hrm_rl.export import shipping
from hrm_rl.models.saving import CARD
from hrm_rl.runs import load_model
from hrm_rl.weights import shipped
from hrm_rl.weights.cards import ALL, read
from hrm_rl.weights.recipes import RECIPES, Recipe
from tests.helpers.commands import TINY_RUN, refusal

TINY = " ".join(TINY_RUN[: TINY_RUN.index("--run-name")])


def test_the_list_has_every_model_with_what_its_card_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert weights_command.main([]) == 0
    out = capsys.readouterr().out
    for name in shipped():
        assert re.search(rf"│ {name} +│.*%", out), name


def test_a_recipe_is_followed_run_by_run_and_what_is_there_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = tuple(f"{TINY} --max-updates {n}" for n in (8, 4))
    monkeypatch.setitem(RECIPES, "sudoku4", Recipe(steps, 8, "Small Sudokus"))
    runs, out = str(tmp_path / "runs"), tmp_path / "made"
    assert main(["train", *RECIPES["sudoku4"].flags("sudoku4", 0, runs)]) == 0
    shutil.rmtree(tmp_path / "runs" / "sudoku4-1" / "checkpoints" / "update-00000008")  # as if stopped before
    args = ["--make", "sudoku4", "--storage-path", runs, "--out", str(out), "--puzzles", "6"]
    assert weights_command.main(args) == 0
    assert load_model(tmp_path / "runs" / "sudoku4-1" / "checkpoints" / "update-00000008").update == 8
    loaded = load_model(out / "sudoku4")
    assert loaded.update == 4
    assert loaded.config.train.init_from == "sudoku4-1"
    assert str(tmp_path) not in (out / "sudoku4" / "config.json").read_text()
    card = (out / "sudoku4" / CARD).read_text()
    assert str(tmp_path) not in card
    rows = read(out / "sudoku4" / CARD)
    asked = re.search(r"evaluate --model sudoku4 (--search .*)", card)
    assert asked is not None
    capsys.readouterr()
    assert main(["evaluate", "--model", str(out / "sudoku4"), "--json", *asked[1].split()]) == 0
    found = json.loads(capsys.readouterr().out)
    assert rows[ALL].searched == round(found["all"]["solved"] * found["all"]["puzzles"])
    assert rows[ALL].search_segments == pytest.approx(found["all"]["segments_mean"], abs=0.006)
    monkeypatch.setattr(shipping, "_train", None)  # nothing is trained or judged again
    assert weights_command.main(args) == 0
    assert "is there already" in capsys.readouterr().out


def test_mistakes_are_one_line() -> None:
    said = refusal(weights_command.main, "--make", "sudoku7")
    assert said.startswith("unknown model 'sudoku7'; did you mean 'sudoku")
    assert "--out belongs to --make NAME" in refusal(weights_command.main, "--out", "x")
