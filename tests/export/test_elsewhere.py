"""Exported files where this package is not: in processes that have torch alone, or onnxruntime and numpy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from hrm_rl.agents.act.engine import answers
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.cli import export as export_command
from hrm_rl.export.program import in_float32
from hrm_rl.export.runner import Runner
from hrm_rl.runs.loading import load_model
from tests.export.conftest import Portable
from tests.helpers.paths import ROOT
from tests.helpers.tiny import puzzles

SITE = Path(sysconfig.get_path("purelib"))
TORCH = (
    "torch", "torchgen", "functorch", "numpy", "numpy.libs", "typing_extensions.py", "sympy", "mpmath",
    "networkx", "jinja2", "markupsafe", "filelock", "fsspec", "nvidia", "triton",
    "setuptools", "_distutils_hack",  # which AOTInductor asks for
)  # fmt: skip
ONNX = ("onnxruntime", "numpy", "numpy.libs", "flatbuffers", "google", "packaging")
HOST = """
import json, sys, torch
kind, path, puzzle = sys.argv[1:]
if kind == "aoti":
    segment = torch._inductor.aoti_load_package(path)
    about = json.loads(segment.get_metadata()["segment"])
else:
    extra = {"segment.json": ""}
    segment = torch.export.load(path, extra_files=extra).module()
    about = json.loads(extra["segment.json"])
tokens = torch.tensor([[about["characters"].index(cell) for cell in puzzle]])
state = {name: torch.tensor(row).repeat(1, about["positions"], 1) for name, row in about["initial"].items()}
for number in range(1, about["budget"] + 1):
    with torch.no_grad():
        found = segment(tokens=tokens, **state)
    state = {name: found[name] for name in state}
    q_halt, q_continue = found["q"][0]
    if q_halt > (0 if about["halts_where"] == "q_halt > 0" else q_continue):
        break
answer = found["logits"].argmax(-1)
if about["loss_on"] == "blanks":
    unknown = torch.isin(tokens, torch.tensor(about["unknown"]))
    answer = torch.where(unknown, answer, tokens)
assert not {"hrm_rl", "envs"} & set(sys.modules)
print("".join(about["characters"][t] for t in answer[0]), number)
"""
"""The loop of docs/export.md."""


def elsewhere(tmp_path: Path, packages: tuple[str, ...], *args: str) -> str:
    """What a Python says that has these packages alone."""
    for name in packages:
        if (SITE / name).exists():
            (tmp_path / name).symlink_to(SITE / name)
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = sys.argv[1:]; "
    start += "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start, *args], cwd="/", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_command_is_there_without_the_packages_of_the_extra() -> None:
    absent = "onnx=None, onnxruntime=None, onnxscript=None"
    code = f"import sys; sys.modules.update({absent}); import hrm_rl.cli.export"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def texts(count: int, seed: int = 5) -> list[str]:
    return ["".join("_.1234"[token] for token in row) for row in puzzles(count, seed=seed).inputs]


def expected(source: Path, count: int, seed: int = 5) -> tuple[list[str], list[int]]:
    """Answers and segments of the network itself, by the package's engine."""
    loaded = load_model(source)
    loaded.model.compute_dtype = in_float32(loaded.model).compute_dtype
    rule = Stopping(loaded.config.halting.halt_max_steps)
    found = list(answers(loaded.solver, [puzzles(count, seed=seed)], rule))
    rows = np.concatenate([part.answer for part in found])
    return [loaded.task.write_text(row) for row in rows], [int(n) for p in found for n in p.segment]


def test_the_runner_answers_as_the_engine_does(portable: Portable) -> None:
    answer, segments = expected(portable.source, 30)
    found = Runner(portable.folder / "segment.onnx", threads=1).solve(texts(30))
    assert [one.answer for one in found] == answer
    assert [one.segments for one in found] == segments
    assert len(set(segments)) > 1, "some halt early, some late"
    fixed = Runner(portable.folder / "segment.onnx", threads=1).solve(texts(3), budget=6, adaptive=False)
    assert [(one.segments, one.halted) for one in fixed] == [(6, False)] * 3


def test_the_runner_says_what_is_wrong_with_a_puzzle(portable: Portable) -> None:
    runner = Runner(portable.folder / "segment.int8.onnx", threads=1)
    for text, fault in (("1" * 15, "it has 15 characters"), ("x" + "." * 15, "'x' is in it")):
        with pytest.raises(ValueError, match=f"no sudoku of 16 cells in '.1234': {fault}"):
            runner.solve([text])


def test_onnx_runs_with_onnxruntime_and_numpy_alone(portable: Portable, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("segment.onnx", "runner.py"):
        shutil.copy(portable.folder / name, home)
    puzzle = texts(1)[0]
    said = elsewhere(tmp_path, ONNX, str(home / "runner.py"), str(home / "segment.onnx"), puzzle)
    (answer,), (segments,) = expected(portable.source, 1)
    assert said.split()[0] == answer
    assert f"after {segments} segments" in said


def test_a_program_of_torch_export_runs_with_torch_alone(portable: Portable, tmp_path: Path) -> None:
    (tmp_path / "host.txt").write_text(HOST)
    path = str(portable.folder / "segment.pt2")
    puzzle = texts(1)[0]
    said = elsewhere(tmp_path, TORCH, str(tmp_path / "host.txt"), "pt2", path, puzzle)
    (answer,), (segments,) = expected(portable.source, 1)
    assert said.split() == [answer, str(segments)]


@pytest.mark.slow
def test_a_package_of_aotinductor_runs_with_torch_alone(portable: Portable, tmp_path: Path) -> None:
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("no C++ compiler is here")
    out = tmp_path / "out"
    args = ["--checkpoint", str(portable.source), "--out", str(out), "--formats", "aoti", "--puzzles", "5"]
    assert export_command.main(args) == 0
    assert json.loads((out / "segment.json").read_text())["formats"]["aoti"]["agreement"]["answers"] == 1
    (tmp_path / "host.txt").write_text(HOST)
    puzzle = texts(1)[0]
    path = str(out / "segment.aoti.pt2")
    said = elsewhere(tmp_path, TORCH, str(tmp_path / "host.txt"), "aoti", path, puzzle)
    (answer,), (segments,) = expected(portable.source, 1)
    assert said.split() == [answer, str(segments)]
