"""On a GPU, where there is one: the same numbers as on the CPU, runs that resume bit for bit, few waits.

Nothing here needs more than a few hundred MB of it; without one, all is skipped.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from envs import make_task
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.build import build_learner
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.models.tracing import trace
from tests.helpers.learners import assert_resumes, run
from tests.helpers.small_models import SLOTS, assert_close, batch, gradients, objective, small
from tests.helpers.tiny import (
    assert_same,
    learner_tensors,
    make_decisive,
    puzzles,
    solver_of,
    tiny_config,
    tiny_learner,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CUDA = torch.device("cuda", 0)
NETWORKS = {
    "hrm": {},
    "hrm, learned positions, puzzle rows": {"pos_encodings": "learned", "puzzle_emb_ndim": 16},
    "hrm, shared keys, causal": {"num_kv_heads": 1, "causal": True},
    "trm, mlp": {"name": "trm", "mixer": "mlp", "pos_encodings": "none"},
    "trm": {"name": "trm"},
    "transformer, axial": {"name": "transformer", "pos_encodings": "axial", "num_heads": 2},
}


def on_gpu(**sections: dict[str, object]) -> Config:
    return tiny_config(**{**sections, "train": {"device": "cuda"} | sections.get("train", {})})


def gpu_learner(config: Config) -> Learner:
    learner = build_learner(config, build_data(config), CUDA, rank=0, world_size=1)
    make_decisive(learner.model)
    learner.start()
    return learner


def thought_and_gradients(model: RecurrentModel) -> dict[str, torch.Tensor]:
    device = model.l_init.device
    tokens, identifier = (t.to(device) for t in batch())
    carry = model.initial_carry(SLOTS)
    for _ in range(2):
        carry, logits, q = model(carry, tokens, identifier)
    objective(logits, q).backward()
    seen = gradients(model) | {"z_h": carry.z_h, "logits": logits.detach(), "q": q.detach()}
    return {name: value.float().cpu() for name, value in seen.items()}


@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
def test_every_network_computes_what_it_does_on_the_cpu(settings: dict[str, object]) -> None:
    assert_close(
        thought_and_gradients(small(**settings).to(CUDA)),
        thought_and_gradients(small(**settings)),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("q_target", ["bootstrap", "delayed", "halt_only", "lambda"])
def test_updates_end_with_the_weights_that_they_end_with_on_the_cpu(q_target: str) -> None:
    sections = {
        "halting": {"q_target": q_target, "rollout_segments": 2 if q_target == "lambda" else 1},
        "optim": {"lr": 1e-3},
    }
    ours = gpu_learner(on_gpu(**sections))
    theirs = tiny_learner(tiny_config(**sections))
    make_decisive(theirs.model)
    run(ours, 5)
    run(theirs, 5)
    for name, value in theirs.model.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name].cpu(), value, rtol=1e-3, atol=1e-4, msg=name)
    assert ours.tally.halted_after.tolist() == theirs.tally.halted_after.tolist()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["adamw", "adam_atan2", "muon"])
def test_a_stopped_run_resumes_bit_for_bit(dtype: str, name: str, tmp_path: Path) -> None:
    assert_resumes(
        on_gpu(
            model={
                "dtype": dtype,
                "puzzle_emb_ndim": 16,
                "dropout": 0.1,
                "init_std": 1.0,
                "state_noise": 0.1,
            },
            optim={"name": name},
            train={"max_updates": 8, "log_every": 1, "eval_every": 4, "checkpoint_every": 4},
        ),
        tmp_path,
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_compiled_updates_train_alike(dtype: str) -> None:
    torch._dynamo.reset()
    sections = {"model": {"dtype": dtype, "h_layers": 2}}
    plain = gpu_learner(on_gpu(**sections))
    learner = gpu_learner(on_gpu(**sections, train={"compile": "on"}))
    assert learner.not_compiled == ""
    run(plain, 5)
    run(learner, 5)
    limit = 1e-3 if dtype == "float32" else 5e-2
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(learner.model.state_dict()[name], value, rtol=limit, atol=limit, msg=name)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("q_target", ["bootstrap", "delayed"])
@pytest.mark.parametrize("name", ["hrm", "transformer"])
def test_recorded_segments_train_and_judge_as_those_that_are_not(
    dtype: str, q_target: str, name: str
) -> None:
    sections = {
        "model": {"dtype": dtype, "name": name, "puzzle_emb_ndim": 16},
        "halting": {"q_target": q_target},
        "optim": {"ema_decay": 0.5},
    }
    held_out, found = puzzles(12), []
    for graphs in (False, True):
        learner = gpu_learner(on_gpu(**sections, train={"cuda_graphs": graphs, "compile": "off"}))
        judged = []
        for _ in range(8):
            learner.update()
            with learner.evaluation_weights():
                result = evaluate(solver_of(learner), held_out, Stopping(3), batch_size=4)
            judged.append(result.sums(len(learner.env.task.levels)))
        found.append((learner, np.stack(judged)))
    (plain, seen), (recorded, seen_recorded) = found
    kinds = [kind[:2] for kind in recorded.model.recorded._recorded]
    assert (True, True) in kinds
    assert (False, False) in kinds
    assert plain.model.recorded is None
    assert_same(learner_tensors(recorded), learner_tensors(plain))
    np.testing.assert_array_equal(seen_recorded, seen)


def test_a_watched_network_is_not_replayed() -> None:
    sections = {"halting": {"q_target": "halt_only"}, "model": {"h_layers": 2}}
    learner = run(gpu_learner(on_gpu(**sections, train={"cuda_graphs": True})), 5)
    assert learner.model.recorded._recorded
    tokens = torch.from_numpy(learner.slots.puzzle).to(CUDA).long()
    identifier = torch.zeros(len(tokens), dtype=torch.int64, device=CUDA)
    with torch.no_grad():
        for _ in range(6):
            learner.model(learner.slots.carry, tokens, identifier)
        with trace(learner.model, attention=1) as seen:
            learner.model(learner.slots.carry, tokens, identifier)
    assert len(seen.updates) == 6
    assert [len(update.attention) for update in seen.updates] == [1, 1, 2, 1, 1, 2]


@pytest.mark.parametrize("halting", ["adaptive", "fixed"])
def test_an_evaluation_finds_what_it_finds_on_the_cpu(halting: str) -> None:
    task, held_out = make_task("sudoku", size=4), puzzles(50)
    learner = tiny_learner(tiny_config())
    make_decisive(learner.model)
    found = []
    for device in (torch.device("cpu"), CUDA):
        learner.model.to(device)
        result = evaluate(solver_of(learner), held_out, Stopping(5, halting), batch_size=16)
        found.append(result.sums(len(task.levels)))
    np.testing.assert_allclose(found[0], found[1])


def test_an_update_waits_for_the_gpu_at_the_answers_and_at_the_gradient_norm_only() -> None:
    """Each wait stops the CPU from handing out work ahead of the GPU."""
    learner = run(gpu_learner(on_gpu(halting={"q_target": "bootstrap"})), 3)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            run(learner, 4)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    places = [f"{Path(w.filename).name}:{w.lineno}" for w in waits if "synchroniz" in str(w.message)]
    # Waiting for the answers is an event's, which torch does not count.
    assert len(places) <= 4, places


def test_a_carry_on_the_gpu_replaces_rows_there() -> None:
    z = torch.zeros(3, 2, 4, device=CUDA)
    carry = Carry(z, z).replace_rows(torch.tensor([True, False, True], device=CUDA), Carry(z + 1, z + 1))
    assert carry.z_h[:, 0, 0].tolist() == [1, 0, 1]
