"""A real Ray Serve application with two replicas: equal answers to the engine in this process, a replica that
is killed under load, clients that go away, and the stop: the last test, since nothing is taken after it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import httpx
import numpy as np
import pytest
from ray import serve as ray_serve
from ray.exceptions import ActorDiedError

from hrm_rl.benchmarks.processes import descendants, title
from hrm_rl.data.held_out import generate_held_out
from hrm_rl.distributed import serve
from hrm_rl.distributed.front import RayBackend
from hrm_rl.runs.loading import LoadedModel, load_model
from hrm_rl.serving.engine import LocalBackend
from hrm_rl.serving.jobs import Backend, BackendError, Job, JobResult, JobSegment
from hrm_rl.serving.settings import ServingSettings
from hrm_rl.training.resources import Machine
from hrm_rl.utils.errors import UserError
from tests.distributed.test_ray_stops import left
from tests.helpers.processes import ended, start

SECONDS = 60.0
"""What a test waits for at most, on a machine that does other things too."""
LONG = 400
"""Segments of a job that is still running when something happens to it."""


@dataclass
class Stream:
    """What a client has seen of a stream so far."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def end(self) -> str:
        return self.events[-1][0]


class Served:
    """A service that runs, and a client's view of it."""

    def __init__(self, url: str, loaded: LoadedModel, puzzles: Sequence[list[int]]):
        self.client = httpx.Client(base_url=url, timeout=SECONDS)
        self.loaded = loaded
        self.puzzles = puzzles

    def solve(self, puzzles: Sequence[list[int]], **asked: Any) -> httpx.Response:
        return self.client.post("/v1/solve", json={"puzzles": list(puzzles), **asked})

    def stream(self, seen: Stream, stop: Callable[[], bool] = lambda: False, **asked: Any) -> Stream:
        """Take a stream into `seen`, to its end or until `stop`."""
        body = {"puzzle": self.puzzles[0], "mode": "fixed", "segments": LONG, **asked}
        with self.client.stream("POST", "/v1/solve/stream", json=body) as answer:
            assert answer.status_code == 200
            name = ""
            for line in answer.iter_lines():
                kind, _, value = line.partition(": ")
                if kind == "event":
                    name = value
                elif kind == "data":
                    seen.events.append((name, json.loads(value)))
                if stop():
                    break
        return seen

    def slots_in_use(self) -> int:
        lines = self.client.get("/metrics").text.splitlines()
        return int(float(next(line.split()[1] for line in lines if line.startswith("hrm_rl_slots_in_use "))))

    def backend(self) -> RayBackend:
        """Of this process, for the same replicas."""
        thinkers = ray_serve.get_deployment_handle("Thinker", serve.NAME)
        return RayBackend(thinkers, [], slots=8, replicas=2)


def thinkers() -> list[int]:
    return [
        pid for pid in descendants(os.getpid()) if title(pid).startswith("ray::ServeReplica:hrm-rl:Thinker")
    ]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def served(cluster: None) -> Iterator[Served]:
    loaded = load_model("sudoku4")
    made = generate_held_out(loaded.task, list(loaded.task.levels), 12, seed=7)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = serve.application([loaded], ServingSettings(), replicas=2, gpus_per_replica=0.0, slots=8)
    serve.start(app, "127.0.0.1", port)
    try:
        assert serve.wait_until_ready(threading.Event(), print)
        yield Served(f"http://127.0.0.1:{port}", loaded, made.inputs.tolist())
    finally:
        ray_serve.shutdown()


def jobs_of(served: Served) -> list[Job]:
    """Of every mode."""
    jobs = []
    for i, puzzle in enumerate(served.puzzles):
        mode, segments = (("adaptive", 16), ("fixed", 5), ("search", 64))[i % 3]
        jobs.append(Job("sudoku4", np.array(puzzle, np.uint8), mode, segments, seed=i))  # type: ignore[arg-type]
    return jobs


def plain(thing: JobResult | JobSegment) -> dict[str, Any]:
    """All that does not depend on time, comparable."""
    values = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(thing).items()}
    return {name: value for name, value in values.items() if name not in ("queued", "seconds")}


async def thoughts(backend: Backend, jobs: Sequence[Job]) -> tuple[list[Any], list[Any]]:
    await backend.start()
    results = await backend.solve(jobs)
    streams = []
    for job in jobs[:3]:
        streams.append([plain(news) async for news in backend.stream(replace(job, detailed=True))])
    await backend.close()
    return [plain(result) for result in results], streams


def test_replicas_answer_as_the_engine_in_this_process_does_bit_for_bit(served: Served) -> None:
    jobs = jobs_of(served)
    here = asyncio.run(thoughts(LocalBackend([served.loaded], slots=8), jobs))
    there = asyncio.run(thoughts(served.backend(), jobs))
    assert there == here
    assert all(stream[-2]["probabilities"] is not None for stream in there[1])
    by_http = served.solve(served.puzzles[::3], mode="adaptive", segments=16).json()["results"]
    assert [(r["tokens"], r["segments"]) for r in by_http] == [
        (result["answer"], result["segments"]) for result in here[0][::3]
    ]


def test_what_a_replica_refuses_is_an_error_of_the_backend_there_and_of_the_shape_of_all_errors_outside(
    served: Served,
) -> None:
    stranger = Job("nobody", np.array(served.puzzles[0], np.uint8), "fixed", 2)
    with pytest.raises(BackendError, match="no model nobody"):
        asyncio.run(served.backend().solve([stranger]))
    answer = served.client.post("/v1/solve", json={"puzzle": "12"})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"
    assert answer.headers.get_list("X-Request-ID") == [answer.json()["error"]["id"]]


