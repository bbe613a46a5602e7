"""The tutorial's code runs as it stands, in the order in which a reader would run it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "docs" / "add_a_task.md").read_text()
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", TUTORIAL, flags=re.DOTALL)
TASK, PLAY = (text for kind, text in BLOCKS if kind == "python")


def commands() -> list[list[str]]:
    """The command lines of the bash blocks, without PYTHONPATH=."""
    lines = [line for kind, text in BLOCKS if kind == "bash" for line in text.replace("\\\n", "").splitlines()]
    return [shlex.split(line.removeprefix("PYTHONPATH=. ")) for line in lines]


def run(folder: Path, *command: str) -> str:
    """The output of a command that must succeed, where parity.py lies in `folder`."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parity.py").write_text(TASK)
    return tmp_path


def test_the_task_is_under_60_lines() -> None:
    assert len(TASK.strip().splitlines()) < 60


def test_the_task_is_played(folder: Path) -> None:
    (folder / "play.py").write_text(PLAY)
    shown = run(folder, sys.executable, "play.py")
    row, _, reward = shown.strip().rpartition(" ")
    assert reward == "1.0"
    assert re.fullmatch(r"([01] ){15}[01]", row.strip())


@pytest.mark.slow
def test_the_task_is_trained_on_judged_and_made_into_a_data_set(folder: Path) -> None:
    train, evaluate, build = commands()
    for command in (train, evaluate, build):
        command[:2] = [sys.executable, str(ROOT / command[1])]
    train[train.index("--max-updates") + 1] = "30"
    assert "held-out exact accuracy" in run(folder, *train)
    table = run(folder, *evaluate)
    assert "long" in table
    assert "first mistake" in table
    run(folder, *build)
    data = folder / "data" / "parity"
    checked = run(folder, *build[:2], "--check", str(data), "--task", "parity:ParityTask", "--size", "24")
    assert "100" in checked
    train[train.index("--run-name") + 1] = "folder"
    trained = run(folder, *train, "--data.path", str(data), "--curriculum.stages", "all=1")
    assert "finished at update 30" in trained
