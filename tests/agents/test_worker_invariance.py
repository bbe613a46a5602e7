"""Two workers with half of the slots each learn what one worker with all of them learns.

Two real processes talk over gloo; each holds its part of the same puzzles, and what they did is compared with
one learner in this process.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from envs import ActVectorEnv, PuzzleBatch, make_task
from hrm_rl.agents.act import learner as learner_module
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.slots import slots_of_rank
from hrm_rl.agents.tally import SUMS, sum_over_ranks
from hrm_rl.config import Config
from hrm_rl.data.curriculum import CurriculumState
from hrm_rl.models import build_model
from hrm_rl.runs import checkpoint
from hrm_rl.runs.checkpoint import TrainingState, save
from hrm_rl.training.loop import agree_over_ranks
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import CPU, puzzles, tiny_config

WORLD = 2
UPDATES = 3
IDENTIFIERS = 4
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "even": (4, {}),
    "uneven": (5, {}),
    "delayed": (5, {"halting": {"q_target": "delayed"}}),
    "halt_only": (4, {"halting": {"q_target": "halt_only"}}),
    "lambda": (
        5,
        {"halting": {"q_target": "lambda", "rollout_segments": 2, "q_lambda": 0.5, "discount": 0.9}},
    ),
    "detached": (4, {"halting": {"q_detach": True}}),
    "micro-batches": (5, {"train": {"micro_batches": 2}}),
}
"""Slots in all (5 are shared out as 3 + 2), and settings other than `config_of`'s."""


class FixedSource:
    """Gives one batch, once."""

    data_wait_seconds = 0.0

    def __init__(self, batch: PuzzleBatch):
        self.batch = batch

    def draw(self, count: int) -> PuzzleBatch:
        assert count == len(self.batch), "no episode ends in these tests"
        return self.batch

    def state_dict(self) -> dict[str, Any]:
        return {}


def config_of(case: str) -> Config:
    """No exploration and a long budget: fresh Q-values never halt, so no new puzzle is drawn."""
    slots, changes = CASES[case]
    sections: dict[str, dict[str, Any]] = {
        "model": {"puzzle_emb_ndim": 24, "pos_encodings": "learned"},
        "halting": {"halt_max_steps": 8, "halt_exploration_prob": 0.0},
        "optim": {"name": "adam_atan2", "grad_clip": 0.1, "puzzle_emb_lr": 0.1},
        "train": {"global_batch_size": slots, "loss": "stablemax"},
    }
    for name, values in changes.items():
        sections[name] = sections[name] | values
    return tiny_config(**sections)


def all_puzzles(slots: int) -> PuzzleBatch:
    """Puzzles with identifiers that occur on both ranks, twice on one, and on one only; 3 occurs nowhere. One
    solution has unlabelled cells, so that slots differ in how many tokens they average over."""
    batch = puzzles(slots)
    batch.solution[0, :9] = 0
    identifier = np.array([0, 1, 1, 0, 2], np.int64)[:slots]
    return PuzzleBatch(batch.inputs, batch.solution, batch.level, identifier)


def build(case: str, rank: int, world_size: int) -> Learner:
    """The learner of one rank, holding its consecutive part of the puzzles."""
    config, slots = config_of(case), CASES[case][0]
    sizes = [slots_of_rank(slots, r, world_size) for r in range(world_size)]
    start = sum(sizes[:rank])
    part = all_puzzles(slots).take(slice(start, start + sizes[rank]))
    task = make_task("sudoku", size=4)
    env = ActVectorEnv(task, FixedSource(part), len(part), config.halting.halt_max_steps)
    torch.manual_seed(0)
    model = build_model(config.model, task.vocab_size, task.coordinates(), IDENTIFIERS)
    learner = Learner(model, env, config, CPU, rank, world_size)
    learner.start()
    return learner


def watch_gradients(learner: Learner) -> list[dict[str, Tensor]]:
    """The gradients, after clipping, that each update hands to the optimisers."""
    seen: list[dict[str, Tensor]] = []
    step = learner.optimisation.optimizer.step

    def recording() -> None:
        gradients = {name: p.grad.clone() for name, p in learner.model.named_parameters()}
        identifier, rows = learner.optimisation.sign_sgd.gradient()
        gradients["puzzle_emb.identifiers"], gradients["puzzle_emb.rows"] = identifier, rows
        seen.append(gradients)
        step()

    learner.optimisation.optimizer.step = recording
    return seen


def learn(case: str, rank: int, world_size: int) -> dict[str, Any]:
    """Three updates; what they computed."""
    learner = build(case, rank, world_size)
    gradients = watch_gradients(learner)
    for _ in range(UPDATES):
        learner.update()
    learner.counts()
    learner.tally.add(seconds=-learner.tally.sums["seconds"])  # the only sum that may differ
    return {
        "gradients": gradients,
        "weights": {k: v.clone() for k, v in learner.model.state_dict().items()},
        "averaged": learner.optimisation.averaged.average,
        "tally": sum_over_ranks(learner.tally.vector(), CPU),
        "carry": learner.slots.carry.z_h,
    }


def skip_together(rank: int) -> dict[str, Any]:
    """One update in which the loss is not finite on rank 1 alone, and one after it."""
    learner = build("even", rank, WORLD)
    before = {k: v.clone() for k, v in learner.model.state_dict().items()}
    real = learner_module.losses

    def poisoned(logits: Tensor, *rest: Any) -> Any:
        return real(logits * float("nan") if rank == 1 else logits, *rest)

    learner_module.losses = poisoned
    learner.update()
    learner_module.losses = real
    skipped = learner.optimisation.skipped_in_a_row
    unchanged = all(torch.equal(v, before[k]) for k, v in learner.model.state_dict().items())
    learner.update()
    return {
        "skipped": skipped,
        "unchanged": unchanged,
        "skipped after": learner.optimisation.skipped_in_a_row,
        "weights": dict(learner.model.state_dict()),
    }


