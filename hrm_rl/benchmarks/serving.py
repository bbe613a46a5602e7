"""What the service costs, and what its shared slots give: clients that ask again as soon as they have an
answer, of the engine in this process, of `hrm-rl serve --no-ray`, and of Ray Serve.

The puzzles are of all levels, mixed. The clients of a server are a process of their own (load.py), on the
same machine; what they take of it is told.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from envs.cores import usable_cpus
from hrm_rl.benchmarks.load import SOLVE, STREAM, Load, Met
from hrm_rl.benchmarks.measure import Aim
from hrm_rl.benchmarks.processes import cpu_seconds, descendants, resident_mb, title
from hrm_rl.data.held_out import generate_held_out, held_out_rng
from hrm_rl.runs.loading import LoadedModel, load_model
from hrm_rl.serving.engine import LocalBackend
from hrm_rl.serving.jobs import Job, Mode
from hrm_rl.serving.served import served_model
from hrm_rl.utils.errors import UserError
from hrm_rl.weights import shipped

COMMAND = (sys.executable, "-m", "hrm_rl.cli.main", "serve")
SERVERS = {
    "HTTP": ("--no-ray",),
    "Ray Serve, 1 replica": ("--replicas", "1"),
    "Ray Serve, 2 replicas": ("--replicas", "2"),
}
"""What is started, by the name in the table."""
CLIENTS = (1, 8, 64)
SLOTS = 64
PUZZLES = 512
"""Different ones, as far as a board has so many."""
REQUESTS, SMALLEST = 10_000, "sudoku4"
"""Of the memory's measurement, to the model that is quickest."""
SAMPLES = 10
LEAST_GAIN, MOST_READY_SECONDS, MOST_GROWTH = 5.0, 10.0, 0.02
START_SECONDS = 180.0
"""What a server may take to be ready."""


@dataclass(frozen=True)
class ServerProcess:
    """A service that runs."""

    url: str
    pid: int
    ready_s: float
    """From the command to the first answer."""

    def processes(self) -> dict[int, str]:
        """Its processes that do anything for a request, by what they are."""
        kinds = ("ProxyActor", "Front", "Thinker", "ServeController")
        found = {pid: next((k for k in kinds if k in title(pid)), "") for pid in descendants(self.pid)}
        return {self.pid: "command"} | {pid: kind for pid, kind in found.items() if kind}

    def cpu_seconds(self) -> float:
        """Of all its processes so far."""
        total = 0.0
        for pid in [self.pid, *descendants(self.pid)]:
            with suppress(OSError):
                total += cpu_seconds(pid)
        return total


def time_serving(checkpoint: str | None, seconds: float) -> dict[str, Any]:
    """Puzzles a second and latencies by server and number of clients; how much 64 clients get over one, by
    model and mode; memory over REQUESTS requests; seconds until a server is ready.

    checkpoint: a model by name or folder; the first one that is shipped if not given.  seconds: of each
    measurement.
    """
    name = checkpoint or shipped()[0]
    loaded = load_model(name)
    puzzles = mixed(loaded)
    torch.set_num_threads(usable_cpus())  # as a server without Ray has them
    rows = [engine_row(loaded, puzzles, clients, seconds) for clients in CLIENTS]
    found: dict[str, Any] = {
        "model": name,
        "mode": served_model(loaded).default_mode,
        "seconds_each": seconds,
        "load_average": os.getloadavg()[0],
    }
    ready: dict[str, float] = {}
    cores = usable_cpus()
    for kind, flags in SERVERS.items():
        if flags[0] == "--replicas" and int(flags[1]) > cores:
            continue
        with running([*flags, "--model", name]) as server:
            ready[kind] = server.ready_s
            warm(server, puzzles, {})
            rows += [server_row(kind, server, puzzles, clients, seconds) for clients in CLIENTS]
    found |= {"ready_s": ready, "load": rows}
    with running(["--no-ray", "--model", *shipped()]) as server:
        found["gains"] = gains(server, seconds)
        found["memory"] = memory(server)
    found["aims"] = aims(found)
    return found


