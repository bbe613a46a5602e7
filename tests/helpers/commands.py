"""Scripts called in this process as a user calls them, for the tests of what they say,
refuse and leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.utils.errors import UserError

TINY_RUN = """
    --preset sudoku4-quick --num-workers 0 --cpus-per-worker 1 --model.hidden-size 16 --model.num-heads 2
    --model.swiglu-multiple 16 --train.global-batch-size 4 --halting.halt-max-steps 2 --data.eval-puzzles 8
    --train.log-every 2 --train.eval-every 4 --train.checkpoint-every 4 --run-name r
""".split()  # noqa: SIM905
"""Flags of the smallest run, called r."""


def refusal(main: Callable[[Sequence[str]], int], *args: str) -> str:
    """The one line with which a script refuses these arguments."""
    with pytest.raises(UserError) as error:
        main(args)
    line = str(error.value)
    assert "\n" not in line
    return line


def evaluated(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    """What scripts/evaluate.py --json prints."""
    capsys.readouterr()
    assert evaluate_command.main([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def files() -> set[str]:
    """Everything in the current folder and below."""
    return {str(p) for p in Path().rglob("*")}
