"""One Ray cluster, with logical CPUs enough for every test, shared by all tests that need a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import ray

from hrm_rl.distributed.cluster import prepare


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    prepare()
    # Ray's own is 15: its workers would starve while other tests run.
    os.environ.setdefault("RAY_worker_niceness", "0")
    ray.init("local", num_cpus=4, num_gpus=0, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