def aims(found: Mapping[str, Any]) -> list[Aim]:
    """What is promised of the service."""
    rates = {(row["server"], row["clients"]): row["puzzles_per_s"] for row in found["load"]}
    grown = found["memory"][-1]["mb"] / found["memory"][0]["mb"] - 1
    return [
        Aim(
            f"{found['model']} over HTTP: puzzles/s of {CLIENTS[-1]} clients over one",
            rates["HTTP", CLIENTS[-1]] / rates["HTTP", 1],
            least=LEAST_GAIN,
            form=".1f",
        ),
        Aim("seconds to ready without Ray", found["ready_s"]["HTTP"], most=MOST_READY_SECONDS, form=".1f"),
        Aim(f"memory: growth over {REQUESTS:,} requests", grown, most=MOST_GROWTH),
    ]


def mixed(loaded: LoadedModel) -> list[list[int]]:
    """Puzzles of all levels, mixed, as tokens: the same for everybody."""
    levels = list(loaded.task.levels)
    made = generate_held_out(loaded.task, levels, PUZZLES, seed=0)
    rows = made.inputs[held_out_rng(0).permutation(len(made))]
    found: list[list[int]] = rows.tolist()
    return found


def engine_row(
    loaded: LoadedModel, puzzles: Sequence[Sequence[int]], clients: int, seconds: float
) -> dict[str, Any]:
    """The engine alone, in this process: what so many clients get that wait for nothing else."""
    model = served_model(loaded)
    mode = model.default_mode
    jobs = [Job(model.name, np.array(p, np.uint8), mode, model.default_segments(mode)) for p in puzzles]
    met = Met(seconds=seconds)

    async def ask(backend: LocalBackend, turns: Iterator[Job], end: float) -> None:
        while (asked := time.perf_counter()) < end:
            await backend.solve([next(turns)])
            met.answer.append(time.perf_counter() - asked)

    async def run() -> None:
        backend = LocalBackend([loaded], SLOTS)
        await backend.start()
        await backend.solve(jobs[:8])
        turns, cpu = itertools.cycle(jobs), time.process_time()
        end = time.perf_counter() + seconds
        await asyncio.gather(*(ask(backend, turns, end) for _ in range(clients)))
        met.cpu_seconds = time.process_time() - cpu
        await backend.close()

    asyncio.run(run())
    return {
        "server": "engine alone",
        "clients": clients,
        **rates(met),
        "server_cpus": met.cpu_seconds / max(seconds, max(met.answer, default=0)),
        "cpu_ms_per_puzzle": 1000 * met.cpu_seconds / len(met.answer),
    }


def server_row(
    kind: str, server: ServerProcess, puzzles: Sequence[Sequence[int]], clients: int, seconds: float
) -> dict[str, Any]:
    """What clients get of a server: answers, then streams."""
    before = server.cpu_seconds()
    plain, taken = bear(server, SOLVE, puzzles, clients, seconds)
    spent = server.cpu_seconds() - before
    streamed, _ = bear(server, STREAM, puzzles, clients, seconds)
    return {
        "server": kind,
        "clients": clients,
        **rates(plain),
        "server_cpus": spent / taken,
        "cpu_ms_per_puzzle": 1000 * spent / len(plain.answer),
        "client_cpus": plain.cpu_seconds / taken,
        "streams_per_s": len(streamed.answer) / max(streamed.seconds, *streamed.answer),
        "first_p50_ms": percentile(streamed.first, 50),
        "first_p99_ms": percentile(streamed.first, 99),
        "stream_p50_ms": percentile(streamed.answer, 50),
        "stream_p99_ms": percentile(streamed.answer, 99),
    }


def rates(met: Met) -> dict[str, Any]:
    """Puzzles a second until the last answer, and milliseconds to an answer."""
    return {
        "puzzles_per_s": len(met.answer) / max(met.seconds, *met.answer),
        "answer_p50_ms": percentile(met.answer, 50),
        "answer_p99_ms": percentile(met.answer, 99),
    }


