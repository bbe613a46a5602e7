"""Real Ray: sweeps that stop trials early, are interrupted, resumed, perturbed or
nested; a trial that fails."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.util.state import list_actors, list_placement_groups

from hrm_rl.distributed.sweep import Spent, run_sweep
from hrm_rl.distributed.trial import TrialPlan
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.folder import read_metrics
from hrm_rl.sweeps.checks import build_space
from hrm_rl.sweeps.plan import plan_resources
from hrm_rl.sweeps.results.folder import SweepFolder
from hrm_rl.sweeps.results.reading import read_sweep
from hrm_rl.sweeps.results.records import Book, TrialRecord, write_sweep
from hrm_rl.sweeps.search import number_of_trials
from hrm_rl.training.resources import Machine
from tests.helpers.small_sweeps import content

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cluster"),
]

RAYS_OWN = "_AutoscalingCoordinatorActor"
"""The one actor that Ray Train starts for the whole cluster and keeps."""


@pytest.fixture(autouse=True)
def _hear_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shell that starts pytest in the background has it ignore Ctrl-C. Ray Train takes a report of a worker
    no more often than every two seconds, unless told otherwise."""
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def sweep(
    folder: Path,
    concurrent: int | None = 2,
    workers: int = 1,
    cpus: float | None = None,
    show: Callable[[], None] = lambda: None,
    **changes: Any,
) -> tuple[Spent, dict[str, TrialRecord]]:
    """Run a small sweep, or resume it if it has begun."""
    made = content(**changes)
    space = build_space(made, "small.yaml")
    trials = number_of_trials(space, None)
    machine = Machine("the test cluster", 4, 0)
    resources = plan_resources(workers, cpus, None, concurrent, machine, space, "python x")
    write_sweep(folder, made, "small.yaml", space, 0, trials)
    book = Book.open(folder)
    plan = TrialPlan(book.folder, space, resources.group, resources.cpus, resources.gpus)
    spent = run_sweep(plan, book, 0, trials, resources.concurrent, show, say=lambda line: None)
    return spent, book.records


def address() -> str:
    """Of the test cluster; there may be others on this machine."""
    return str(ray.get_runtime_context().gcs_address)


def living_actors() -> list[Any]:
    return list_actors(address=address(), filters=[("state", "=", "ALIVE")], detail=True, limit=1000)


@dataclass(frozen=True)
class Held:
    """What of the cluster is taken."""

    cpus: float
    actors: frozenset[str]
    placement_groups: frozenset[str]

    @staticmethod
    def now() -> Held:
        total, free = ray.cluster_resources(), ray.available_resources()
        groups = [g for g in list_placement_groups(address=address(), limit=1000) if g.state != "REMOVED"]
        actors = [actor for actor in living_actors() if actor.class_name != RAYS_OWN]
        return Held(
            total["CPU"] - free.get("CPU", 0.0),
            frozenset(actor.actor_id for actor in actors),
            frozenset(group.placement_group_id for group in groups),
        )


@pytest.fixture
def held_before() -> Held:
    """What other tests, which share the cluster, have left."""
    return Held.now()


