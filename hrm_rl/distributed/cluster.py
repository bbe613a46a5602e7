"""The Ray cluster: joining one or starting one, and all that is set in Ray from outside its interface.

The variables and the private parts below were seen to work with SEEN_WITH; tests/distributed/test_cluster.py
says when Ray no longer has one of them.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module

import ray

from hrm_rl.distributed import joining
from hrm_rl.training.resources import Machine
from hrm_rl.utils.console import Patience
from hrm_rl.utils.errors import UserError, one_line
from hrm_rl.utils.stops import at_once, before_end, shields

SEEN_WITH = "Ray 2.60.0"
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a process without GPUs keeps CUDA_VISIBLE_DEVICES
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # its C++ side prints an error on a single machine
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # after its last update a run is over that much later
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean what they mean where the command was typed
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # telemetry.py writes TensorBoard's files
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a report may lack the metric
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "30",  # a trial's end must not cost its process
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "0",
}
"""What Ray is started with, unless the shell says otherwise."""
LOGGERS = ("ray.train", "ray.tune", "ray.air", "ray._private.authentication")
REPORTS_LOGGED_IN = "ray.train.v2._internal.execution.context"
"""The module whose logger, named after the file, says `Reporting training result ...` at every report."""
ADDRESS, GCS_PORT = "RAY_ADDRESS", "RAY_GCS_SERVER_PORT"
"""The cluster that a process of Ray's asks about itself, and where a cluster is to listen that is started."""
STOPPED_TRIALS = "_stopped_trials"
"""The attribute in which Tune's median rule keeps the trials that it has stopped."""


def connect(address: str | None, machine: Machine, verbose: bool, dashboard: bool = True) -> Machine:
    """Join the cluster at `address`, or start Ray on this `machine`, and say what there is. Raises UserError,
    also for what would only fail later in Ray's workers.

    dashboard: whether a Ray that is started has one, whose processes answer questions about what runs.
    """
    if not ray.is_initialized():
        with at_once():  # an exception could be lost in Ray's own code
            _begin(address, machine, verbose, dashboard)
    if not address:
        if shields():
            for process in ray_processes():
                process.terminate = kill_descendants  # type: ignore[method-assign]
        return machine
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in alive)
    return Machine(f"the cluster at {address}", sum(c for c, _ in nodes), sum(g for _, g in nodes), nodes)


class Start:
    """Ray on its way up on this machine, while this process prepares other things."""

    def __init__(
        self,
        machine: Machine,
        verbose: bool,
        dashboard: bool,
        then: Callable[[], object],
        say: Callable[[str], None],
    ):
        """As for `connect`. then: what else to do when Ray is up."""
        self._then = then
        self._waiting = Patience("starting Ray", say)
        self._settled = threading.Event()
        self._error: BaseException | None = None
        self._given = (None, machine, verbose, dashboard)
        threading.Thread(target=self._run, name="ray", daemon=True).start()

    def _run(self) -> None:
        try:
            _begin(*self._given)
            self._then()
        except BaseException as error:
            self._error = error
        self._settled.set()
        threading.Event().wait()  # for ever: what a thread has started, Linux ends with that thread

    def wait(self) -> None:
        """Wait until Ray is up. Raises UserError if it cannot be started."""
        self._waiting.spoke()  # of what was prepared
        while not self._settled.wait(0.1):
            self._waiting.look()
        if self._error is not None:
            raise self._error


def _begin(address: str | None, machine: Machine, verbose: bool, dashboard: bool) -> None:
    """`connect` where no Ray is yet."""
    prepare(verbose)
    joining.knock(address) if address else joining.make_ready()
    before_end(kill_descendants)
    with nullcontext() if address else _own_address():
        _start(address, machine, verbose, dashboard)


@contextmanager
def _own_address() -> Iterator[None]:
    """Inside, the Ray that is started has its own processes know its address.

    Those that ask about the cluster, as Ray Train's placement group cleaner does every second, otherwise look
    for one in the file that `ray start` leaves behind. It may name another cluster, or one that was killed,
    whose answer they wait ten seconds for; and every run ends that much later.
    """
    before = {name: os.environ.get(name) for name in (ADDRESS, GCS_PORT)}
    host = ray.util.get_node_ip_address()
    port = os.environ.setdefault(GCS_PORT, str(_free_port()))
    os.environ[ADDRESS] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def _start(address: str | None, machine: Machine, verbose: bool, dashboard: bool) -> None:
    """`ray.init`. Raises UserError."""
    try:
        ray.init(
            address=address or "local",  # never a cluster that happens to run here
            num_cpus=None if address else int(machine.cpus),
            num_gpus=None if address else int(machine.gpus),
            include_dashboard=None if address else dashboard,
            log_to_driver=verbose,
            logging_level=logging.INFO if verbose else logging.ERROR,
            configure_logging=True,
        )
    except Exception as error:  # whatever it is, the user hears of it in one line
        if address:
            raise joining.unreachable(address, one_line(error, 500)) from None
        raise UserError(
            f"cannot start Ray on this machine: {type(error).__name__}: {one_line(error, 500)}"
        ) from None


def prepare(verbose: bool = False) -> None:
    """Set the ENVIRONMENT of this process, which the processes that Ray starts on this machine inherit, and
    silence Ray's own lines unless `verbose`."""
    if verbose:
        os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "1")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not verbose:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)


def ray_processes() -> list[subprocess.Popen[bytes]]:
    """The processes that Ray has started for this one; none if Ray keeps them elsewhere now."""
    node = getattr(import_module("ray._private.worker"), "_global_node", None)
    kinds = getattr(node, "all_processes", {}).values()
    return [info.process for kind in kinds for info in kind]


def ends_with_this_process() -> bool:
    """Whether Ray is one that this process has started."""
    return bool(ray_processes())


def kill_descendants() -> None:
    """Kill all that this process has started, and all that those have: Ray, if it runs for this one alone.

    They have SIGTERM blocked (hrm_rl/utils/stops.py). Ray's own end asks each in turn with it, and waits a
    second in vain; and what a killed raylet leaves behind takes a minute to notice.
    """
    psutil = import_module("psutil")  # which Ray brings along
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()


def silence_reports() -> None:
    """No line of Ray Train's for every report, whatever the log level is."""
    try:
        file = import_module(REPORTS_LOGGED_IN).__file__
    except ImportError:
        return
    logging.getLogger(str(file)).setLevel(logging.WARNING)


def forget_stopped_trials(median_rule: object) -> None:
    """Have Tune's median rule look at the trials again that it wanted to stop."""
    stopped = getattr(median_rule, STOPPED_TRIALS, None)
    if stopped is not None:
        stopped.clear()
