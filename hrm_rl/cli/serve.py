"""`hrm-rl serve`: models behind an API and a page, in this process or, with Ray, in several."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from pydantic import Field

from hrm_rl.cli.flags.common import CHECKPOINT, WeightsFlag, parse
from hrm_rl.config import PathText, Positive, Section
from hrm_rl.serving.settings import (
    DEFAULT_PORT,
    LOOPBACK,
    TOKEN_VARIABLE,
    ServingSettings,
    token_from_environment,
)
from hrm_rl.utils import stops
from hrm_rl.utils.errors import UserError
from hrm_rl.weights import shipped

LIMITS = ServingSettings()


class ServeCommand(Section):
    """Serve models: an API, and a page on which one watches them think."""

    model: Annotated[
        tuple[PathText, ...], Field(description=f"{CHECKPOINT} All shipped ones if not given.")
    ] = ()
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 is every one of this machine."""
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    """Port to listen at; 0 takes a free one."""
    ray: bool = True
    """Serve with Ray, in several processes; --no-ray serves from this one."""
    replicas: Positive = 1
    """With Ray: processes that think."""
    gpus_per_replica: Annotated[float, Field(ge=0)] = 0.0
    """With Ray: GPUs, or the share of one, of each of them."""
    slots: Positive = 64
    """Puzzles that a replica thinks about at a time."""
    weights: WeightsFlag = None
    max_segments: Positive = LIMITS.max_segments
    """The most segments that a request may ask for."""
    max_puzzles: Positive = LIMITS.max_puzzles
    """The most puzzles in a request."""
    max_body_bytes: Positive = LIMITS.max_body_bytes
    """The largest body of a request."""
    queue: Annotated[int, Field(ge=0)] = LIMITS.queue
    """The most puzzles that may wait for a slot; those beyond are refused with 429."""
    time_limit: Annotated[float, Field(gt=0)] = LIMITS.time_limit
    """Seconds after which a request is given up with 504."""
    grace: Annotated[float, Field(ge=0)] = LIMITS.grace
    """Seconds that running requests may go on after Ctrl-C or SIGTERM."""

    @property
    def settings(self) -> ServingSettings:
        """The limits, with the token of the environment. Raises UserError."""
        names = ("max_segments", "max_puzzles", "max_body_bytes", "queue", "time_limit", "grace")
        return ServingSettings(
            token=token_from_environment(),
            loopback=self.host in LOOPBACK,
            **{name: getattr(self, name) for name in names},
        )


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(ServeCommand(), args, "serve")
    settings = command.settings
    models = command.model or shipped()
    twice = [name for i, name in enumerate(models) if name in models[:i]]
    if twice:
        raise UserError(f"--model {twice[0]} is given twice: name each model once")
    if command.ray:
        return _serve_with_ray(command, models, settings)
    for flag, given in (
        ("--replicas", command.replicas != 1),
        ("--gpus-per-replica", command.gpus_per_replica),
    ):
        if given:
            raise UserError(f"{flag} needs Ray: leave out --no-ray, or {flag}")
    with listening(command.host, command.port) as place:
        return _serve_here(command, models, settings, place)


def _serve_with_ray(command: ServeCommand, models: Sequence[str], settings: ServingSettings) -> int:
    """Serve from replicas until asked to stop. Returns the exit status."""
    from hrm_rl.distributed.serve import ServeFailed, serve
    from hrm_rl.runs.loading import load_model
    from hrm_rl.training.resources import cluster_address

    port = command.port
    if port == 0 or cluster_address(None) is None:  # else it is for the cluster's first machine to say
        with listening(command.host, port) as place:
            port = place.getsockname()[1]
    loaded = [load_model(name, command.weights) for name in models]
    _warn_if_open(command.host, settings)
    replicas, gpus = command.replicas, command.gpus_per_replica
    try:
        return serve(loaded, settings, command.host, port, replicas, gpus, command.slots)
    except ServeFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address. Raises UserError for an address that cannot be listened at."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise UserError(
            f"--host {host} is unknown: give an address of this machine, such as 127.0.0.1"
        ) from None
    with socket.socket(family, kind, protocol) as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind(address)
            place.listen(1024)
        except OSError as error:
            raise UserError(_in_words(error, host, port)) from None
        yield place


def _in_words(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken: give another with --port, or 0 for a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not allowed to this user: give one from 1024 on with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is no address of this machine: give 127.0.0.1, or 0.0.0.0 for every one"
    return f"cannot listen at {host}, port {port}: {error.strerror}"


def _serve_here(
    command: ServeCommand, models: Sequence[str], settings: ServingSettings, place: socket.socket
) -> int:
    """Serve from this process until it is asked to stop. Returns the exit status."""
    from hrm_rl.runs.loading import load_model
    from hrm_rl.serving.app import create_app
    from hrm_rl.serving.engine import LocalBackend
    from hrm_rl.utils.devices import choose_device, choose_threads

    choose_threads(None)
    device = choose_device("auto")
    loaded = [load_model(name, command.weights).on(device) for name in models]
    app = create_app(LocalBackend(loaded, command.slots), settings)
    say_requests()
    _warn_if_open(command.host, settings)
    host, port = place.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    names = ", ".join(model.name for model in app.state.service.backend.models)
    ready = f"ready at http://{shown}:{port} ({names}); Ctrl-C stops it"
    return asyncio.run(_until_stopped(app, place, settings.grace, ready))


def _warn_if_open(host: str, settings: ServingSettings) -> None:
    """Say so where other machines may ask without a token."""
    if settings.token is None and host not in LOOPBACK:
        line = f"whoever can reach {host} may ask: set {TOKEN_VARIABLE} to want a token"
        print(line, file=sys.stderr)


def say_requests() -> None:
    """Have the log of requests on standard error, a line of JSON each."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("hrm_rl.serving")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


async def _until_stopped(app: object, place: socket.socket, grace: float, ready: str) -> int:
    """Answer requests; when asked to stop, finish those that run. Returns the exit status of the signal."""
    import uvicorn

    class Server(uvicorn.Server):
        """One that says when it is ready and leaves the signals alone."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(ready, flush=True)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    service = app.state.service  # type: ignore[attr-defined]
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    server = Server(config)

    def ask(signum: int) -> bool:
        stops.tell(f"{stops.prefix(signum)}stopping: running requests have {grace:g} s")
        loop.call_soon_threadsafe(asked.set)
        return True

    async def end() -> None:
        await asked.wait()
        await service.drained(grace)
        server.should_exit = True

    with stops.asking(ask, stops.AT_ONCE):
        ending = asyncio.create_task(end())
        await server.serve([place])
        ending.cancel()
    return stops.status() if asked.is_set() else 1
