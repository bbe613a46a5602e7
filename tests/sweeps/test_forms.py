"""A sweep's file as people write it who know those of runs: another form is named, not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm_rl.sweeps.checks import build_space
from hrm_rl.sweeps.file import read_content
from hrm_rl.utils.errors import UserError
from tests.helpers.small_sweeps import content, small_space


def test_settings_by_section_are_refused_with_the_form_that_is_right_here() -> None:
    for changes in ({"set": {"optim": {"lr": 1e-3}}}, {"space": {"optim": {"lr": {"dist": "uniform"}}}}):
        part = next(iter(changes))
        with pytest.raises(UserError, match=f"{part}: 'optim' is a section; .* such as 'optim.lr: ...'"):
            small_space(**changes)
    for key in ("optim.lr", "optim"):
        with pytest.raises(UserError, match=f"'{key}' is a setting of runs: it belongs under set:"):
            build_space(content() | {key: 1}, "sweep.yaml")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("base: sudoku4-quick\nset:\n  seed: 1\n  optim.lr: 1\n  seed: 2\n")
    with pytest.raises(UserError, match="'seed' stands twice, in lines 3 and 5"):
        read_content(file)


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    space = small_space(set={"data.path": "~/a.csv", "curriculum.stages": ["all=1"]})
    assert space.base.data.path == "/home/me/a.csv"
    swept = {"data.path": {"dist": "choice", "values": ["~/a.csv", "~/b.csv"]}}
    assert small_space(space=swept).dimensions["data.path"].values == ["/home/me/a.csv", "/home/me/b.csv"]
