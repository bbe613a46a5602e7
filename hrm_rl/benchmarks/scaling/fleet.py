"""What many workers would give, beyond the cores of this machine.

Measured here: an update of one worker, the bytes of its gradients, and how long two processes take to add up
messages of several sizes. From these the latency a and the bandwidth b of a message. Modelled: n workers,
each with the same slots, in a ring, as NCCL and gloo add up large messages: 2 (n - 1) steps of 1/n of the
bytes each,

    2 (n - 1) (a + bytes / (n b)),

after the backward pass, nothing of it hidden behind that. Waiting for the slowest is not in it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from hrm_rl.agents.build import build_learner
from hrm_rl.benchmarks.measure import fastest
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data

WORKERS = (1, 2, 4, 8, 16, 32, 64)
MESSAGES = (1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 24)
"""Bytes."""
TIMES = 20


def time_fleet(config: Config, workers: Sequence[int] = WORKERS) -> dict[str, Any]:
    """Segments a second of so many workers over those of one, modelled; and what it is modelled from."""
    data = build_data(config)
    device = torch.device("cpu")
    learner = build_learner(config, data, device, rank=0, world_size=1)
    learner.start()
    update_s = fastest({"update": learner.update}, 3, device)["update"]
    data.source.close()
    size = 4 * sum(p.numel() for p in learner.model.parameters() if p.requires_grad)
    seconds = time_messages()
    latency, bandwidth = line_of(list(seconds), list(seconds.values()))
    rows = [
        {
            "workers": n,
            "reduce_ms": 1000 * reduce_seconds(n, size, latency, bandwidth),
            "segments_per_s_over_one": n
            * update_s
            / (update_s + reduce_seconds(n, size, latency, bandwidth)),
        }
        for n in workers
    ]
    return {
        "measured": {
            "update_ms": 1000 * update_s,
            "gradient_mb": size / 1e6,
            "latency_ms": 1000 * latency,
            "mb_per_s": bandwidth / 1e6,
        },
        "modelled": rows,
    }


def reduce_seconds(workers: int, size: int, latency: float, bandwidth: float) -> float:
    """Seconds that a ring takes to add up so many bytes."""
    return 2 * (workers - 1) * (latency + size / workers / bandwidth)


def line_of(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """Latency in seconds and bandwidth in bytes a second of one step, of the times that two workers took for
    messages of these sizes: each was two steps of half of the bytes. Relative errors count alike."""
    x, y = np.array(sizes, float), np.array(seconds)
    table = np.stack([np.full_like(x, 2.0), x], axis=1) / y[:, None]
    latency, per_byte = np.linalg.lstsq(table, np.ones_like(y), rcond=None)[0]
    return max(float(latency), 0.0), 1 / max(float(per_byte), 1e-15)


def time_messages(sizes: Sequence[int] = MESSAGES) -> dict[int, float]:
    """Seconds that two processes of this machine take to add up a message (gloo), the median, by bytes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seconds"
        multiprocessing.spawn(_add_up, (f"file://{folder}/meet", str(file), tuple(sizes)), nprocs=2)
        return dict(zip(sizes, np.loadtxt(file).tolist(), strict=True))


def _add_up(rank: int, meet: str, file: str, sizes: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    found = []
    for size in sizes:
        message, taken = torch.zeros(size // 4), []
        for _ in range(TIMES):
            dist.barrier()
            started = time.perf_counter()
            dist.all_reduce(message)
            taken.append(time.perf_counter() - started)
        found.append(float(np.median(taken[1:])))
    if rank == 0:
        np.savetxt(file, found)
    dist.destroy_process_group()
