"""What the README says is so: short, its example prints what it shows, and one step leads to the code."""

from __future__ import annotations

import re

import pytest

from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text()


def test_it_stays_short() -> None:
    assert len(README.encode()) <= 10_000


def test_the_environment_example_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.strip().splitlines()) <= 10
    exec(code, {})
    shown = README.partition(code)[2].partition("```\n")[2].partition("```\n")[2].partition("```")[0]
    assert shown.strip()
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("subject", "file"),
    [
        ("the training loop", "hrm_rl/training/loop.py"),
        ("Q-targets", "hrm_rl/agents/act/halting.py"),
        ("one curriculum", "hrm_rl/distributed/curriculum_actor.py"),
        ("Sudoku's solver and the rule", "envs/sudoku/solver.py"),
    ],
)
def test_one_step_leads_to_the_code(subject: str, file: str) -> None:
    assert (ROOT / file).is_file()
    (line,) = [line for line in README.splitlines() if f"]({file})" in line]
    assert subject in line
