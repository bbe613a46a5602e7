"""The tutorial's code runs as it stands, in the order in which a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

TUTORIAL = (ROOT / "docs" / "add_a_task.md").read_text()
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", TUTORIAL, flags=re.DOTALL)
TASK, PLAY = (text for kind, text in BLOCKS if kind == "python")


BASH = [text for kind, text in BLOCKS if kind == "bash"]


def run(folder: Path, script: str) -> str:
    """The output of a bash block that must succeed, with this Python as `python`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like this project's, with parity.py in it."""
    (tmp_path / "parity.py").write_text(TASK)
    for name in ("scripts", "envs", "hrm_rl"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_task_is_under_60_lines() -> None:
    assert len(TASK.strip().splitlines()) < 60


def test_the_task_is_played(folder: Path) -> None:
    (folder / "play.py").write_text(PLAY)
    shown = run(folder, "python play.py")
    row, _, reward = shown.strip().rpartition(" ")
    assert reward == "1.0"
    assert re.fullmatch(r"([01] ){15}[01]", row.strip())


@pytest.mark.slow
def test_the_task_is_trained_on_judged_and_made_into_a_data_set(folder: Path) -> None:
    train, build = BASH
    assert "--max-updates 200" in train
    shown = run(folder, train.replace("--max-updates 200", "--max-updates 30"))
    assert "held-out exact accuracy" in shown
    assert "finished at update 30" in shown
    assert "first mistake" in shown
    run(folder, build)
    checked = run(
        folder,
        "PYTHONPATH=. python scripts/build_dataset.py --check data/parity --task parity:ParityTask --size 24",
    )
    assert "100" in checked
