"""Ray Train's workers as one process group of torch, and what of Ray Train a run goes without.

Ray's own TorchTrainer does the same and imports torch where no network is: in the driver, before Ray has
started anything, and in the controller. Knows no torch until a worker joins its group.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.train.backend import Backend, BackendConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

LEAVE_SECONDS = 10.0
"""What the workers may take to leave their group; then they are ended all the same."""
NOT_NEEDED = ("DatasetsCallback",)
"""Ray Train's own callbacks that no run needs: this one starts a process for Ray's data sets."""
CLEANER = "PlacementGroupCleanerCallback"
"""The one that frees the workers' processors when the controller dies before them. It starts a process that
asks Ray's dashboard once a second whether the controller lives. Where the cluster ends with this process,
nothing is left to be freed."""


COORDINATOR_IN = "ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator"
"""The module with the actor that Ray Train asks for processors, which starts it when it is there itself."""


def summon_coordinator() -> None:
    """Have that actor start now, beside other things. Where Ray has moved it, it starts later."""
    with suppress(ImportError, AttributeError, RayError):
        import_module(COORDINATOR_IN).get_or_create_autoscaling_coordinator()


@dataclass
class GroupConfig(BackendConfig):
    """How the workers talk to each other."""

    backend: str
    """`gloo` or `nccl`."""

    @property
    def backend_cls(self) -> type[Backend]:
        return ProcessGroup

    def to_dict(self) -> dict[str, Any]:
        return {"backend": self.backend}


class ProcessGroup(Backend):
    """Has the workers join a process group when they are started, and leave it at the end."""

    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        assert isinstance(backend_config, GroupConfig)
        place = worker_group.execute_single(0, meeting_place)
        size = len(worker_group)
        ray.get(
            [
                worker_group.execute_single_async(rank, join, backend_config.backend, place, rank, size)
                for rank in range(size)
            ]
        )

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        with suppress(GetTimeoutError, RayError):
            ray.get(worker_group.execute_async(leave), timeout=LEAVE_SECONDS)


def meeting_place() -> str:
    """Where rank 0 listens, as torch.distributed wants it."""
    host = ray.util.get_node_ip_address()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as found:
        found.bind(("", 0))
        port = found.getsockname()[1]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def join(backend: str, place: str, rank: int, size: int) -> None:
    """Make this process one of the group's."""
    import torch.distributed as dist

    if backend == "nccl":
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1")  # a lost rank is an error, no hang
    dist.init_process_group(backend, init_method=place, rank=rank, world_size=size)


def leave() -> None:
    """Undo `join`."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


class GroupTrainer(DataParallelTrainer):
    """Ray Train's trainer, with as few processes as the run can do with."""

    def __init__(self, *args: Any, cleans_up: bool, **settings: Any):
        """cleans_up: whether the cluster outlives this process, so that somebody has to free what it held."""
        self._left_out = NOT_NEEDED if cleans_up else (*NOT_NEEDED, CLEANER)
        super().__init__(*args, **settings)

    def _create_default_callbacks(self) -> list[Any]:
        # Not part of Ray's interface: where it is gone, its processes are started as ever.
        callbacks: list[Any] = super()._create_default_callbacks()
        return [callback for callback in callbacks if type(callback).__name__ not in self._left_out]
