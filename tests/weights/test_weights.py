"""The shipped models: what their cards say is so, they are small, and they need nothing but their folder."""

from __future__ import annotations

import pickle
import socket
from math import comb
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from envs.maze.generator import is_rare
from envs.maze.task import MazeTask
from hrm_rl.cli import train
from hrm_rl.cli.flags.common import parse
from hrm_rl.config import Config
from hrm_rl.evaluation.intervals import wilson
from hrm_rl.export.shipping import judge
from hrm_rl.models.saving import CARD, CONFIG, WEIGHTS
from hrm_rl.runs import load_model
from hrm_rl.utils.errors import UserError
from hrm_rl.weights import folder_of, shipped
from hrm_rl.weights.cards import ALL, Row, read
from hrm_rl.weights.recipes import RECIPES
from tests.helpers.exported import saved
from tests.helpers.pages import PAGES
from tests.helpers.paths import ROOT

MOST_BYTES, MOST_BYTES_TOGETHER = 2_000_000, 8_000_000
FRESH_SEED, PUZZLES = 20261128, 40
"""Neither seed of the cards nor of training; so many a level, fewer of large boards."""
RARELY = 1e-3
"""A result that comes less often than this from a share at the end of a card's interval is another one."""
NO_MATTER = (
    ("data", "eval_puzzles"),
    ("train", "eval_every"),
    ("train", "checkpoint_every"),
    ("train", "init_from"),
    ("curriculum", "metric"),
)
"""Settings that the weights do not depend on: of evaluation, where a run lies, when a last stage ends."""


def folder(name: str) -> Path:
    found = folder_of(name)
    assert found is not None
    return found


def test_every_folder_has_a_name_and_is_small() -> None:
    root = ROOT / "hrm_rl" / "weights"
    assert {path.name for path in root.iterdir() if path.is_dir()} - {"__pycache__"} == set(shipped())
    sizes = []
    for name in shipped():
        files = {path.name: path.stat().st_size for path in folder(name).iterdir()}
        assert set(files) == {CONFIG, WEIGHTS, CARD}
        sizes.append(sum(files.values()))
        kinds = {t.dtype for t in safetensors.torch.load_file(folder(name) / WEIGHTS).values()}
        assert torch.float16 in kinds
        assert torch.float32 not in kinds
    assert max(sizes) <= MOST_BYTES
    assert sum(sizes) <= MOST_BYTES_TOGETHER


def test_they_load_without_network_or_pickle_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any, **kinds: Any) -> None:
        raise AssertionError("neither a network nor an unpickler is needed")

    for where, what in ((socket, "socket"), (torch, "load"), (pickle, "load"), (pickle, "Unpickler")):
        monkeypatch.setattr(where, what, refused)
    for name in shipped():
        loaded = load_model(name)
        assert (loaded.name, loaded.place, loaded.run) == (name, name, None)
        assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", RECIPES)
def test_the_card_names_the_commands_that_give_these_settings(name: str) -> None:
    card, recipe = (folder(name) / CARD).read_text(), RECIPES[name]
    assert f"# {name}\n" in card
    assert "license: apache-2.0" in card
    for number in range(len(recipe.trained)):
        assert f"hrm-rl train {' '.join(recipe.flags(name, number))}\n" in card
    flags = recipe.flags(name, len(recipe.trained) - 1)
    wanted, made = (
        config.model_dump()
        for config in (
            parse(train.TrainCommand(settings=train._defaults(flags)), flags, "train").config,
            load_model(name).config,
        )
    )
    assert wanted["seed"] == made["seed"]
    for section in Config.model_fields.keys() - {"preset", "seed"}:
        for setting, value in wanted[section].items():
            if (section, setting) not in NO_MATTER:
                assert made[section][setting] == value, (section, setting)


def at_most(successes: int, of: int, share: float) -> float:
    """The probability of so many successes or fewer, of a share (binomial, exact)."""
    return sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(successes + 1))


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_card_says_is_measured_on_fresh_puzzles(name: str) -> None:
    loaded, card = load_model(name), read(folder(name) / CARD)
    levels = [level for level in card if level != ALL]
    if isinstance(loaded.task, MazeTask):
        levels = [level for level in levels if not is_rare(loaded.task._level(level))]  # made for minutes
    puzzles = round(PUZZLES * min(1, 81 / loaded.task.length))
    rows = judge(loaded, RECIPES[name].budget, puzzles, FRESH_SEED, levels).rows
    pairs = [(row, card[row.level]) for row in rows[:-1]] + [(rows[-1], together([card[n] for n in levels]))]
    for now, said in pairs:
        for solved, then in ((now.searched, said.searched), (now.halted, said.halted)):
            low, high = wilson(then, said.puzzles)
            assert at_most(solved, now.puzzles, low) > RARELY, f"{now}: the card says {said}"
            assert at_most(now.puzzles - solved, now.puzzles, 1 - high) > RARELY, (
                f"{now}: the card says {said}"
            )


def together(rows: list[Row]) -> Row:
    """What a card says of several levels with as many puzzles each."""
    searched, halted = sum(row.searched for row in rows), sum(row.halted for row in rows)
    return Row(ALL, sum(row.puzzles for row in rows), searched, 0.0, halted, 0.0)


def test_the_page_has_what_the_cards_say() -> None:
    for name in shipped():
        total = read(folder(name) / CARD)[ALL]
        searched, halted = (f"{solved / total.puzzles:.1%}" for solved in (total.searched, total.halted))
        row = f"| `{name}` | {RECIPES[name].about} | {total.puzzles:,} | {searched} | {halted} |"
        assert row in PAGES["docs/weights.md"]


def test_a_folder_of_that_name_wins_and_an_unknown_name_is_told_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_model("sudoku4").path == folder("sudoku4")
    saved(tmp_path / "sudoku4", True)
    assert load_model("sudoku4").path == Path("sudoku4")
    with pytest.raises(UserError) as error:
        load_model("sudoku8")
    assert f"the shipped models are {', '.join(shipped())}; did you mean" in str(error.value)
    with pytest.raises(UserError, match=r"there is no such folder; give a run folder such as runs/NAME"):
        load_model("elsewhere/sudoku4x/y")
