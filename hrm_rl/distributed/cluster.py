"""The Ray cluster: joining one or starting one."""

from __future__ import annotations

import logging
import os

import ray
import ray.train

from hrm_rl.training.resources import Machine
from hrm_rl.utils.errors import UserError, one_line


def connect(address: str | None, machine: Machine, verbose: bool) -> Machine:
    """Join the cluster at `address`, or start Ray on this `machine`, and say what there
    is. Raises UserError."""
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        try:
            ray.init(
                address=address or "local",  # never a cluster that happens to run here
                num_cpus=None if address else int(machine.cpus),
                num_gpus=None if address else int(machine.gpus),
                log_to_driver=verbose,
                logging_level=logging.INFO if verbose else logging.ERROR,
                configure_logging=True,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = one_line(error)
            raise UserError(
                f"cannot reach a Ray cluster at {address or 'this machine'}: {reason}; start one with "
                "`ray start --head`, or leave --address out"
            ) from None
    if not address:
        return machine
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in alive)
    return Machine(f"the cluster at {address}", sum(c for c, _ in nodes), sum(g for _, g in nodes), nodes)
