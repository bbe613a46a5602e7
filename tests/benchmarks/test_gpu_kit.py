"""`hrm-rl benchmark --gpu-check`: steps as processes that end, fail, hang or are asked to stop, what is
written of them, and the kit in miniature. What needs a GPU is in no test."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest
import torch

from hrm_rl.benchmarks.gpu import running
from hrm_rl.benchmarks.gpu.gaps import Event as Stretch
from hrm_rl.benchmarks.gpu.gaps import busy_share, find_gaps, summed
from hrm_rl.benchmarks.gpu.kit import run_kit
from hrm_rl.benchmarks.gpu.running import GpuStep, json_lines
from hrm_rl.benchmarks.gpu.steps import LIMIT, Kit, chosen, pytest_ended, trained, wants_gpu
from hrm_rl.cli import benchmark as benchmark_command
from hrm_rl.cli import train as train_command
from hrm_rl.cli.flags.common import parse
from hrm_rl.config import PRESETS
from tests.helpers.commands import refusal

HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print('{"child": %d}' % child.pid, flush=True)
time.sleep(60)
"""
TRAINS = """
import time
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('{"updates": 7}')
"""


def python(name: str, code: str, limit: float = 30.0, **more: Any) -> GpuStep:
    return GpuStep(name, f"whether {name} works", (sys.executable, "-c", code), limit, **more)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def records(out: Path) -> dict[str, dict[str, Any]]:
    lines = (out / "results.jsonl").read_text().splitlines()
    return {record["step"]: record for record in map(json.loads, lines)}


def test_a_step_that_fails_or_hangs_stops_no_other_and_all_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "GRACE", 1.5)
    steps = [
        python("fails", "print('before'); raise SystemExit('it broke')"),
        python("hangs", HANGS, 1.0),
        python("trains", TRAINS, 2.0, endless=True),
        python("says nothing", "print('no figures')", read=lambda output: [{"first": json_lines(output)[0]}]),
        python("absent", "", missing="nothing to run it with"),
        python("works", """print('{"update_ms": 12.5, "share_of_peak": 0.25}')"""),
    ]
    said: list[str] = []
    outcomes = run_kit([[steps]], tmp_path, 60.0, "a try", said.append)
    assert [(o.step, o.status) for o in outcomes] == [
        ("fails", "failed"), ("hangs", "out of time"), ("trains", "done"),
        ("says nothing", "failed"), ("absent", "not run"), ("works", "done"),
    ]  # fmt: skip
    found = records(tmp_path)
    assert list(found) == [step.name for step in steps]
    assert found["fails"]["exit"] == 1
    assert found["fails"]["last"] == ["before", "it broke"]
    (figures,) = found["hangs"]["found"]
    assert not alive(figures["child"]), "it had left the process group"
    assert found["trains"]["found"] == [{"updates": 7}]
    assert "IndexError" in found["says nothing"]["why"]
    page = (tmp_path / "report.md").read_text()
    for part in ("2 failed, 1 out of time, 2 done, 1 not run", "it broke", "| 12.50 | 25.0% |", "# a try"):
        assert part in page, part
    assert (tmp_path / "logs" / "fails.txt").read_text() == "before\nit broke\n"
    assert len(said) == len(steps)


def test_the_whole_ends_within_its_limit_and_leaves_later_steps_what_is_reserved_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hrm_rl.benchmarks.gpu.kit.LEAST", 0.5)
    sleeps = "import time; time.sleep(60)"
    lanes = [
        [python("a", sleeps), python("b", sleeps)],
        [python("c", sleeps, 0.6), python("d", "print(1)", reserved=1.0)],
    ]
    began = time.monotonic()
    outcomes = run_kit([lanes, [[python("e", sleeps, reserved=1.5)]]], tmp_path, 4.0, "", lambda line: None)
    assert time.monotonic() - began < 6
    by_name = {o.step: o for o in outcomes}
    assert {name: o.status for name, o in by_name.items()} == {
        "a": "out of time", "b": "not run", "c": "out of time", "d": "done", "e": "out of time",
    }  # fmt: skip
    assert by_name["a"].seconds < 3
    assert by_name["b"].why == "no time was left"


def test_a_kit_that_is_interrupted_ends_the_step_it_is_in(tmp_path: Path) -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    began = time.monotonic()
    outcome = running.run(python("sleeps", "import time; time.sleep(60)"), tmp_path / "log", 30.0, stop)
    assert time.monotonic() - began < 10
    assert outcome.status == "out of time"