def test_a_client_that_goes_away_frees_its_slot(served: Served) -> None:
    seen, used = Stream(), list[int]()

    def seen_two() -> bool:
        if sum(name == "segment" for name, _ in seen.events) < 2:
            return False
        used.append(served.slots_in_use())
        return True

    served.stream(seen, seen_two)
    assert used == [1]
    assert seen.end == "segment"
    until(lambda: served.slots_in_use() == 0)


def test_a_replica_that_is_killed_ends_its_streams_with_an_error_and_is_replaced(served: Served) -> None:
    seen = [Stream() for _ in range(6)]
    with ThreadPoolExecutor(len(seen) + 1) as pool:
        streams = [pool.submit(served.stream, stream) for stream in seen]
        until(lambda: all(len(stream.events) > 3 for stream in seen))
        before = thinkers()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        answers = [served.solve(served.puzzles).json() for _ in range(5)]
        ends = [stream.result().end for stream in streams]
    assert set(ends) == {"result", "error"}
    error = next(stream.events[-1][1]["error"] for stream in seen if stream.end == "error")
    assert error["code"] == "internal"
    assert error["id"] == next(s for s in seen if s.end == "error").events[0][1]["id"]
    assert "Ray" not in error["message"]
    assert all(result["tokens"] for answer in answers for result in answer["results"])  # retried, not failed
    assert answers[0] | {"results": []} == answers[-1] | {"results": []}
    until(lambda: len(thinkers()) == 2 and before[0] not in thinkers())
    assert served.slots_in_use() == 0


def test_a_stop_finishes_what_runs_and_takes_nothing_new(served: Served) -> None:
    seen = Stream()
    with ThreadPoolExecutor(2) as pool:
        stream = pool.submit(served.stream, seen)
        until(lambda: len(seen.events) > 3)
        draining = pool.submit(serve.drain, SECONDS)
        until(lambda: served.client.get("/readyz").status_code == 503)
        assert not draining.done()
        refused = served.solve(served.puzzles[:1])
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "stopping"
        assert stream.result().end == "result"
        assert draining.result() == 0


# Without a cluster.


class DyingHandle:
    """A handle of replicas that die one after another, but for the last."""

    def __init__(self, deaths: int):
        self._deaths = deaths
        self.cancelled = 0

    def options(self, **_: Any) -> DyingHandle:
        return self

    def remote(self, jobs: Sequence[Job]) -> DyingHandle:
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def __await__(self) -> Generator[None, None, Any]:
        self._deaths -= 1
        if self._deaths >= 0:
            raise ActorDiedError
        yield from ()
        return ["solved"]


def test_jobs_whose_replica_dies_are_tried_once_more_and_then_fail_in_one_line() -> None:
    job = Job("m", np.zeros(4, np.uint8), "fixed", 2)
    for deaths in (0, 1):
        backend = RayBackend(DyingHandle(deaths), [], slots=8, replicas=2)  # type: ignore[arg-type]
        assert asyncio.run(backend.solve([job])) == ["solved"]
    handle = DyingHandle(2)
    with pytest.raises(BackendError, match=r"^ActorDiedError: .*$"):
        asyncio.run(RayBackend(handle, [], slots=8, replicas=2).solve([job]))  # type: ignore[arg-type]
    assert handle.cancelled == 2


# The command.


@pytest.mark.slow
def test_the_command_serves_until_it_is_asked_to_stop_and_leaves_nothing_behind() -> None:
    process = start(["-m", "hrm_rl.cli.main", "serve", "--model", "sudoku4", "--port", "0"])
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("ready at ")), "")
    url = line.split()[2] if line else ""
    try:
        assert "(sudoku4; 1 replica with 1 CPU each on this machine); Ctrl-C stops it" in line
        puzzle = generate_held_out(load_model("sudoku4").task, ["easy"], 1, seed=1).inputs[0].tolist()
        served, seen = Served(url, load_model("sudoku4"), [puzzle]), Stream()
        with ThreadPoolExecutor(1) as pool:
            stream = pool.submit(served.stream, seen)
            until(lambda: len(seen.events) > 3)
            os.killpg(process.pid, signal.SIGTERM)
            assert stream.result().end == "result"
    finally:
        process.send_signal(signal.SIGTERM)
        status, _, errors = ended(process, SECONDS)
    assert status == 143
    assert "SIGTERM: stopping: running requests have 20 s" in errors
    assert '"path": "/v1/solve/stream", "status": 200' in errors
    assert "Traceback" not in errors
    assert left(process.pid) == []


def test_replicas_that_can_have_no_room_are_refused_before_anything_starts() -> None:
    machine = Machine("this machine", 2, 1)
    serve.refuse_small(machine, 2, 0.5)
    for replicas, gpus, advice in ((3, 0.0, "give --replicas 2"), (2, 1.0, "give --replicas 1")):
        with pytest.raises(UserError, match=advice):
            serve.refuse_small(machine, replicas, gpus)


def test_of_a_traceback_the_last_error_is_told() -> None:
    told = 'Traceback ...\n  File "x.py", line 1\n    raise ValueError("no")\nValueError: no\nsee the logs'
    assert serve.last_error(["", told]) == "ValueError: no"
    assert serve.last_error([]) == "it does not say why"
