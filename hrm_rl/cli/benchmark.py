"""`hrm-rl benchmark`: how fast this machine makes puzzles, steps environments, learns and answers.

All parts are timed in one run, and all but whole runs with and without Ray in one process, so that the
ratios mean something on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from pydantic import Field
from rich.console import Console

from hrm_rl.benchmarks.adaptive import time_adaptive, time_tracing
from hrm_rl.benchmarks.growth import draw, time_growth
from hrm_rl.benchmarks.measure import Aim
from hrm_rl.benchmarks.report import print_part, summary
from hrm_rl.benchmarks.roofline import KINDS, time_targets
from hrm_rl.benchmarks.scaling.fleet import time_fleet
from hrm_rl.benchmarks.scaling.length import time_length
from hrm_rl.benchmarks.serving import time_serving
from hrm_rl.benchmarks.start import time_start
from hrm_rl.benchmarks.throughput import time_canonical, time_env, time_evaluation, time_generator
from hrm_rl.benchmarks.update import time_update
from hrm_rl.benchmarks.workers import time_ray
from hrm_rl.cli.flags.common import flag_value, parse
from hrm_rl.config import Config, PathText, Positive, Section, get_preset
from hrm_rl.utils.console import print_whole
from hrm_rl.utils.devices import choose_device, use_threads
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import provenance, write_atomically

PARTS = (
    "generator", "canonical", "env", "update", "evaluation", "adaptive", "tracing", "start", "length",
    "fleet", "growth", "targets", "ray", "serving",
)  # fmt: skip


class Timing(Section):
    """What to time."""

    only: tuple[str, ...] = PARTS
    """Parts to run: generator, canonical, env, update, evaluation, adaptive, tracing, start, length, fleet,
    and the four that take minutes: growth, targets, ray, serving."""
    plot: PathText | None = None
    """Picture of part growth to write, a PNG; if part ray runs too, with a panel for its workers."""
    checkpoint: PathText | None = None
    """Parts adaptive and tracing: a run's folder, whose own halting is timed; a random network with drawn
    lengths if not given. Part serving: the model to serve; sudoku9 if not given."""
    adaptive_puzzles: Positive = 1024
    """Part adaptive: puzzles, the fewer of which the more of the time is spent on the end of the queue."""
    threads: Positive = 1
    """CPU threads of torch."""
    seconds: Annotated[float, Field(gt=0.0)] = 2.0
    """Time spent on each measurement."""
    faults: Annotated[int, Field(ge=0)] = 0
    """Break things so often instead of timing anything: processes killed, files damaged, disks full, drawn
    from --seed."""
    gpu_check: PathText | None = None
    """Run all that has to be seen on a GPU instead of timing anything, in at most eight minutes, and write
    what is found into this folder as it is found: results.jsonl, report.md, traces, what each step said."""
    miniature: bool = False
    """With --gpu-check: on a CPU with networks that take no time, to see that the kit works."""
    steps: tuple[str, ...] = ()
    """Of --gpu-check, those to run; all if not given."""
    json_file: PathText | None = None
    """File to write the numbers to."""


class BenchmarkCommand(Section):
    """Time the parts of the system."""

    timing: tyro.conf.OmitArgPrefixes[Timing] = Timing()
    """What to time"""
    settings: Annotated[Config, tyro.conf.arg(name="")] = Config()
    """Every setting of a run, for the update and the evaluation that are timed"""


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    base = get_preset(flag_value(args, "preset") or "sudoku9-curriculum").model_dump()
    base["train"]["global_batch_size"] = 64
    base["data"]["exclude_twins"] = False  # nobody is evaluated here
    given = parse(BenchmarkCommand(settings=Config(**base)), args, "benchmark")
    command, config = given.timing, given.settings
    if command.faults:
        return _break(command, config.seed)
    if command.gpu_check is not None:
        return _check_gpu(Path(command.gpu_check), command)
    for flag, asked in (("--miniature", command.miniature), ("--steps", bool(command.steps))):
        if asked:
            raise UserError(f"{flag} belongs to --gpu-check: add --gpu-check FOLDER")
    for part in command.only:
        if part not in PARTS:
            raise UserError(f"--only {part}: the parts are {', '.join(PARTS)}")
    if command.plot is not None and "growth" not in command.only:
        raise UserError("--plot draws what part growth measures: add growth to --only")
    for flag, file in (("--json-file", command.json_file), ("--plot", command.plot)):
        if file is not None and not Path(file).parent.is_dir():
            raise UserError(f"{flag} {file}: there is no folder {Path(file).parent}")
    use_threads(command.threads)
    console = Console(highlight=False)
    slots, device = config.train.global_batch_size, config.train.device
    measure: dict[str, Callable[[], dict[str, Any]]] = {
        "generator": lambda: time_generator(command.seconds),
        "canonical": lambda: time_canonical(command.seconds),
        "env": lambda: time_env(command.seconds),
        "update": lambda: time_update(config, command.seconds),
        "evaluation": lambda: time_evaluation(config, command.seconds),
        "adaptive": lambda: time_adaptive(command.checkpoint, slots, command.adaptive_puzzles, device),
        "tracing": lambda: time_tracing(command.checkpoint, slots, max(3, round(100 * command.seconds))),
        "start": time_start,
        "growth": lambda: time_growth(choose_device(device)),
        "length": time_length,
        "fleet": lambda: time_fleet(config),
        "targets": lambda: time_targets(KINDS),
        "ray": time_ray,
        "serving": lambda: time_serving(command.checkpoint, command.seconds),
    }
    results: dict[str, Any] = {"versions": provenance(), "threads": command.threads}
    aims: list[Aim] = []
    for part in command.only:
        results[part] = measure[part]()
        aims += results[part].pop("aims", [])
        print_part(console, part, results[part])
    results["aims"] = [{**vars(aim), "reached": aim.reached} for aim in aims]
    if aims:
        print_whole(console, summary(aims))
    _write(command.json_file, lambda path: write_atomically(path, json.dumps(results, indent=1)))
    _write(command.plot, lambda path: draw(results["growth"], results.get("ray"), path))
    return 0


def _break(command: Timing, seed: int) -> int:
    """Break things, and print what came of it. The exit status is 1 if anything was wrong afterwards."""
    from hrm_rl.faults.report import strike, table

    outcomes = strike(command.faults, seed, print)
    print(table(outcomes))
    found = {outcome.kind: asdict(outcome) for outcome in outcomes}
    content = json.dumps({"versions": provenance(), "seed": seed, "faults": found}, indent=1)
    _write(command.json_file, lambda path: write_atomically(path, content))
    return int(any(outcome.wrong for outcome in outcomes))


def _check_gpu(out: Path, command: Timing) -> int:
    """Run the kit for GPUs. The exit status is 1 if a step is not done."""
    from hrm_rl.benchmarks.gpu.kit import REPORT, run_kit
    from hrm_rl.benchmarks.gpu.steps import LIMIT, Kit, chosen

    if not (command.miniature or torch.cuda.is_available()):
        raise UserError(
            "--gpu-check: torch finds no GPU on this machine; --miniature tries the kit on the CPU, in small"
        )
    phases = Kit(out, command.miniature).phases()
    phases = chosen(phases, command.steps) if command.steps else phases
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UserError(f"--gpu-check {out}: the folder is not empty; give one that is, or a new name")
        where = "on the CPU, in small" if command.miniature else "on a GPU"
        outcomes = run_kit(phases, out, LIMIT, f"hrm-rl {where}", print)
    except OSError as error:
        raise UserError(f"--gpu-check {out}: {error.strerror or error}") from None
    print(f"{out / REPORT}")
    return int(any(outcome.status != "done" for outcome in outcomes))


def _write(file: str | None, write: Callable[[Path], None]) -> None:
    if file is None:
        return
    try:
        write(Path(file))
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
