"""Compiled kernels are kept where it is possible, and run where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import pytest

from envs import compiling
from tests.helpers.paths import ROOT

KERNEL = """
from envs.compiling import compiled

@compiled
def double(x):
    return 2 * x
"""


def test_where_neither_code_nor_home_can_be_written_to_it_is_the_temporary_folder(tmp_path: Path) -> None:
    code, temporary = tmp_path / "code", tmp_path / "temporary"
    code.mkdir()
    temporary.mkdir()
    (code / "kernel.py").write_text(KERNEL)
    (code / "__pycache__").touch()  # a file, so that not even root makes a folder of it
    blocked = {"XDG_CACHE_HOME": "/dev/null/cache", "HOME": "/dev/null/home", "TMPDIR": str(temporary)}
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | blocked
    environment["PYTHONPATH"] = os.pathsep.join([str(code), str(ROOT)])
    for _ in range(2):  # the second process finds the folder
        run = [
            sys.executable,
            "-c",
            "import kernel, os; print(kernel.double(21), os.environ['NUMBA_CACHE_DIR'])",
        ]
        done = subprocess.run(run, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        value, folder = done.stdout.split()
        assert value == "42"
        assert Path(folder).parent == temporary
    assert list(Path(folder).rglob("kernel.double-*.nbi"))
    assert Path(folder).stat().st_mode & 0o777 == 0o700


def compile_one(monkeypatch: pytest.MonkeyPatch) -> int:
    """What a kernel gives that has no place to be kept in."""

    def njit(cache: bool = False, **options: bool) -> object:
        if cache:
            raise RuntimeError("cannot cache function 'f': no locator available for file 'x.py'")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    compiling._temporary_folder.cache_clear()
    try:
        return int(compiling.compiled(lambda x: 2 * x)(21))
    finally:
        compiling._temporary_folder.cache_clear()


def test_without_any_place_it_runs_all_the_same_and_one_line_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert compile_one(monkeypatch) == 42
    said = capsys.readouterr().err
    assert "NUMBA_CACHE_DIR" in said
    assert said.count("\n") == 1


def test_a_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    compiling._temporary_folder.cache_clear()
    first = compiling._temporary_folder()
    assert first is not None
    first.chmod(0o777)
    compiling._temporary_folder.cache_clear()
    second = compiling._temporary_folder()
    assert second is not None
    assert second != first
    compiling._temporary_folder.cache_clear()
