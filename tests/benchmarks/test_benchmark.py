"""scripts/benchmark.py: what it makes of its measurements. Nothing here depends on how
long something took."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from hrm_rl.benchmarks import growth as benchmark_growth
from hrm_rl.benchmarks import measure as benchmark_measure
from hrm_rl.benchmarks import throughput as benchmark_throughput
from hrm_rl.benchmarks import workers as benchmark_ray
from hrm_rl.benchmarks.growth import draw, over_base, time_growth
from hrm_rl.benchmarks.measure import Aim, flop_of, flop_of_update, peak_bytes
from hrm_rl.benchmarks.report import print_part, shown, summary
from hrm_rl.benchmarks.roofline import Measured
from hrm_rl.benchmarks.scaling import fleet
from hrm_rl.benchmarks.scaling.length import time_length
from hrm_rl.benchmarks.update import PHASES, time_update
from hrm_rl.benchmarks.workers import EVERY, SKIPPED, Pace, best, compare, read_pace, time_ray
from hrm_rl.cli import benchmark as benchmark_command
from hrm_rl.evaluation import scores
from tests.helpers.commands import refusal
from tests.helpers.tiny import CPU, tiny_config, tiny_learner

PACES = {0: Pace(2.0, 100.0, 104.0), 1: Pace(9.0, 98.0, 99.0), 2: Pace(16.0, 147.0, 150.0)}


def printed(thing: Any) -> str:
    text = io.StringIO()
    Console(width=120, file=text).print(thing)
    return text.getvalue()


# Measuring.


def test_an_aim_is_reached_at_its_limit() -> None:
    assert Aim("a", 0.8, least=0.8).reached
    assert not Aim("a", 0.79, least=0.8).reached
    assert Aim("a", 15.0, most=15.0).reached
    assert not Aim("a", 15.1, most=15.0).reached
    assert Aim("a", 0.7, least=0.8).wanted == "at least 80.0%"
    assert Aim("a", 16.0, most=15.0, form=".1f").wanted == "at most 15.0"


def test_products_are_counted_also_where_the_update_would_be_compiled() -> None:
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert flop_of(lambda: a @ b) == 2 * 3 * 5 * 7
    plain, compiled = tiny_config(), tiny_config(train={"compile": "on"})
    assert flop_of_update(compiled, CPU) == flop_of_update(plain, CPU) > 0


def test_peak_memory_is_that_of_the_moment_with_most() -> None:
    def work() -> torch.Tensor:
        first = torch.zeros(1000)
        second = torch.zeros(3000)
        del first
        return second[:2] + torch.zeros(2)

    rounded_up = 1.02
    assert 4 * 4000 <= peak_bytes(work, CPU) <= 4 * 4000 * rounded_up


def update_memory(h_cycles: int, l_cycles: int, budget: int, gradient: str = "one_step") -> int:
    """The most bytes that the second update has allocated: the first makes the optimiser's state."""
    learner = tiny_learner(
        tiny_config(
            train={"global_batch_size": 32},
            model={"h_cycles": h_cycles, "l_cycles": l_cycles, "gradient": gradient},
            halting={"q_target": "bootstrap", "halt_max_steps": budget},
        )
    )
    learner.update()
    peak = peak_bytes(learner.update, CPU)
    learner.env.source.close()
    return peak


def test_peak_memory_of_an_update_does_not_grow_with_cycles_and_budget_under_the_one_step_gradient() -> None:
    """From the second h_cycle on: in the first, z_h is still the carry, which was there before."""
    least = update_memory(2, 1, 2)
    for more in ((6, 1, 2), (2, 6, 2), (2, 1, 16)):
        assert update_memory(*more) == pytest.approx(least, rel=0.01), more
    assert update_memory(6, 1, 2, "full") > 1.5 * least


# The phases of an update.


def test_every_phase_of_an_update_takes_time() -> None:
    found = time_update(tiny_config(halting={"q_target": "bootstrap", "halt_max_steps": 2}), seconds=0)
    assert tuple(found["phases"]) == PHASES
    assert min(found["phases"].values()) > 0
    assert sum(found["phases"].values()) == pytest.approx(1)


# Growth.


def test_growth_is_told_over_the_base() -> None:
    rows = [
        {"quantity": "slots", "value": value, "ms": 3.0 * value, "gflop": 0.5 * value, "peak_memory_mb": 7.0}
        for value in (32, 64, 256)
    ]
    told = over_base(rows, base=64)
    assert [row["time_over_base"] for row in told] == [0.5, 1.0, 4.0]
    assert [row["gflop_over_base"] for row in told] == [0.5, 1.0, 4.0]
    assert [row["memory_over_base"] for row in told] == [1.0, 1.0, 1.0]
    assert [row["ms"] for row in told] == [96.0, 192.0, 768.0]


