"""The wheel holds all that the commands need: they run from it alone, outside the checkout."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow
PACKAGED = ("hrm_rl", "envs", "tune_configs")
TINY = """
    train --preset sudoku4-quick --num-workers 0 --max-updates 2 --train.eval-every 2 --train.log-every 1
    --train.checkpoint-every 2 --model.hidden-size 16 --model.num-heads 2 --data.eval-puzzles 8 --run-name r
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy: setuptools leaves things behind that end up in the next one."""
    source = tmp_path_factory.mktemp("source")
    for folder in PACKAGED:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    here = ["--no-build-isolation"] if importlib.util.find_spec("setuptools") else []
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *here, "--wheel-dir", "out", "."]
    subprocess.run(build, cwd=source, check=True)
    (built,) = (source / "out").glob("hrm_rl-*.whl")
    return built


def test_a_wheel_holds_every_module_and_what_lies_beside_them(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = (path for folder in PACKAGED for path in (ROOT / folder).rglob("*") if path.is_file())
    assert held == {str(p.relative_to(ROOT)) for p in files if "__pycache__" not in p.parts}
    assert {"hrm_rl/py.typed", "envs/py.typed", "tune_configs/quick.yaml"} <= held


def test_commands_run_from_the_wheel_alone_in_any_folder(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "wheel")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def said(code: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "wheel"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *code.split()]
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = said("-c print(__import__('hrm_rl').__file__)")
    assert where.strip() == str(tmp_path / "wheel" / "hrm_rl" / "__init__.py")
    assert "recipes" in said("-m hrm_rl.cli.main --help")
    assert "hrm-rl evaluate --checkpoint runs/r" in said(f"-m hrm_rl.cli.main {TINY}")
    assert '"exact_accuracy"' in said("-m hrm_rl.cli.main evaluate --checkpoint runs/r --json")
    assert "t0000" in said("-m hrm_rl.cli.main tune --space quick --dry-run --num-samples 2")
