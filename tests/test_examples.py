"""The examples, in miniature: each README's own commands, with few updates."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

FEWER = "--train.eval-every 3 --data.eval-puzzles 15 --train.global-batch-size 8 --max-updates 3"
"""What makes a training command short; of a flag that is given twice the last one counts."""


@pytest.mark.parametrize("example", ["sudoku4", "maze6", "own_task"])
def test_the_commands_of_an_example_run(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "examples" / example / "README.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    commands = "".join(blocks).replace("\\\n", " ").strip().splitlines()
    assert [" train " in command for command in commands] == [True] + [False] * (len(commands) - 1)
    for command in commands:
        words = shlex.split(command)
        if words[0].startswith("PYTHONPATH="):
            monkeypatch.syspath_prepend(words.pop(0).partition("=")[2])
        assert words.pop(0) == "hrm-rl"
        name = words.pop(0)
        main = importlib.import_module(f"hrm_rl.cli.{name}").main
        assert main([*words, *(shlex.split(FEWER) if name == "train" else [])]) == 0
    assert "finished at update 3 of 3" in capsys.readouterr().out
