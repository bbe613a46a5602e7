"""Real Ray: runs of two workers that lose a worker or the curriculum's actor, resume, shrink and stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from ray.util.state import list_actors
from safetensors.torch import load_file

from hrm_rl import checkpoint
from hrm_rl.config import (
    Config,
    CurriculumConfig,
    DataConfig,
    EnvConfig,
    HaltingConfig,
    ModelConfig,
    TrainConfig,
)
from hrm_rl.distributed.resources import Machine, Plan, make_plan
from hrm_rl.distributed.train import train_with_ray
from hrm_rl.errors import UserError
from hrm_rl.telemetry import read_metrics
from hrm_rl.training import Outcome

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


def run(folder: Path, plan: Plan = TWO, config: Config = CONFIG) -> tuple[Outcome, list[str]]:
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
    actors = list_actors(filters=[("state", "=", "ALIVE")], detail=True, limit=1000)
    return [{"pid": a.pid, "name": a.name} for a in actors if class_name in a.class_name]


def final_weights(folder: Path) -> dict[str, object]:
    path = checkpoint.checkpoints(folder / "checkpoints")[0]
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
    assert len(checkpoint.checkpoints(undisturbed / "checkpoints")) in (2, 3)
    newest = checkpoint.checkpoints(undisturbed / "checkpoints")[0]
    assert {"rank-0000.safetensors", "rank-0001.safetensors"} <= {p.name for p in newest.iterdir()}
    by_update = dict(stages(undisturbed))
    # The interval that completes 100 updates graduates; its answer is acted upon one interval later.
    assert [by_update[u] for u in (100, 110, 200, 210, 240)] == [0, 1, 1, 2, 2]


def test_a_worker_killed_in_mid_run_changes_neither_the_stages_nor_a_single_weight(
    undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    killed: list[int] = []

    def kill() -> None:
        pid = int(str(alive("RayTrainWorker")[-1]["pid"]))
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    watcher = when_update(folder, 130, kill)
    outcome, said = run(folder)
    watcher.join(5)
    assert killed, "the run was over before a worker could be killed"
    assert any(line.startswith("resuming from update ") for line in said), said
    assert (outcome.update, outcome.finished, outcome.stage) == (240, True, 2)
    assert stages(folder) == stages(undisturbed)
    assert final_weights(folder) == final_weights(undisturbed)


def test_a_killed_curriculum_actor_changes_neither_the_stages_nor_a_single_weight(
    undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    killed: list[object] = []

    def kill() -> None:
        (actor,) = alive("CurriculumActor")
        ray.kill(ray.get_actor(str(actor["name"])), no_restart=False)
        killed.append(actor)

    watcher = when_update(folder, 150, kill)
    outcome, said = run(folder)
    watcher.join(5)
    assert killed, "the run was over before the actor could be killed"
    assert not any(line.startswith("resuming") for line in said), "the workers were not to be disturbed"
    assert (outcome.update, outcome.finished, outcome.stage) == (240, True, 2)
    assert stages(folder) == stages(undisturbed)
    assert final_weights(folder) == final_weights(undisturbed)


def test_ctrl_c_ends_with_a_checkpoint_that_another_number_of_workers_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
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
