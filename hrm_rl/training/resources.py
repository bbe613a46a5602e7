"""Whether a machine can carry a run, found out before anything waits for it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from envs.cores import usable_cpus
from hrm_rl.utils.errors import UserError

GPU_DEVICES = ("/dev/nvidiactl", "/dev/nvhost-ctrl-gpu", "/dev/dxg", "/dev/kfd")
"""One of these is there on a Linux whose GPUs torch can use: NVIDIA's, its Jetson's, Windows', AMD's."""


@dataclass(frozen=True)
class Machine:
    """What there is to run on: this machine, or a Ray cluster."""

    name: str
    cpus: float
    gpus: float
    nodes: tuple[tuple[float, float], ...] = ()
    """CPUs and GPUs of each machine of a cluster; empty for a single machine."""

    def room(self, cpus: float, gpus: float) -> int:
        """Workers of this size that fit, none of them spread over two machines."""
        return sum(
            min(int(node_cpus // cpus), int(node_gpus // gpus) if gpus else int(node_cpus // cpus))
            for node_cpus, node_gpus in self.nodes or ((self.cpus, self.gpus),)
        )


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
    return Machine("this machine", usable_cpus(), _gpus())


def _gpus() -> int:
    """GPUs that torch can use. It takes a second to import, and is not asked where there are surely none."""
    if sys.platform == "linux" and not any(Path(device).exists() for device in GPU_DEVICES):
        return 0
    import torch

    return torch.cuda.device_count()


def cluster_address(flag: str | None) -> str | None:
    """The Ray cluster to join: that of --address, else that of the variable RAY_ADDRESS. None starts Ray on
    this machine, which `local` asks for too. Raises UserError."""
    variable = os.environ.get("RAY_ADDRESS") or None
    if flag == "auto" and variable == "local":
        raise UserError("--address auto and RAY_ADDRESS=local contradict each other: leave one out")
    address = variable if flag in (None, "auto") and variable else flag  # as Ray does
    return None if address == "local" else address


def in_this_process(workers: str | None, address: str | None) -> bool:
    """Whether --num-workers asks for no Ray, so that no cluster matters. Raises UserError for one that is
    named all the same."""
    if workers is None or _worker_range(workers, 1)[1]:
        return False
    if address is not None:
        raise UserError(
            f"--address {address} is the cluster of Ray workers, and --num-workers 0 trains in this process: "
            "leave one of them out"
        )
    return True


def make_plan(
    workers: str | None, cpus: float | None, gpus: float | None, machine: Machine, device: str = "auto"
) -> Plan:
    """The plan that the flags ask for, with what they leave open filled in from the machine: a GPU for each
    worker if there are any, as many workers as GPUs or else one, and an even share of the CPUs.

    device: train.device; `cpu` takes no GPU.
    Raises UserError for flags that mean nothing; `check` says whether the machine can carry the plan.
    """
    on_cpu = device == "cpu" or gpus == 0
    low, high = _worker_range(workers, 1 if on_cpu else max(1, int(machine.gpus)))
    if high == 0 and gpus:
        raise UserError(
            "--gpus-per-worker is for Ray workers; --num-workers 0 takes the device of --train.device"
        )
    if gpus is None:
        gpus = 1.0 if machine.gpus and high and not on_cpu else 0.0
    if device == "cpu" and gpus:
        raise UserError(f"--train.device cpu and --gpus-per-worker {gpus:g} contradict each other")
    if high and (device == "mps" or (device == "cuda" and not gpus)):
        raise UserError(
            f"--train.device {device}: a Ray worker runs on the GPUs of --gpus-per-worker, else on the CPU; "
            f"--num-workers 0 uses {device} in this process"
        )
    if cpus is None:
        share = max(1, int(machine.cpus) // max(1, high))
        while share > 1 and high and machine.room(share, gpus) < high:
            share -= 1  # the share of the whole cluster may be more than any of its nodes has
        cpus = float(share)
    if cpus < 1:
        raise UserError(f"--cpus-per-worker {cpus:g} is too little: a worker needs at least 1")
    if gpus < 0:
        raise UserError(f"--gpus-per-worker {gpus:g} is negative: give 0 for none")
    if gpus > 1:
        raise UserError(
            f"--gpus-per-worker {gpus:g}: a worker uses one GPU at most; start more workers instead"
        )
    return Plan(low, high, cpus, gpus)


def _worker_range(workers: str | None, default: int) -> tuple[int, int]:
    if workers is None:
        return default, default
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
    low = max(1, plan.low)  # training in this process takes as much as one worker
    if machine.room(plan.cpus_per_worker, plan.gpus_per_worker) >= low:
        return
    wanted = (low * plan.cpus_per_worker, low * plan.gpus_per_worker)
    lacks = []
    if wanted[1] > machine.gpus:
        lacks.append(f"{wanted[1]:g} GPUs, {machine.name} has {machine.gpus:g}")
    if wanted[0] > machine.cpus:
        lacks.append(f"{wanted[0]:g} CPUs, {machine.name} has {machine.cpus:g}")
    if not lacks:
        lacks.append("machines that are larger: each worker must fit on one")
    raise UserError(
        f"{low} worker{'s' * (low > 1)} with {plan.cpus_per_worker:g} CPU and {plan.gpus_per_worker:g} GPU "
        f"each need {' and '.join(lacks)}; this would run here: {command} {_fitting_flags(plan, machine)}"
    )


def _fitting_flags(plan: Plan, machine: Machine) -> str:
    """Resource flags for the most workers, up to those asked for, that the machine can carry."""
    on_gpu = plan.gpus_per_worker > 0 and machine.gpus >= plan.gpus_per_worker
    gpus = plan.gpus_per_worker if on_gpu else 0.0
    by_gpu = int(machine.gpus // gpus) if gpus else plan.low
    if plan.high == 0:
        return f"--num-workers 0 --cpus-per-worker {int(machine.cpus)}"
    workers = max(1, min(plan.low, by_gpu, int(machine.cpus), machine.room(1, gpus)))
    flags = f"--num-workers {workers} --gpus-per-worker {gpus:g}"
    cpus = int(plan.cpus_per_worker)
    while cpus > 1 and machine.room(cpus, gpus) < workers:
        cpus -= 1
    return flags if cpus == plan.cpus_per_worker else f"{flags} --cpus-per-worker {cpus}"