def save_together(rank: int, folder: Path) -> dict[str, Any]:
    """A checkpoint that rank 1 cannot write its part of, and one that both can."""
    learner = build("even", rank, WORLD)
    agree = agree_over_ranks(WORLD, CPU)

    def state(update: int) -> TrainingState:
        return TrainingState(update, 0, WORLD, 0, CurriculumState(), learner.config, None)

    real = checkpoint.write_atomically

    def failing(path: Path, content: str | bytes) -> None:
        if rank == 1:
            raise OSError(28, "No space left on device")
        real(path, content)

    checkpoint.write_atomically = failing
    refusal = None
    try:
        save(folder, learner, state(1), rank, agree)
    except UserError as error:
        refusal = str(error)
    checkpoint.write_atomically = real
    dist.barrier()  # rank 0 has cleared up
    left = sorted(p.name for p in folder.iterdir())
    dist.barrier()  # nobody saves before both have looked
    path = save(folder, learner, state(2), rank, agree)
    return {"refusal": refusal, "left": left, "files": sorted(p.name for p in path.iterdir())}


def worker(rank: int, port: int, folder: Path) -> None:
    """One process: every case, its results in a file that the test reads."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD)
    (folder / "checkpoints").mkdir(exist_ok=True)
    results: dict[str, Any] = {case: learn(case, rank, WORLD) for case in CASES}
    results["skip"] = skip_together(rank)
    results["save"] = save_together(rank, folder / "checkpoints")
    torch.save(results, folder / f"rank-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(worker, args=(port, folder), nprocs=WORLD)
    return [torch.load(folder / f"rank-{rank}.pt", weights_only=False) for rank in range(WORLD)]


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    """What one worker with all slots finds."""
    torch.set_num_threads(1)
    return {case: learn(case, rank=0, world_size=1) for case in CASES}


pytestmark = pytest.mark.slow  # two processes that import torch


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_two_workers_are_those_of_one_with_all_slots(
    case: str, ranks: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
) -> None:
    expected = alone[case]["gradients"]
    assert len(expected) == UPDATES
    for rank in range(WORLD):
        for found, wanted in zip(ranks[rank][case]["gradients"], expected, strict=True):
            assert_close(found, wanted)


@pytest.mark.parametrize("case", CASES)
def test_puzzle_embedding_rows_of_both_workers_are_summed(
    case: str, ranks: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
) -> None:
    expected = [0, 1] if CASES[case][0] == 4 else [0, 1, 2]
    for results in (*ranks, alone):
        first = results[case]["gradients"][0]
        assert first["puzzle_emb.identifiers"].tolist() == expected
        assert first["puzzle_emb.rows"].abs().sum(-1).min() > 0
        table = results[case]["weights"]["puzzle_emb.weight"]
        assert (table.abs().sum(-1) > 0).tolist() == [i in expected for i in range(IDENTIFIERS)]


@pytest.mark.parametrize("case", CASES)
def test_both_workers_end_with_the_same_weights_bit_for_bit_and_close_to_those_of_one(
    case: str, ranks: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
) -> None:
    for kind in ("weights", "averaged"):
        first, second, one = ranks[0][case][kind], ranks[1][case][kind], alone[case][kind]
        for name, value in first.items():
            assert torch.equal(value, second[name]), name
        # atan2 makes a full step even of a gradient that is only rounding: compare on the scale of a step.
        for name, value in first.items():
            torch.testing.assert_close(value, one[name], rtol=0, atol=1e-4)
    carries = torch.cat([ranks[rank][case]["carry"] for rank in range(WORLD)])
    torch.testing.assert_close(carries, alone[case]["carry"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_counts_of_two_workers_add_up_to_those_of_one(
    case: str, ranks: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
) -> None:
    found, expected = ranks[0][case]["tally"], alone[case]["tally"].copy()
    names = list(SUMS)
    for per_worker in ("updates", "grad_norm"):  # every worker counts these
        expected[names.index(per_worker)] *= WORLD
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_array_equal(found, ranks[1][case]["tally"])
    segments = UPDATES * config_of(case).halting.rollout_segments
    assert expected[names.index("slots")] == segments * CASES[case][0]


def test_a_loss_that_is_not_finite_on_one_worker_is_skipped_by_both(ranks: list[dict[str, Any]]) -> None:
    for found in (ranks[0]["skip"], ranks[1]["skip"]):
        assert found["skipped"] == 1
        assert found["unchanged"]
        assert found["skipped after"] == 0
    for name, value in ranks[0]["skip"]["weights"].items():
        assert torch.equal(value, ranks[1]["skip"]["weights"][name]), name
        assert value.isfinite().all()


def test_a_checkpoint_that_one_worker_cannot_write_is_given_up_by_both(ranks: list[dict[str, Any]]) -> None:
    first, second = ranks[0]["save"], ranks[1]["save"]
    assert "another worker could not write its part" in first["refusal"]
    assert "No space left on device" in second["refusal"]
    assert first["left"] == second["left"] == []
    assert {"rank-0000.safetensors", "rank-0001.safetensors", "rank-0001.json"} <= set(first["files"])
    assert first["files"] == second["files"]
