"""Whether a machine can carry a run, found out before anything waits for it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from hrm_rl.errors import UserError


@dataclass(frozen=True)
class Machine:
    """What there is to run on: this machine, or a Ray cluster."""

    name: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Plan:
    """What a run asks for."""

    low: int
    high: int
    """Least and most workers; different only for elastic runs. 0 trains in this process."""
    cpus_per_worker: float
    gpus_per_worker: float

    @property
    def elastic(self) -> bool:
        return self.low != self.high

    @property
    def threads(self) -> int:
        """CPU threads of each worker."""
        return max(1, int(self.cpus_per_worker))

    @property
    def backend(self) -> str:
        """NCCL refuses two ranks on one GPU, so fractions of a GPU take gloo."""
        return "nccl" if self.gpus_per_worker >= 1 else "gloo"

    def describe(self) -> str:
        if self.high == 0:
            return f"this process, {self.threads} threads"
        workers = f"{self.low}..{self.high}" if self.elastic else str(self.high)
        parts = [f"{workers} worker{'s' if self.high > 1 else ''}", f"{self.cpus_per_worker:g} CPU each"]
        if self.gpus_per_worker:
            parts.append(f"{self.gpus_per_worker:g} GPU each")
        return ", ".join([*parts, self.backend])


def this_machine() -> Machine:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    return Machine("this machine", cpus, torch.cuda.device_count())


def make_plan(workers: str | None, cpus: float | None, gpus: float | None, machine: Machine) -> Plan:
    """The plan that the flags ask for, with what they leave open filled in from the machine: a GPU for each
    worker if there are any, as many workers as GPUs or else one, and an even share of the CPUs.

    Raises UserError for flags that mean nothing; `check` says whether the machine can carry the plan.
    """
    low, high = _worker_range(workers, machine)
    if gpus is None:
        gpus = 1.0 if machine.gpus and high else 0.0
    if cpus is None:
        share = int(machine.cpus) // max(1, high)
        cpus = float(max(1, share))
    if cpus < 1:
        raise UserError(f"--cpus-per-worker {cpus:g} is too little: a worker needs at least 1")
    if gpus < 0:
        raise UserError(f"--gpus-per-worker {gpus:g} is negative: give 0 for none")
    if gpus > 1:
        raise UserError(
            f"--gpus-per-worker {gpus:g}: a worker uses one GPU at most; start more workers instead"
        )
    return Plan(low, high, cpus, gpus)


def _worker_range(workers: str | None, machine: Machine) -> tuple[int, int]:
    if workers is None:
        count = max(1, int(machine.gpus))
        return count, count
    first, colon, last = workers.partition(":")
    try:
        low, high = int(first), int(last if colon else first)
    except ValueError:
        raise UserError(f"--num-workers {workers} is neither a number nor a range such as 2:8") from None
    if low < 0 or high < low or (colon and low == 0):
        raise UserError(
            f"--num-workers {workers}: give 0 (no Ray), a number, or LOW:HIGH with 1 <= LOW <= HIGH"
        )
    return low, high


def check(plan: Plan, machine: Machine, global_batch_size: int, command: str) -> None:
    """Raises UserError if the machine cannot carry the plan, with the command that would run on it.

    command: what the user typed, without the resource flags.
    """
    if plan.high > global_batch_size:
        raise UserError(
            f"--num-workers {plan.high} is more than --train.global-batch-size {global_batch_size}: "
            "a worker needs at least one slot"
        )
    if plan.high == 0:
        return
    wanted = (plan.low * plan.cpus_per_worker, plan.low * plan.gpus_per_worker)
    if wanted[0] <= machine.cpus and wanted[1] <= machine.gpus:
        return
    lacks = []
    if wanted[1] > machine.gpus:
        lacks.append(f"{wanted[1]:g} GPUs, {machine.name} has {machine.gpus:g}")
    if wanted[0] > machine.cpus:
        lacks.append(f"{wanted[0]:g} CPUs, {machine.name} has {machine.cpus:g}")
    raise UserError(
        f"{plan.low} workers with {plan.cpus_per_worker:g} CPU and {plan.gpus_per_worker:g} GPU each need "
        f"{' and '.join(lacks)}; this would run here: {command} {_fitting_flags(plan, machine)}"
    )


def _fitting_flags(plan: Plan, machine: Machine) -> str:
    """Resource flags for the most workers, up to those asked for, that the machine can carry."""
    on_gpu = plan.gpus_per_worker > 0 and machine.gpus >= plan.gpus_per_worker
    gpus = plan.gpus_per_worker if on_gpu else 0.0
    by_gpu = int(machine.gpus // gpus) if gpus else plan.low
    workers = max(1, min(plan.low, by_gpu, int(machine.cpus)))
    flags = f"--num-workers {workers} --gpus-per-worker {gpus:g}"
    if workers * plan.cpus_per_worker > machine.cpus:
        flags += f" --cpus-per-worker {max(1, int(machine.cpus) // workers)}"
    return flags
