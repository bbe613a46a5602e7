"""One Ray cluster, with logical CPUs enough for every test, shared by all tests that need a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import ray


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's own is 15: its workers would starve beside the other tests.
    os.environ.setdefault("RAY_worker_niceness", "0")
    ray.init(num_cpus=4, num_gpus=0, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