@pytest.mark.parametrize("small", [False, True])
def test_every_preset_for_gpus_is_run_by_flags_that_there_are(small: bool, tmp_path: Path) -> None:
    steps = [step for phase in Kit(tmp_path, small).phases() for lane in phase for step in lane]
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    assert {name for name in PRESETS if wants_gpu(name)} <= set(names)
    for step in steps:
        if "train" in step.command:
            args = step.command[step.command.index("train") + 1 :]
            defaults = train_command._defaults(args)
            config = parse(train_command.TrainCommand(settings=defaults), args, "train").config
            assert not config.data.required or config.data.path, step.name
    assert sum(step.reserved for step in steps) < 0.7 * LIMIT


def test_steps_are_chosen_by_name(tmp_path: Path) -> None:
    phases = chosen(Kit(tmp_path, True).phases(), ["machine", "accuracy"])
    assert [step.name for phase in phases for lane in phase for step in lane] == ["machine", "accuracy"]


def test_what_runs_and_tests_leave_is_read(tmp_path: Path) -> None:
    timed = [
        {"update": 10 * i, "perf/update_ms": ms, "perf/segments_per_s": 1000 / ms, "curriculum/stage": i // 3}
        for i, ms in enumerate((900.0, 10.0, 20.0, 50.0), start=1)
    ]
    written = [*timed, {"update": 40, "eval/exact_accuracy": 0.5}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, written)))
    assert trained(tmp_path, "") == [
        {"updates": 40, "update_ms": 20.0, "segments_per_s": 50.0, "exact_accuracy": 0.5, "stage": 1}
    ]
    output = "FAILED tests/a.py::b - x\n=== 1 failed, 30 passed in 12.3s ===\n"
    assert pytest_ended(output) == [
        {"tests": "1 failed, 30 passed in 12.3s"}, {"tests": "FAILED tests/a.py::b - x"},
    ]  # fmt: skip


def test_a_gap_is_named_by_its_phase_and_by_what_the_cpu_was_at() -> None:
    events = [
        Stretch("product", "kernel", 0, 100), Stretch("add", "kernel", 50, 120),
        Stretch("copy", "gpu_memcpy", 620, 700), Stretch("product", "kernel", 705, 1000),
        Stretch("gate", "kernel", 1300, 2000),
        Stretch("forward", "user_annotation", 0, 650), Stretch("env", "user_annotation", 200, 600),
        Stretch("aten::mm", "cpu_op", 300, 500), Stretch("cudaStreamSynchronize", "cuda_runtime", 310, 450),
        Stretch("aten::silu", "cpu_op", 1100, 1200),
    ]  # fmt: skip
    long, short = find_gaps(events)
    assert (long.us, long.phase, long.cpu) == (500, "env", "cudaStreamSynchronize")
    assert (long.before, long.after) == ("add", "copy")
    assert (short.us, short.phase, short.cpu) == (300, "other", "aten::silu")
    assert busy_share(events) == pytest.approx(1 - 805 / 2000), "the pause of 5 us counts too"
    assert [row["ms"] for row in summed([long, short, short])] == [0.6, 0.5]
    assert busy_share([]) == 0


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: str) -> str:
        return refusal(benchmark_command.main, *args)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "torch finds no GPU" in refused("--gpu-check", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert "belongs to --gpu-check" in refused("--miniature")
    assert "belongs to --gpu-check" in refused("--steps", "tests")
    small = ("--gpu-check", str(tmp_path), "--miniature")
    assert "the steps are machine, tests, " in refused(*small, "--steps", "test")
    (tmp_path / "mine.txt").write_text("mine")
    assert "is not empty" in refused(*small)


def test_the_kit_in_miniature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real steps, on the CPU."""
    out = tmp_path / "out"
    steps = ("group", "record-eager")
    assert benchmark_command.main(["--gpu-check", str(out), "--miniature", "--steps", *steps]) == 0
    found = records(out)
    assert {name: record["status"] for name, record in found.items()} == dict.fromkeys(steps, "done")
    (group,) = found["group"]["found"]
    assert group["in the group"] == pytest.approx(group["gradient norm alone"])
    whole, *rows = found["record-eager"]["found"]
    assert 0 < whole["busy_share"] < 1
    assert {"forward", "backward"} <= {row["phase"] for row in rows}
    assert (out / "trace-eager.json.gz").stat().st_size > 10_000
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "report.md")
