"""Steps of the kit that are no command of `hrm-rl`: `python -m hrm_rl.benchmarks.gpu.parts NAME ...`.

Each prints what it finds as JSON objects, a line each.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import ProfilerActivity, profile, record_function

from hrm_rl.agents.act.learner import Learner, Phase, untimed
from hrm_rl.agents.build import build_learner
from hrm_rl.benchmarks.gpu.gaps import busy_share, find_gaps, read_trace, summed
from hrm_rl.benchmarks.measure import flop_of_update, matmul_peak, peak_bytes, seconds_of
from hrm_rl.config import Config, get_preset
from hrm_rl.data.streams import build_data
from hrm_rl.utils.devices import choose_device

PAPER = "sudoku-extreme-1k"
"""The preset whose update is measured."""
MODES: dict[str, dict[str, Any]] = {
    "eager": {"compile": "off"},
    "compiled": {"compile": "on"},
    "graphs": {"compile": "on", "cuda_graphs": True},
}
"""Settings of `train`, by how the update runs."""
SLOTS = (768, 64)
SECONDS = 3.0
"""Of updates that are timed, at each number of slots."""
PEAK_SIZE = 8192
"""Edge of the square product that is taken for the peak."""
PROFILED, BEFORE = 10, 6
"""Updates that are recorded, and those before them."""


def paper_config(mode: str, slots: int, device: str, small: bool) -> Config:
    """The paper's network and optimiser on easy Sudokus that are made here; tiny if `small`."""
    values = get_preset(PAPER).model_dump()
    values["data"] |= {"required": False, "max_puzzles": None, "exclude_twins": False, "eval_puzzles": 8}
    values["train"] |= {"global_batch_size": slots, "device": device} | MODES[mode]
    values["curriculum"]["stages"] = ("easy=1",)
    if small:
        values["model"] |= {"hidden_size": 16, "num_heads": 2, "puzzle_emb_ndim": 16}
        values["train"]["compile"] = "off"  # half a minute of a CPU
    return Config.model_validate(values)


def learner_of(config: Config, phase: Phase = untimed) -> Learner:
    """A learner, its slots filled, computing in the types that a run computes in."""
    device = choose_device(config.train.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, as in a run
    learner = build_learner(config, build_data(config), device, 0, 1, phase)
    learner.start()
    return learner


def machine() -> None:
    """What this machine is."""
    found = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "gpu_gib": torch.cuda.mem_get_info()[1] / 2**30 if torch.cuda.is_available() else None,
        "cpus": len(os.sched_getaffinity(0)),
    }
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version,power.limit", "--format=csv,noheader"]
        found["driver, power limit"] = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        pass
    print(json.dumps(found))


def update(mode: str, device: str, small: bool) -> None:
    """Time, share of the peak and memory of the paper's update."""
    for slots in (4,) if small else SLOTS:
        config = paper_config(mode, slots, device, small)
        learner = learner_of(config)
        on = learner.device
        if learner.not_compiled:
            print(json.dumps({"mode": mode, "not_compiled": learner.not_compiled}), flush=True)
        first = seconds_of(learner.update, on) + seconds_of(learner.update, on)
        for _ in range(BEFORE):
            learner.update()
        memory = peak_bytes(learner.update, on)
        most = torch.cuda.max_memory_allocated() if on.type == "cuda" else 0
        peak = 0.0
        times: list[float] = []
        for _ in range(3):  # the peak in turns with the updates: clocks change with heat
            size = 256 if small else PEAK_SIZE
            peak = max(peak, matmul_peak(on, getattr(torch, config.model.dtype), size, times=1))
            ends = time.perf_counter() + (0 if small else SECONDS / 3)
            while not times or time.perf_counter() < ends:
                times.append(seconds_of(learner.update, on))
        seconds = median(times)
        flop = flop_of_update(config, on)
        row = {
            "mode": mode,
            "slots": slots,
            "update_ms": 1000 * seconds,
            "fastest_ms": 1000 * min(times),
            "tflops": flop / seconds / 1e12,
            "peak_tflops": peak / 1e12,
            "share_of_peak": flop / seconds / peak,
            "memory_gib": memory / 2**30,
            "with_weights_gib": most / 2**30 if most else None,
            "first_two_updates_s": first,
        }
        print(json.dumps(row), flush=True)
        learner.env.source.close()
        del learner


def group(device: str, small: bool) -> None:
    """A group of one rank, with the back end that a worker of a GPU of its own takes: its collectives, and
    gradients that went through it."""
    backend = "nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    learner = learner_of(paper_config("eager", 4 if small else SLOTS[-1], device, small))
    on = learner.device
    sums = torch.arange(4.0, device=on)
    dist.all_reduce(sums)
    dist.broadcast(sums, 0)
    dist.barrier()
    tokens = torch.from_numpy(learner.slots.puzzle).to(on).long()
    identifier = torch.zeros(len(tokens), dtype=torch.long, device=on)
    norms = []
    ids = [on.index] if device == "cuda" else None
    wrapped = DistributedDataParallel(learner.model, device_ids=ids)
    for model in (learner.model, wrapped):
        learner.model.zero_grad()
        _, logits, q = model(learner.slots.carry, tokens, identifier)
        (logits.float().square().mean() + q.float().square().mean()).backward()
        grads = [p.grad for p in learner.model.parameters() if p.grad is not None]
        norms.append(float(torch.stack([g.float().norm() for g in grads]).norm()))
    dist.destroy_process_group()
    right = sums.tolist() == [0.0, 1.0, 2.0, 3.0] and math.isclose(*norms, rel_tol=1e-3)
    print(json.dumps({"backend": backend, "gradient norm alone": norms[0], "in the group": norms[1]}))
    if not right:
        sys.exit("the group of one rank changes numbers")


def record(mode: str, device: str, small: bool, trace: Path) -> None:
    """Record ten updates, and say when the device had nothing to do."""
    learner = learner_of(paper_config(mode, 4 if small else SLOTS[0], device, small), record_function)
    for _ in range(BEFORE):
        learner.update()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    with profile(activities=activities) as profiler:
        for _ in range(2 if small else PROFILED):
            learner.update()
        if device == "cuda":
            torch.cuda.synchronize()
    profiler.export_chrome_trace(str(trace))
    learner.env.source.close()
    events = read_trace(trace)
    gaps = find_gaps(events)
    print(json.dumps({"busy_share": busy_share(events), "gaps": len(gaps), "trace": trace.name}))
    for row in summed(gaps)[:12]:
        print(json.dumps(row))
    for gap in gaps[:5]:
        row = {"phase": gap.phase, "cpu": gap.cpu, "longest_ms": gap.us / 1000}
        print(json.dumps(row | {"before": gap.before[:60], "after": gap.after[:60]}))


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("machine", "update", "group", "record"))
    parser.add_argument("--mode", choices=tuple(MODES), default="eager")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--trace", type=Path)
    given = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "machine": machine,
        "update": lambda: update(given.mode, given.device, given.small),
        "group": lambda: group(given.device, given.small),
        "record": lambda: record(given.mode, given.device, given.small, given.trace),
    }
    parts[given.part]()


if __name__ == "__main__":
    main()
