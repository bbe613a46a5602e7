"""Real Ray: runs of two workers that lose a worker or the curriculum's actor, resume, shrink and stop; and
every model, gradient, Q-target and optimiser with two workers.

In one file, so that under several processes (`-n`) they share one cluster.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.train
import torch
from ray.train.torch import TorchTrainer
from ray.train.v2.api.config import RunConfig, ScalingConfig
from ray.util.state import list_actors
from safetensors.torch import load_file

from hrm_rl.config import (
    Config,
    CurriculumConfig,
    DataConfig,
    EnvConfig,
    HaltingConfig,
    ModelConfig,
    TrainConfig,
)
from hrm_rl.data.curriculum import Curriculum, LocalCurriculum
from hrm_rl.distributed.train import train_with_ray
from hrm_rl.runs import selection
from hrm_rl.runs.folder import RunFolder, read_metrics
from hrm_rl.runs.selection import latest_sound
from hrm_rl.training.loop import Trainer
from hrm_rl.training.resources import Machine, Plan, make_plan
from hrm_rl.training.worker import RunOutcome
from hrm_rl.utils.devices import use_threads
from hrm_rl.utils.errors import UserError
from tests.helpers import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

# Graduates by itself every 100 updates; a checkpoint every 40.
CONFIG = Config(
    preset="sudoku4-quick",
    env=EnvConfig(size=4),
    data=DataConfig(eval_puzzles=16),
    model=ModelConfig(
        hidden_size=16, num_heads=2, h_layers=1, l_layers=1, swiglu_multiple=16, puzzle_emb_ndim=16
    ),
    halting=HaltingConfig(halt_max_steps=4),
    train=TrainConfig(
        global_batch_size=8, max_updates=240, log_every=10, eval_every=120, checkpoint_every=40, device="cpu"
    ),
    curriculum=CurriculumConfig(
        stages=("easy=1", "easy=1,medium=1", "hard=1"),
        threshold=0.0,
        window=50,
        min_updates=100,
        min_episodes=1,
    ),
)


@pytest.fixture(autouse=True)
def _hear_ctrl_c() -> Iterator[None]:
    """A shell that starts pytest in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


TWO = make_plan("2", 1, 0, Machine("the test cluster", 4, 0))


def run(folder: Path, plan: Plan = TWO, config: Config = CONFIG) -> tuple[RunOutcome, list[str]]:
    folder.mkdir(exist_ok=True)
    said: list[str] = []
    return train_with_ray(config, folder, plan, say=said.append), said


def when_update(folder: Path, update: int, act: Callable[[], None]) -> threading.Thread:
    """Do something, once, when the run has logged this update."""

    def watch() -> None:
        metrics = folder / "metrics.jsonl"
        while not metrics.exists() or not any(r["update"] >= update for r in read_metrics(metrics)):
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def alive(class_name: str) -> list[dict[str, object]]:
    actors = list_actors(
        address=ray.get_runtime_context().gcs_address,
        filters=[("state", "=", "ALIVE")],
        detail=True,
        limit=1000,
    )
    return [{"pid": a.pid, "name": a.name} for a in actors if class_name in a.class_name]


def final_weights(folder: Path) -> dict[str, object]:
    path = selection.checkpoints(folder / "checkpoints")[0]
    assert path.name == f"update-{CONFIG.train.max_updates:08d}"
    return {k: v.tolist() for k, v in load_file(path / "model.safetensors").items()}


def stages(folder: Path) -> list[tuple[int, float]]:
    records = read_metrics(folder / "metrics.jsonl")
    return [(r["update"], r["curriculum/stage"]) for r in records if "curriculum/stage" in r]