@pytest.fixture
def small_growth(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, ...]]:
    """A base network and values that take no time; every call takes a second by the clock."""
    base = {
        "h_cycles": 2,
        "l_cycles": 1,
        "segments": 1,
        "tokens": 16,
        "hidden_size": 16,
        "slots": 16,
        "held_out": 16,
    }
    monkeypatch.setattr(scores, "AT_ONCE", 16)
    monkeypatch.setattr(benchmark_growth, "BASE", base)
    monkeypatch.setattr(benchmark_growth, "fastest", lambda works, rounds, device: dict.fromkeys(works, 1.0))
    return {
        "h_cycles": (2, 4),
        "segments": (1, 2),
        "tokens": (16, 36, 64),
        "slots": (16, 32),
        "held_out": (16, 64),
    }


def test_each_quantity_grows_alone_and_the_picture_has_a_panel_for_each(
    small_growth: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    growth = time_growth(CPU, small_growth)
    flop = {(row["quantity"], row["value"]): row["gflop_over_base"] for row in growth["rows"]}
    memory = {(row["quantity"], row["value"]): row["memory_over_base"] for row in growth["rows"]}
    assert set(flop) == {(name, value) for name, values in small_growth.items() for value in values}
    assert flop["slots", 32] == flop["segments", 2] == 2
    assert 1 < flop["h_cycles", 4] < 2  # what runs with gradient does not grow
    assert flop["tokens", 36] > 36 / 16
    assert memory["h_cycles", 4] == pytest.approx(1, rel=0.01)
    assert len(growth["aims"]) == len(small_growth) + 2
    assert all(aim.reached for aim in growth["aims"] if not aim.what.startswith("held_out up to"))
    assert memory["held_out", 64] < 2, "four parts of 16 puzzles: a part is hardly more than its sums"
    powers = {row["quantity"]: row for row in growth["exponents"]}
    assert powers["slots"]["products"] == pytest.approx(1)
    assert powers["tokens"]["products"] > 1
    assert powers["slots"]["time"] == pytest.approx(0), "every call takes as long"
    for ray in (None, compare(PACES)):
        draw(growth, ray, tmp_path / "growth.png")
        assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_without_the_part_it_draws_is_refused() -> None:
    line = refusal(benchmark_command.main, "--only", "env", "--plot", "growth.png")
    assert "add growth to --only" in line


# Ray.


def test_the_pace_of_a_run_is_read_from_its_telemetry(tmp_path: Path) -> None:
    """Ten slow updates, then one every half a second but for a single hiccup, with 64 slots."""
    seconds = [3.0] * (SKIPPED // EVERY) + [0.5, 0.5, 4.0, 0.5, 0.5]
    times = 1000.0 + EVERY * np.cumsum(seconds)
    with SummaryWriter(str(tmp_path / "tensorboard")) as writer:
        for record, (time, each) in enumerate(zip(times, seconds, strict=True), start=1):
            writer.add_scalar("perf/segments_per_s", 64 / (each - 0.1), EVERY * record, walltime=time)
    pace = read_pace(tmp_path, slots=64, started=990.0)
    assert pace.first_update_s == pytest.approx(1000 + EVERY * 3.0 - 990 - (EVERY - 1) * 0.5)
    assert pace.segments_per_s == pytest.approx(128)
    assert pace.segments_per_s_in_updates == pytest.approx(160)


def test_runs_are_compared_with_one_ray_worker_and_the_best_of_each_kind_counts() -> None:
    assert best([Pace(9.0, 90.0, 99.0), Pace(10.0, 98.0, 95.0)]) == PACES[1]
    found = compare(PACES)
    assert found["overhead"] == pytest.approx(100 / 98 - 1)
    assert found["scaling"] == pytest.approx(1.5)
    assert [row["workers"] for row in found["runs"]] == [0, 1, 2]
    assert [aim.reached for aim in found["aims"]] == [True, False, False]


def test_on_one_core_no_two_workers_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def train(workers: list[int], folder: Path) -> list[Pace]:
        started.extend(workers)
        return [PACES[count] for count in workers]

    monkeypatch.setattr(benchmark_ray, "_train", train)
    monkeypatch.setattr(benchmark_ray.os, "sched_getaffinity", lambda _: {0}, raising=False)
    found = time_ray()
    assert started == [0, 1, 0, 1]
    assert "this machine has 1" in found["not_run"]
    assert "scaling" not in found
    monkeypatch.setattr(benchmark_ray.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    found = time_ray()
    assert found["scaling"] == pytest.approx(1.5)
    assert found["scaling_of_two_runs_without_ray"] == pytest.approx(2)
    assert started[4:] == [0, 1, 2, 0, 0] * 2


def test_a_run_that_fails_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_ray, "FLAGS", "--no-such-flag")
    assert "part ray: the run with 0 Ray workers failed: error: unknown flag" in refusal(
        lambda _: time_ray() and 0
    )


# What is printed.


def test_the_summary_says_of_each_aim_whether_it_is_reached() -> None:
    text = printed(summary([Aim("speed", 1.82, least=1.8, form=".2f"), Aim("overhead", 0.05, most=0.03)]))
    speed, overhead = (line for line in text.splitlines() if "at " in line)
    assert "speed" in speed
    assert "at least 1.80" in speed
    assert "1.82" in speed
    assert "yes" in speed
    assert "5.0%" in overhead
    assert "no" in overhead


def test_a_parts_rows_become_a_table_with_a_column_for_every_name() -> None:
    text = io.StringIO()
    rows = [{"kind": "one", "ms": 1234.5}, {"kind": "two", "ms": 2.0, "share_of_peak": 0.25}]
    numbers = {"kinds": rows, "phases": {"env": 0.5}, "threads": 1}
    print_part(Console(width=120, file=text), "targets", numbers)
    for part in ("share of peak", "25.0%", "1,234", "50.0%", "threads"):
        assert part in text.getvalue(), part
    assert shown("off_costs", -0.012) == "-1.2%"


@pytest.mark.slow
def test_the_benchmark_measures_every_part_and_its_shares_add_up(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    small_growth: dict[str, tuple[int, ...]],
) -> None:
    kinds = {
        "tiny": Measured(tiny_config(), share=0.5),
        "twin": Measured(tiny_config(), of="tiny", ratio=0.01),
    }
    monkeypatch.setattr(benchmark_measure, "TURN_SECONDS", 0.0)
    for name in ("PUZZLES", "FORMS"):
        monkeypatch.setattr(benchmark_throughput, name, 10)
    monkeypatch.setattr(benchmark_command, "KINDS", kinds)
    monkeypatch.setattr(benchmark_command, "time_growth", partial(time_growth, values=small_growth))
    monkeypatch.setattr(benchmark_command, "time_length", partial(time_length, updates=(40, 80)))
    monkeypatch.setattr(fleet, "time_messages", lambda: {1000: 2e-3, 1_000_000: 3e-3})
    monkeypatch.setattr(benchmark_command, "time_ray", lambda: compare(PACES))
    served = {"puzzles_per_s": 1.0, "aims": []}  # minutes: tests/benchmarks/test_serving.py has its parts
    monkeypatch.setattr(benchmark_command, "time_serving", lambda checkpoint, seconds: served)
    started = {"without_ray_s": 1.0, "aims": []}  # whole runs: tests/benchmarks/test_start.py has its parts
    monkeypatch.setattr(benchmark_command, "time_start", lambda: started)
    small = "--env.size 4 --model.hidden-size 16 --model.num-heads 2 --model.h-layers 1 --model.l-layers 1"
    batch = "--train.global-batch-size 4 --halting.halt-max-steps 2 --seconds 0.01 --adaptive-puzzles 32"
    files = f"--json-file {tmp_path / 'b.json'} --plot {tmp_path / 'growth.png'}"
    assert benchmark_command.main([*small.split(), *batch.split(), *files.split()]) == 0
    assert (tmp_path / "growth.png").exists()
    found = json.loads((tmp_path / "b.json").read_text())
    assert set(benchmark_command.PARTS) <= set(found)
    assert sum(found["update"]["phases"].values()) == pytest.approx(1)
    assert found["update"]["phases"]["forward"] > 0
    assert 0 < found["update"]["share_of_peak"] < 1
    assert found["update"]["peak_memory_mb"] > 0
    assert len(found["generator"]["puzzles_per_s_and_core"]) == 24  # 15 of Sudoku, 9 of mazes
    assert len(found["canonical"]["puzzles_per_s_and_core"]) == 2
    assert found["env"]["slot_steps_per_s"] > 0
    assert found["evaluation"]["puzzles_per_s"] > 0
    for dtype in ("float32", "bfloat16"):
        halting = found["adaptive"][dtype]
        assert halting["budget_over_mean"] == pytest.approx(8 / halting["mean_segments"])
        assert halting["share_of_possible"] == pytest.approx(halting["speedup"] / halting["budget_over_mean"])
        assert halting["fixed_puzzles_per_s"] < halting["adaptive_puzzles_per_s"]
    assert set(found["tracing"]["segment_ms"]) == {"never watched", "no longer watched", "watched"}
    tiny, twin = found["targets"]["kinds"]
    assert 0 < tiny["share_of_peak"] < 1
    assert tiny["peak_memory_mb"] == twin["peak_memory_mb"] > 0
    assert twin["time_over_bootstrap"] == pytest.approx(twin["ms"] / tiny["ms"])
    reached = {aim["what"]: aim["reached"] for aim in found["aims"]}
    assert reached["tiny: share of the peak"] == (tiny["share_of_peak"] >= 0.5)
    assert reached["twin: time over tiny"] is False
    assert len(reached) == 2 + 7 + 1 + 2 + 3
    short, long = found["length"]["rows"]
    assert long["metrics_mb"] > 1.5 * short["metrics_mb"]
    assert long["checkpoints_mb"] == pytest.approx(short["checkpoints_mb"], rel=0.01)
    assert found["fleet"]["modelled"][0]["segments_per_s_over_one"] == 1
    table = capsys.readouterr().out
    for part in ("9x9 extreme", "slot_steps_per_s", "bootstrap forward", "share_of_peak", "reached"):
        assert part in table
