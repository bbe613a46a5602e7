"""Somebody's own `envs` in place of this project's is named, by commands and by imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hrm_rl.utils.shadowed import stranger
from tests.helpers.paths import ROOT


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Python with the current folder first, then this project, as a user types it."""
    environment = {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", ["envs/__init__.py", "envs.py"])
@pytest.mark.parametrize(
    "started", [["-m", "hrm_rl.cli.main", "train", "--help"], [f"{ROOT}/scripts/solve.py"]]
)
def test_commands_name_it_in_one_line(name: str, started: list[str], tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise SystemExit('their code was run')\n")
    done = run(tmp_path, *started)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: {tmp_path / name.partition('/')[0]} is found in place of hrm-rl's own"
    )
    assert done.stderr.count("\n") == 1


def test_an_import_names_it(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/__init__.py").touch()
    done = run(tmp_path, "-c", "import hrm_rl.config")
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {tmp_path / 'envs'} is found in place")


def test_what_rays_workers_would_find_in_the_current_folder_is_told_apart(tmp_path: Path) -> None:
    assert stranger() is None
    assert stranger(tmp_path) is None
    assert stranger(ROOT) is None
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/__init__.py").touch()
    assert stranger(tmp_path) == tmp_path / "envs"
