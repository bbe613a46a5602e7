"""Bad inputs: devices, workers and clusters."""

from __future__ import annotations

from tests.helpers.bad_inputs.kinds import BadInput, bad


def train(flags: str) -> BadInput:
    return bad(f"train --preset sudoku4-quick {flags}")


MACHINES = (
    train("--num-workers two"),
    train("--num-workers -1"),
    train("--num-workers 1.5"),
    train("--num-workers 4:2"),
    train("--num-workers 0:4"),
    train("--num-workers 2:"),
    train("--num-workers auto"),
    train("--num-workers 16"),
    train("--num-workers 100000 --cpus-per-worker 1"),
    train("--num-workers 2 --cpus-per-worker 0.5"),
    train("--num-workers 2 --cpus-per-worker 12"),
    train("--num-workers 2 --gpus-per-worker 1"),
    train("--num-workers 1 --gpus-per-worker 2"),
    train("--num-workers 1 --gpus-per-worker -1"),
    train("--num-workers 0 --gpus-per-worker 1"),
    train("--num-workers 0 --address auto"),
    train("--num-workers 2 --train.global-batch-size 1"),
    train("--num-workers 2 --train.device cuda"),
    train("--num-workers 2 --train.device mps"),
    train("--num-workers 0 --train.device cuda"),
    train("--num-workers 0 --train.device gpu"),
    train("--num-workers 0 --train.device cuda:1"),
    train("--num-workers 1 --train.device cpu --gpus-per-worker 1"),
    train("--num-workers 0 --cpus-per-worker 20"),
    bad("evaluate --checkpoint runs/r --device cuda"),
    bad("evaluate --checkpoint runs/r --device cuda:0"),
    bad("evaluate --checkpoint runs/r --threads 0"),
    bad("solve --checkpoint runs/r --random easy --device mps"),
    bad("benchmark --only env --threads 0"),
    bad("recipes --processes 0 --report"),
)
