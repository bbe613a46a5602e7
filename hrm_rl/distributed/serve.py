"""The service under Ray Serve, from the start to the stop. What runs where is in replicas.py."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray import serve as ray_serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.schema import ApplicationStatus, LoggingConfig

from hrm_rl.distributed.cluster import connect
from hrm_rl.distributed.replicas import application
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.jobs import ServedModel
from hrm_rl.serving.served import served_model
from hrm_rl.serving.settings import ServingSettings
from hrm_rl.training.resources import Machine, cluster_address, this_machine
from hrm_rl.utils import stops
from hrm_rl.utils.errors import UserError, one_line

NAME = "hrm-rl"
"""Of the application, in the cluster."""
LOOK_EVERY = 0.1
"""Seconds between two looks at whether the replicas are ready, and at whether to stop."""
ROOM_SECONDS = 20.0
"""Seconds after which the user hears what the replicas wait for."""
ANSWER_SECONDS = 5.0
"""What the front may take to answer that it has drained."""
BEGINNING = (ApplicationStatus.NOT_STARTED, ApplicationStatus.DEPLOYING)


class ServeFailed(RuntimeError):
    """Ray Serve could not start the service; the message says why, in one line."""


def serve(
    models: Sequence[LoadedModel],
    settings: ServingSettings,
    host: str,
    port: int,
    replicas: int,
    gpus_per_replica: float,
    slots: int,
    names: Sequence[str] = (),
    address: str | None = None,
    verbose: bool = False,
    grace: float = 30.0,
    say: Callable[[str], None] = print,
) -> int:
    """Serve until a signal asks for an end. Then no new request is taken, and those that run have `grace`
    seconds. Returns the exit status.

    models: on the CPU.  names: what requests call them, if not by their folders.  slots: of each replica.
    address: as --address of `hrm-rl train`.
    Raises UserError, ServeFailed.
    """
    served = [served_model(m, name) for m, name in zip(models, [*names, *[None] * len(models)], strict=False)]
    joined = cluster_address(address)
    machine = connect(joined, this_machine(), verbose)
    _refuse_small(machine, replicas, gpus_per_replica)
    if joined:
        _refuse_served(joined)
    else:
        refuse_taken(host, port)
    asked: list[int] = []
    stop = threading.Event()

    def ask(signum: int) -> bool:
        asked.append(signum)
        stop.set()
        return True

    with stops.asking(ask, stops.AT_ONCE if not joined else _left_behind(joined)):
        try:
            app = application(models, served, settings, replicas, gpus_per_replica, slots)
            start(app, host, port, verbose)
            if wait_until_ready(stop, say):
                say(_ready(served, host, port, replicas, gpus_per_replica, machine))
                while not stop.wait(LOOK_EVERY):
                    pass
                say(f"{stops.prefix(asked[0])}finishing what runs; Ctrl-C again to stop at once")
                if left := drain(grace):
                    say(f"{left} request{'s' * (left > 1)} did not end within {grace:g} s")
        finally:
            if joined:  # else Ray ends with this process, and Serve with Ray
                ray_serve.shutdown()
    return stops.status(asked[0])


def start(app: ray_serve.Application, host: str, port: int, verbose: bool = False) -> None:
    """Start Serve, on whose first machine `host` and `port` are, and have it start the application."""
    if not verbose:
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
    ray_serve.start(
        proxy_location=ProxyLocation.HeadOnly,
        http_options=HTTPOptions(host=host, port=port),
        logging_config=LoggingConfig(enable_access_log=False, log_level="INFO" if verbose else "WARNING"),
    )
    ray_serve.run_many([ray_serve.RunTarget(app, NAME)], wait_for_applications_running=False)


def wait_until_ready(stop: threading.Event, say: Callable[[str], None]) -> bool:
    """Wait for the replicas, or until `stop`. Returns whether they are ready. Raises ServeFailed."""
    began, told = time.monotonic(), False
    while not stop.wait(LOOK_EVERY):
        found = ray_serve.status().applications.get(NAME)
        if found is None or found.status in BEGINNING:
            if not told and time.monotonic() > began + ROOM_SECONDS:
                told = True
                say(_still_waiting())
            continue
        if found.status == ApplicationStatus.RUNNING:
            return True
        said = [found.message, *(deployment.message for deployment in found.deployments.values())]
        raise ServeFailed(f"Ray Serve cannot start the replicas: {_last_line(said)}")
    return False


def drain(seconds: float) -> int:
    """Have the service take no new requests and end those that run. Returns how many are left after
    `seconds`."""
    front: Any = ray_serve.get_app_handle(NAME)
    try:
        left: int = front.drain.remote(seconds).result(timeout_s=seconds + ANSWER_SECONDS)
    except Exception as error:  # the front died: nothing runs any more
        logging.getLogger(__name__).warning("the front does not answer: %s", one_line(error, 300))
        return 0
    return left


def _still_waiting() -> str:
    """What there is of what the replicas may be waiting for."""
    free, whole = ray.available_resources(), ray.cluster_resources()
    kinds = [f"{free.get(kind, 0):g} of {whole.get(kind, 0):g} {kind}s" for kind in ("CPU", "GPU")]
    return f"still waiting for the replicas to start ({' and '.join(kinds)} are free)"


def _last_line(messages: Sequence[str]) -> str:
    """Of what Serve tells of a failure, a traceback for the most part, the line that says what it was."""
    lines = [line.strip() for message in messages for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and not line.startswith(("File", "raise"))]
    return one_line((errors or lines or ["it does not say why"])[-1], 500)


def _ready(
    served: Sequence[ServedModel], host: str, port: int, replicas: int, gpus: float, machine: Machine
) -> str:
    names, many = ", ".join(model.name for model in served), f"{replicas} replica{'s' * (replicas > 1)}"
    where = f"{many} with {_each(gpus)} each on {machine.name}"
    return f"serving {names} at http://{host}:{port} ({where}); Ctrl-C stops"


def _each(gpus: float) -> str:
    """What a replica takes."""
    return f"1 CPU and {gpus:g} GPU" if gpus else "1 CPU"


def _refuse_small(machine: Machine, replicas: int, gpus: float) -> None:
    """Raise UserError if so many replicas have no room even where nothing else runs."""
    fitting = machine.room(1, gpus)
    if fitting >= replicas:
        return
    advice = f"give --replicas {fitting}" if fitting else "leave --gpus-per-replica out"
    raise UserError(
        f"--replicas {replicas} with {_each(gpus)} each do not fit: {machine.name} has {machine.cpus:g} CPUs "
        f"and {machine.gpus:g} GPUs; {advice}, or --no-ray for one process"
    )


def _refuse_served(address: str) -> None:
    """Raise UserError if Serve runs in the cluster: it has one address for all that it serves, and ends as a
    whole."""
    if any(ray_serve.status().proxies):
        raise UserError(
            f"Ray Serve runs in the cluster at {address} already: end it with `serve shutdown`, unset "
            "RAY_ADDRESS, or use --no-ray"
        )


def refuse_taken(host: str, port: int) -> None:
    """Raise UserError if nobody can listen there."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen on {host}:{port}: {one_line(error)}; give another --port or --host"
        ) from None


def _left_behind(address: str) -> str:
    return f"{stops.AT_ONCE}; the cluster at {address} may still serve: `serve shutdown` ends that"