@pytest.fixture(scope="module")
def undisturbed(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    outcome, _ = run(folder)
    assert (outcome.update, outcome.finished, outcome.stage) == (240, True, 2)
    return folder


def test_two_workers_write_all_of_a_run_and_graduate_together(undisturbed: Path) -> None:
    names = {p.name for p in undisturbed.iterdir()}
    assert {"metrics.jsonl", "tensorboard", "checkpoints", "console.log"} <= names
    assert len(selection.checkpoints(undisturbed / "checkpoints")) in (2, 3)
    newest = selection.checkpoints(undisturbed / "checkpoints")[0]
    assert {"rank-0000.safetensors", "rank-0001.safetensors"} <= {p.name for p in newest.iterdir()}
    by_update = dict(stages(undisturbed))
    # The interval that completes 100 updates graduates; its answer is acted upon one interval later.
    assert [by_update[u] for u in (100, 110, 200, 210, 240)] == [0, 1, 1, 2, 2]


def test_a_killed_curriculum_actor_and_a_killed_worker_change_neither_the_stages_nor_a_single_weight(
    undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    killed: list[object] = []

    def kill_actor() -> None:
        (actor,) = alive("CurriculumActor")
        ray.kill(ray.get_actor(str(actor["name"])), no_restart=False)
        killed.append(actor)

    def kill_worker() -> None:
        said = RunFolder(folder).console.read_text()
        assert "resuming" not in said, "the actor's death disturbed the workers"
        pid = int(str(alive("RayTrainWorker")[-1]["pid"]))
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    watchers = [when_update(folder, 70, kill_actor), when_update(folder, 150, kill_worker)]
    outcome, said = run(folder)
    for watcher in watchers:
        watcher.join(5)
    assert len(killed) == 2, "the run was over before both could be killed"
    assert any(line.startswith("resuming from update ") for line in said), said
    assert (outcome.update, outcome.finished, outcome.stage) == (240, True, 2)
    assert stages(folder) == stages(undisturbed)
    assert final_weights(folder) == final_weights(undisturbed)


def test_ctrl_c_ends_with_a_checkpoint_that_another_number_of_workers_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "Läufe 1 ß"  # Ray's own names are ASCII
    watcher = when_update(folder, 110, lambda: os.kill(os.getpid(), signal.SIGINT))
    outcome, said = run(folder)
    watcher.join(5)
    assert any(line.startswith("stopping with a checkpoint") for line in said), said
    assert not outcome.finished
    assert 110 <= outcome.update < 240
    one_or_two = make_plan(
        "1:2", 4, 0, Machine("the test cluster", 4, 0)
    )  # elastic, but there is room for one
    outcome, said = run(folder, one_or_two)
    assert any(line.startswith("2 -> 1 workers") for line in said), said
    assert (outcome.update, outcome.finished, outcome.stage) == (240, True, 2)


def test_a_run_that_cannot_learn_ends_in_one_line_without_restarts(tmp_path: Path) -> None:
    hopeless = CONFIG.model_copy(
        update={
            "optim": CONFIG.optim.model_copy(update={"lr": 1e30, "grad_clip": 0.0, "max_skipped_updates": 3})
        }
    )
    with pytest.raises(UserError, match=r"3 updates in a row .* lower --optim\.lr") as error:
        run(tmp_path / "run", config=hopeless)
    assert "\n" not in str(error.value)


VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "hrm-last_cycle-delayed": {"model": {"gradient": "last_cycle"}, "halting": {"q_target": "delayed"}},
    "hrm-full-cls": {"model": {"gradient": "full", "prefix": "cls", "num_kv_heads": 1, "dropout": 0.2}},
    "hrm-lambda": {
        "halting": {"q_target": "lambda", "rollout_segments": 3, "q_lambda": 0.5},
        "env": {"segment_cost": 0.1},
    },
    "trm-halt_only": {
        "model": {"name": "trm", "puzzle_emb_ndim": 16, "puzzle_emb_len": 2},
        "halting": {"q_target": "halt_only"}, "optim": {"name": "adam_atan2"}, "train": {"loss": "stablemax"},
    },
    "trm-mlp-bfloat16": {
        "model": {"name": "trm", "mixer": "mlp", "pos_encodings": "none", "dtype": "bfloat16"},
        "train": {"loss": "stablemax", "micro_batches": 2},
    },
    "transformer-axial-muon": {
        "model": {
            "name": "transformer",
            "pos_encodings": "axial",
            "hidden_size": 32,
            "checkpoint_activations": True,
        },
        "optim": {"name": "muon"},
    },
    "transformer-search": {
        "model": {"name": "transformer", "h_cycles": 1},
        "halting": {"q_target": "lambda", "rollout_segments": 2, "discount": 0.9},
        "search": {"share": 0.5, "budget": 5, "assume_every": 1, "teacher_updates": 3},
    },
    "hrm-learned-frozen": {
        "model": {"pos_encodings": "learned", "puzzle_emb_ndim": 16},
        "optim": {"freeze": "all_but_puzzle_emb"},
    },
}  # fmt: skip


def variant(name: str, max_updates: int) -> Config:
    sections = VARIANTS[name]
    train = {"max_updates": max_updates, "log_every": 2, "eval_every": 4, "checkpoint_every": 4}
    return tiny.tiny_config(**{**sections, "train": {**train, **sections.get("train", {})}})


class TwoOfThem:
    """`hrm_rl.training.loop.Worker` in a Ray Train worker; with one stage there is no curriculum to share."""

    def __init__(self, config: Config, run_dir: Path):
        context = ray.train.get_context()
        self.rank, self.world_size = context.get_world_rank(), context.get_world_size()
        self.device, self.run_dir = torch.device("cpu"), run_dir
        self.curriculum: Curriculum = LocalCurriculum(config.curriculum, config.train.log_every)

    def say(self, line: str) -> None: ...
    def evaluated(self, found: object) -> None: ...
    def stop_requested(self) -> bool:
        return False

    is_hurried = stop_requested


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """All variants one after the other: 4 updates, then 2 more by a new trainer."""
    use_threads(1)
    ends: dict[str, Any] = {}
    for name in VARIANTS:
        run_dir = Path(settings["folder"]) / name
        for max_updates in (4, 6):
            config = variant(name, max_updates)
            trainer = Trainer(config, TwoOfThem(config, run_dir))
            began = trainer.learner.updates
            outcome = trainer.run()
            skipped = trainer.learner.optimisation.skipped_in_a_row
            ends[f"{name} {max_updates}"] = [began, outcome.update, skipped]
        weights = torch.cat([p.detach().flatten() for p in trainer.learner.model.parameters()])
        both = [torch.empty_like(weights) for _ in range(2)]
        torch.distributed.all_gather(both, weights)
        ends[f"{name} agree"] = bool(torch.equal(*both))
    return ends


def test_all_variants_train_under_ray_with_two_workers_and_resume(tmp_path: Path) -> None:
    for module in (sys.modules[__name__], tiny):  # which the workers cannot import
        ray.cloudpickle.register_pickle_by_value(module)
    trainer = TorchTrainer(
        work,  # type: ignore[arg-type]
        train_loop_config={"folder": str(tmp_path)},
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(name="variants", storage_path=str(tmp_path / "ray")),  # type: ignore[arg-type]
    )
    ends = trainer.fit().return_value
    for name in VARIANTS:
        assert ends[f"{name} 4"] == [0, 4, 0], name
        assert ends[f"{name} 6"] == [4, 6, 0], name
        assert ends[f"{name} agree"], name
        path = latest_sound(tmp_path / name / "checkpoints", print)
        assert path is not None
        assert json.loads((path / "state.json").read_text())["world_size"] == 2
