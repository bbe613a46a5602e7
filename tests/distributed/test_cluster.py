"""What of Ray is used past its interface is still there: these fail when a new version has moved it."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

import pytest
import ray
from ray.tune.schedulers import MedianStoppingRule

from hrm_rl.distributed.cluster import (
    ENVIRONMENT,
    REPORTS_LOGGED_IN,
    SEEN_WITH,
    STOPPED_TRIALS,
    forget_stopped_trials,
    ray_processes,
    silence_reports,
)

MOVED = f"Ray {ray.__version__} differs from {SEEN_WITH}: mend hrm_rl/distributed/cluster.py, where"


def test_the_private_parts_of_ray_that_are_used_are_still_there() -> None:
    try:
        logger = import_module(REPORTS_LOGGED_IN).logger
    except (ImportError, AttributeError):
        pytest.fail(f"{MOVED} REPORTS_LOGGED_IN names a module without a logger")
    silence_reports()
    assert logger.level == logging.WARNING, f"{MOVED} silence_reports does not find the logger of reports"

    rule = MedianStoppingRule(metric="x", mode="max")
    stopped = getattr(rule, STOPPED_TRIALS, None)
    assert isinstance(stopped, set), f"{MOVED} STOPPED_TRIALS names no set of the median rule's"
    stopped.add("t0000")
    forget_stopped_trials(rule)
    assert not stopped


def test_ray_still_knows_every_variable_that_is_set_for_it() -> None:
    root = Path(ray.__file__).parent
    folders = ("_common", "_private", "air", "train", "tune")
    code = "".join(path.read_text() for folder in folders for path in (root / folder).rglob("*.py"))
    unknown = [name for name in ENVIRONMENT if name not in code]
    assert not unknown, f"{MOVED} ENVIRONMENT sets {', '.join(unknown)}, which nothing reads"


def test_the_processes_that_ray_has_started_are_known(cluster: None) -> None:
    names = {str(process.args) for process in ray_processes()}
    assert any("raylet" in name for name in names), f"{MOVED} ray_processes does not find them"
