"""The service under Ray Serve: a front that speaks HTTP (front.py) and replicas that think (thinker.py), from
the start to the stop."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray import serve as ray_serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.schema import ApplicationStatus, LoggingConfig

from hrm_rl.distributed.cluster import connect
from hrm_rl.distributed.front import Front
from hrm_rl.distributed.thinker import Thinker
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.jobs import refuse_one_name
from hrm_rl.serving.served import served_model
from hrm_rl.serving.settings import ServingSettings
from hrm_rl.training.resources import Machine, cluster_address, this_machine
from hrm_rl.utils import stops
from hrm_rl.utils.errors import UserError, one_line

NAME = "hrm-rl"
"""Of the application, in the cluster."""
UNLIMITED = 1_000_000
"""Requests that Serve lets through to a process at a time: the application has the limits."""
HEALTH_EVERY, HEALTH_SECONDS = 2.0, 20.0
"""Seconds between two questions whether a process is well, and what it may take for the answer."""
STARTS = 2
"""Times that a process may try to start before the service counts as failed."""
END_SECONDS = 2.0
"""What a process may take to end."""
LOOK_EVERY, ROOM_SECONDS = 0.1, 20.0
"""Seconds between two looks at whether the replicas are ready, and until the user hears why they are not."""
FETCH_EVERY, ANSWER_SECONDS = 0.5, 5.0
"""Seconds between two looks at the log of the front, and what it may take for an answer."""
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
) -> int:
    """Serve from a Ray cluster, that of RAY_ADDRESS or one for this process alone, until a signal asks for an
    end. Then no new request is taken, and those that run have `settings.grace` seconds. Returns the exit
    status.

    models: on the CPU.  host, port: where to listen, on the first machine of the cluster.  slots: of each
    replica.
    Raises UserError, ServeFailed.
    """
    refuse_one_name([served_model(model) for model in models])
    joined = cluster_address(None)
    machine = connect(joined, this_machine(), verbose=False)
    refuse_small(machine, replicas, gpus_per_replica)
    if joined:
        _refuse_second(joined)
    stop = threading.Event()

    def ask(signum: int) -> bool:
        stops.tell(f"{stops.prefix(signum)}stopping: running requests have {settings.grace:g} s")
        stop.set()
        return True

    left_behind = f"; the cluster at {joined} may still serve: `serve shutdown` ends that" if joined else ""
    with stops.asking(ask, stops.AT_ONCE + left_behind):
        try:
            start(application(models, settings, replicas, gpus_per_replica, slots), host, port)
            if wait_until_ready(stop, print):
                many = f"{replicas} replica{'s' * (replicas > 1)} with {_each(gpus_per_replica)} each"
                names = ", ".join(served_model(model).name for model in models)
                shown = f"[{host}]" if ":" in host else host
                where = f"http://{shown}:{port} ({names}; {many} on {machine.name})"
                print(f"ready at {where}; Ctrl-C stops it", flush=True)
                while not stop.wait(FETCH_EVERY):
                    _print_log()
                left = drain(settings.grace)
                _print_log()
                if left:
                    stops.tell(f"requests that took longer and were ended: {left}")
        finally:
            if joined:  # else Ray ends with this process, and Serve with Ray
                ray_serve.shutdown()
    return stops.status()


def application(
    models: Sequence[LoadedModel],
    settings: ServingSettings,
    replicas: int,
    gpus_per_replica: float,
    slots: int,
) -> ray_serve.Application:
    """What Serve is to run. models: on the CPU.  slots: of each replica."""
    common: dict[str, Any] = {
        "max_ongoing_requests": UNLIMITED,
        "health_check_period_s": HEALTH_EVERY,
        "health_check_timeout_s": HEALTH_SECONDS,
        "graceful_shutdown_wait_loop_s": 0.1,
        "graceful_shutdown_timeout_s": END_SECONDS,
        "max_constructor_retry_count": STARTS,
        "logging_config": LoggingConfig(enable_access_log=False, log_level="WARNING"),
    }
    needs = {"num_cpus": 1, "num_gpus": gpus_per_replica}
    thinker: Any = ray_serve.deployment(Thinker, num_replicas=replicas, ray_actor_options=needs, **common)
    front: Any = ray_serve.deployment(Front, ray_actor_options={"num_cpus": 0}, **common)
    # By reference: Serve keeps what its processes are made with in the cluster's own table, which is for
    # small things.
    thinkers = thinker.bind(ray.put(list(models)), slots, gpus_per_replica)
    served = [served_model(model) for model in models]
    app: ray_serve.Application = front.bind(thinkers, served, settings, slots, replicas)
    return app


def start(app: ray_serve.Application, host: str, port: int) -> None:
    """Start Serve, listening on the first machine of the cluster, and have it start the application."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    ray_serve.start(
        proxy_location=ProxyLocation.HeadOnly,
        http_options=HTTPOptions(host=host, port=port),
        logging_config=LoggingConfig(enable_access_log=False, log_level="WARNING"),
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
        raise ServeFailed(f"Ray Serve cannot start the replicas: {last_error(said)}")
    return False


def _print_log() -> None:
    """Write what the front has logged to standard error."""
    front: Any = ray_serve.get_app_handle(NAME)
    with suppress(Exception):  # a front that has died is replaced
        for line in front.lines.remote().result(timeout_s=ANSWER_SECONDS):
            print(line, file=sys.stderr)


def drain(seconds: float) -> int:
    """Have the service take no new requests, and end those that run, those that are left after `seconds` with
    an error. Returns how many these were."""
    front: Any = ray_serve.get_app_handle(NAME)
    try:
        left: int = front.drain.remote(seconds).result(timeout_s=seconds + ANSWER_SECONDS)
    except Exception:  # the front has died, and with it what ran
        return 0
    return left


def _still_waiting() -> str:
    """What there is of what the replicas may be waiting for."""
    free, whole = ray.available_resources(), ray.cluster_resources()
    kinds = [f"{free.get(kind, 0):g} of {whole.get(kind, 0):g} {kind}s" for kind in ("CPU", "GPU")]
    return f"still waiting for the replicas to start ({' and '.join(kinds)} are free)"


def last_error(messages: Sequence[str]) -> str:
    """Of what Serve tells of a failure, a traceback for the most part, the line that says what it was."""
    lines = [line.strip() for message in messages for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and not line.startswith(("File", "raise"))]
    return one_line((errors or lines or ["it does not say why"])[-1], 500)


def _each(gpus: float) -> str:
    """What a replica takes."""
    return f"1 CPU and {gpus:g} GPU" if gpus else "1 CPU"


def refuse_small(machine: Machine, replicas: int, gpus: float) -> None:
    """Raise UserError if so many replicas have no room even where nothing else runs."""
    fitting = machine.room(1, gpus)
    if fitting >= replicas:
        return
    advice = f"give --replicas {fitting}" if fitting else "leave --gpus-per-replica out"
    raise UserError(
        f"--replicas {replicas} with {_each(gpus)} each do not fit: {machine.name} has {machine.cpus:g} CPUs "
        f"and {machine.gpus:g} GPUs; {advice}, or --no-ray for one process"
    )


def _refuse_second(address: str) -> None:
    """Raise UserError if Serve runs in the cluster: it has one address for all that it serves, and ends as a
    whole."""
    if ray_serve.status().proxies:
        raise UserError(
            f"Ray Serve runs in the cluster at {address} already: end it with `serve shutdown`, unset "
            "RAY_ADDRESS, or use --no-ray"
        )
