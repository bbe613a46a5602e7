"""What of Ray Train a run goes without, and what Ray's processes know: these fail when a new version of Ray
has moved it, or when a run would wait for an answer that does not come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import ray
from ray.train.v2.api.config import RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from hrm_rl.distributed.cluster import SEEN_WITH
from hrm_rl.distributed.group import CLEANER, COORDINATOR_IN, NOT_NEEDED, GroupConfig, GroupTrainer
from tests.helpers.paths import ROOT

MOVED = f"Ray {ray.__version__} differs from {SEEN_WITH}: mend hrm_rl/distributed/group.py, where"


def callbacks(cleans_up: bool, tmp_path: Path) -> tuple[set[str], set[str]]:
    """The names of those that Ray Train has by itself, and of those that a run has."""
    trainer = GroupTrainer(
        print,
        backend_config=GroupConfig("gloo"),
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(storage_path=str(tmp_path)),
        cleans_up=cleans_up,
    )
    make = getattr(DataParallelTrainer, "_create_default_callbacks", None)
    assert make is not None, f"{MOVED} GroupTrainer overrides what Ray no longer calls"
    names = [
        {type(c).__name__ for c in found} for found in (make(trainer), trainer._create_default_callbacks())
    ]
    return names[0], names[1]


def test_a_run_has_none_of_rays_processes_that_it_does_not_need(tmp_path: Path) -> None:
    by_itself, had = callbacks(False, tmp_path)
    assert {*NOT_NEEDED, CLEANER} <= by_itself, f"{MOVED} the names of callbacks are old"
    assert by_itself - had == {*NOT_NEEDED, CLEANER}
    by_itself, had = callbacks(True, tmp_path)
    assert by_itself - had == set(NOT_NEEDED)


def test_ray_train_still_has_the_actor_that_is_started_early() -> None:
    module = import_module(COORDINATOR_IN)
    assert callable(getattr(module, "get_or_create_autoscaling_coordinator", None)), f"{MOVED} COORDINATOR_IN"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    before = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=before | environment,
        timeout=90,
    )


def test_what_the_controller_and_the_curriculum_import_is_light() -> None:
    done = python("""
import sys, hrm_rl.distributed.group, hrm_rl.distributed.curriculum_actor
print([name for name in ("torch", "numba", "hrm_rl.config") if name in sys.modules])""")
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow
def test_a_question_about_the_cluster_is_answered_where_another_one_left_its_address_behind() -> None:
    code = """
import json, os, time, ray
from ray.util.state import get_actor
from hrm_rl.distributed.cluster import connect, kill_descendants
from hrm_rl.training.resources import Machine

@ray.remote(num_cpus=0)
class Asking:
    def ask(self):
        began = time.monotonic()
        found = get_actor(ray.get_runtime_context().get_actor_id(), timeout=10)
        return found.state, time.monotonic() - began

connect(None, Machine("this machine", 1, 0), False)
answer = ray.get(Asking.remote().ask.remote(), timeout=40)
print(json.dumps([answer, os.environ.get("RAY_ADDRESS")]), flush=True)
kill_descendants()
os._exit(0)"""
    with TemporaryDirectory(dir="/tmp") as short:  # for the names of Ray's sockets
        (Path(short) / "ray").mkdir()
        (Path(short) / "ray/ray_current_cluster").write_text("192.0.2.1:6379")  # as `ray start` does
        done = python(code, RAY_TMPDIR=short)
    assert done.returncode == 0, done.stderr
    (state, seconds), address = json.loads(done.stdout.splitlines()[-1])
    assert state == "ALIVE"
    assert seconds < 8, "the one that asked waited for another cluster"
    assert address is None, "this process is left with the address of what it started"