def percentile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds; NaN of nothing."""
    return 1000 * float(np.percentile(seconds, share)) if seconds else float("nan")


def gains(server: ServerProcess, seconds: float) -> list[dict[str, Any]]:
    """By model and mode, what the most clients get over one, from a server with all models."""
    rows = []
    for name in shipped():
        loaded = load_model(name)
        model, puzzles = served_model(loaded), mixed(loaded)
        modes: list[Mode] = ["adaptive"] if model.search_budget is None else ["adaptive", "search"]
        for mode in modes:
            asked = {"model": name, "mode": mode}
            warm(server, puzzles, asked)
            cpu, paces = [], []
            for clients in (CLIENTS[0], CLIENTS[-1]):
                before = server.cpu_seconds()
                met, taken = bear(server, SOLVE, puzzles, clients, seconds, asked)
                cpu.append(1000 * (server.cpu_seconds() - before) / len(met.answer))
                paces.append(len(met.answer) / taken)
            rows.append(
                {
                    "model": name,
                    "mode": mode,
                    "one_client": paces[0],
                    f"{CLIENTS[-1]}_clients": paces[1],
                    "gain": paces[1] / paces[0],
                    "cpu_ms_one": cpu[0],
                    f"cpu_ms_{CLIENTS[-1]}": cpu[1],
                }
            )
    return rows


def warm(server: ServerProcess, puzzles: Sequence[Sequence[int]], asked: Mapping[str, Any]) -> None:
    """Have done what is done once only."""
    bear(server, SOLVE, puzzles, 8, START_SECONDS, asked, requests=32)


def memory(server: ServerProcess) -> list[dict[str, Any]]:
    """Resident memory of a server's processes after each SAMPLES-th part of REQUESTS."""
    puzzles, rows = mixed(load_model(SMALLEST)), []
    for sample in range(1, SAMPLES + 1):
        bear(server, SOLVE, puzzles, 8, 600, {"model": SMALLEST}, requests=REQUESTS // SAMPLES)
        mb = sum(resident_mb(pid) for pid in server.processes())
        rows.append({"requests": sample * REQUESTS // SAMPLES, "mb": mb})
    return rows


def bear(
    server: ServerProcess,
    path: str,
    puzzles: Sequence[Sequence[int]],
    clients: int,
    seconds: float,
    asked: Mapping[str, Any] | None = None,
    requests: int | None = None,
) -> tuple[Met, float]:
    """What clients in a process of their own met with, and for how many seconds they asked. Raises UserError
    if a request failed."""
    bodies = [{"puzzle": list(puzzle), **(asked or {})} for puzzle in puzzles]
    load = Load(server.url, path, bodies, clients, seconds, requests)
    command = [sys.executable, "-m", "hrm_rl.benchmarks.load"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"part serving: the clients failed: {done.stderr.strip().splitlines()[-1]}")
    met = Met(**json.loads(done.stdout))
    if met.failed:
        raise UserError(f"part serving: requests failed: {met.failed}")
    return met, max(met.seconds, max(met.answer, default=0.0))


@contextmanager
def running(flags: Sequence[str]) -> Iterator[ServerProcess]:
    """`hrm-rl serve`, ready, on a free port of this machine. Raises UserError if it does not get ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {n: v for n, v in os.environ.items() if n not in ("RAY_ADDRESS", "HRM_RL_TOKEN")}
    environment["RAY_worker_niceness"] = "0"  # as urgent as a server without Ray
    command = [*COMMAND, *flags, "--port", str(port), "--slots", str(SLOTS)]
    url, started = f"http://127.0.0.1:{port}", time.perf_counter()
    with TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            while not _is_ready(url):
                if process.poll() is not None or time.perf_counter() > started + START_SECONDS:
                    log.seek(0)
                    said = log.read().strip().splitlines() or ["it said nothing"]
                    raise UserError(
                        f"part serving: `hrm-rl serve {' '.join(flags)}` is not ready: {said[-1]}"
                    )
                time.sleep(0.05)
            yield ServerProcess(url, process.pid, time.perf_counter() - started)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
