"""Presets that a task brings along in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hrm_rl.config import get_preset
from hrm_rl.config.presets import describe
from hrm_rl.config.presets.base import BEST
from hrm_rl.config.presets.folders import FILE, presets_of

ONE = """
quick:
  purpose: "in a test"
  base: best
  env: {task: nonogram, size: 4}
  model: {hidden_size: 32, num_heads: 2}
"""


def test_a_folder_has_the_presets_of_its_file_and_none_without_one(tmp_path: Path) -> None:
    assert presets_of(tmp_path) == ()
    (tmp_path / FILE).write_text(ONE)
    (found,) = presets_of(tmp_path)
    assert (found.config.preset, found.purpose, found.reaches) == ("quick", "in a test", "")
    assert (found.config.env.size, found.config.model.hidden_size) == (4, 32)
    assert found.config.optim.lr == BEST["optim"]["lr"]


def test_a_setting_that_there_is_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(ONE.replace("hidden_size", "hidden_sise"))
    with pytest.raises(ValidationError, match="hidden_sise"):
        presets_of(tmp_path)


def test_they_are_presets_as_all_others() -> None:
    assert get_preset("nonogram5").env.task == "nonogram"
    assert describe("nonogram5").purpose.startswith("5x5 nonograms")