def everything_is_given_back(before: Held, seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        now = Held.now()
        if (
            now.cpus <= before.cpus
            and now.actors <= before.actors
            and now.placement_groups <= before.placement_groups
        ):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def interrupt_when(condition: Callable[[], bool]) -> Callable[[], None]:
    """Something to call again and again: sends this process Ctrl-C once the condition holds."""
    done: list[bool] = []

    def look() -> None:
        if not done and condition():
            done.append(True)
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    return look


def test_a_sweep_stops_the_worse_trials_and_after_an_interrupt_goes_on_without_touching_those_that_are_over(
    tmp_path: Path, held_before: Held
) -> None:
    asha = {
        "scheduler": {"name": "asha", "grace_period": 80, "reduction_factor": 2},
        "searcher": {"name": "grid"},
        "budget": {"max_updates": 120},
        "set": {"train.eval_every": 10, "optim.ema_decay": 0.0, "optim.warmup_updates": 0},
        "space": {"optim.lr": {"dist": "grid", "values": [1e-2, 9e-3, 1e-9]}},  # the last one learns nothing
    }

    def over() -> list[str]:
        return [t.id for t in read_sweep(tmp_path).trials if t.status in ("stopped", "finished")]

    def some_over_and_some_running() -> bool:
        trials = read_sweep(tmp_path).trials
        return bool(over()) and any(t.status == "running" and t.updates >= 10 for t in trials)

    spent, records = sweep(tmp_path, concurrent=1, show=interrupt_when(some_over_and_some_running), **asha)
    assert not spent.complete
    assert records["t0000"].status == "finished"
    assert "paused" in {r.status for r in records.values()}
    assert not SweepFolder(tmp_path).stop_request.exists()
    ended = {id: contents(tmp_path / "trials" / id) for id in over()}
    halfway = {id: r.updates for id, r in records.items() if r.status == "paused" and r.updates}

    spent, records = sweep(tmp_path, concurrent=1, **asha)
    assert spent.complete
    assert 0 < spent.share <= 1
    assert len(records) == 3
    assert {id: contents(tmp_path / "trials" / id) for id in ended} == ended
    for id, update in halfway.items():
        said = (tmp_path / "trials" / id / "console.log").read_text()
        assert f"resuming from update {update}" in said
        assert records[id].updates > update
    assert (records["t0002"].status, records["t0002"].updates) == ("stopped", 80)
    assert everything_is_given_back(held_before)


def test_a_trial_that_fails_is_retried_then_marked_and_the_others_finish(
    tmp_path: Path, held_before: Held
) -> None:
    """A network whose learning rate blows it up is the user's affair and not retried; a trial whose process
    is killed resumes from its last checkpoint."""
    killed: list[int] = []

    def kill_one() -> None:
        running = [t for t in read_sweep(tmp_path).trials if t.status == "running" and t.updates >= 20]
        actors = [
            a for a in living_actors() if a.class_name != RAYS_OWN and a.actor_id not in held_before.actors
        ]
        if not killed and running and actors:
            os.kill(actors[0].pid, signal.SIGKILL)
            killed.append(actors[0].pid)

    spent, records = sweep(
        tmp_path,
        concurrent=1,
        show=kill_one,
        searcher={"name": "grid"},
        budget={"max_updates": 160},
        set={"train.eval_every": 20, "optim.grad_clip": 0.0, "optim.max_skipped_updates": 2},
        space={"optim.lr": {"dist": "grid", "values": [1e-3, 1e30]}},
    )
    assert killed
    assert spent.complete
    good, bad = records["t0000"], records["t0001"]
    assert (good.status, good.updates, good.attempts, good.error) == ("finished", 160, 2, None)
    assert (bad.status, bad.attempts) == ("failed", 1)
    assert "updates in a row" in str(bad.error)
    assert "\n" not in str(bad.error)


def test_population_based_training_goes_on_from_better_trials_with_changed_settings(tmp_path: Path) -> None:
    """A trial takes the whole cluster here, so that the two take turns: who meets whom is certain."""
    spent, records = sweep(
        tmp_path,
        concurrent=None,
        cpus=4.0,
        scheduler={"name": "pbt", "perturbation_interval": 8, "quantile_fraction": 0.5},
        budget={"max_updates": 32, "num_samples": 2},
        set={"train.eval_every": 8},
        space={
            "optim.lr": {"dist": "loguniform", "lower": 1e-6, "upper": 1e-2},
            "model.h_cycles": {"dist": "randint", "lower": 1, "upper": 3},
        },
    )
    assert spent.complete
    assert {r.status for r in records.values()} == {"finished"}
    exploited = [r for r in records.values() if r.source]
    assert exploited, "nobody resumed from another trial"
    for record in exploited:
        assert record.source != record.id
        assert record.history[0].update == 0
        assert record.history[-1].params == record.params != record.history[0].params
        folder = tmp_path / "trials" / record.id
        config = checkpoint.read_state(selection.checkpoints(folder / "checkpoints")[0]).config
        assert config.optim.lr == record.params["optim.lr"]
        assert config.model.h_cycles == record.params["model.h_cycles"]
        updates = [r["update"] for r in read_metrics(folder / "metrics.jsonl")]
        assert updates == sorted(updates)
        assert "another trial's checkpoint" in (folder / "console.log").read_text()


def test_nested_trials_that_are_stopped_early_leave_nothing_behind(tmp_path: Path, held_before: Held) -> None:
    folder = tmp_path / "Süß 1"  # Ray's own names are ASCII
    spent, records = sweep(
        folder,
        workers=2,
        concurrent=1,
        budget={"max_updates": 4000, "num_samples": 1},
        stop={"reached": 0.05},
    )
    assert spent.complete
    assert 0 < records["t0000"].updates < 4000
    ranks = json.loads((_newest(folder / "trials" / "t0000") / "state.json").read_text())["world_size"]
    assert ranks == 2
    assert everything_is_given_back(held_before)


def _newest(trial: Path) -> Path:
    return selection.checkpoints(trial / "checkpoints")[0]
