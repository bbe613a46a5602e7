"""The load of many clients: what they make of what a server answers, and what the benchmark makes of that."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from hrm_rl.benchmarks.load import SOLVE, STREAM, Load, Met, bear
from hrm_rl.benchmarks.processes import cpu_seconds, descendants, resident_mb, title
from hrm_rl.benchmarks.serving import CLIENTS, aims, percentile

PLAIN = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 28\r\n\r\n{"error":{"message":"full"}}'
CLOSING = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def streamed(*events: str) -> str:
    chunks = [f"event: {event}\ndata: {{}}\n\n" for event in events]
    body = "".join(f"{len(chunk):x}\r\n{chunk}\r\n" for chunk in chunks)
    return f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n"


async def met_with(answers: Sequence[str], path: str = SOLVE, **changes: Any) -> tuple[Met, list[Any]]:
    """What clients meet with at a server that gives these answers in turn, and the bodies that it gets."""
    bodies: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            assert head.startswith(f"POST {path} HTTP/1.1\r\n")
            size = int(head.split("Content-Length: ")[1].split("\r\n")[0])
            text = answers[len(bodies) % len(answers)]
            bodies.append(json.loads(await reader.readexactly(size)))
            writer.write(text.encode())
            await writer.drain()
            if not text or "close" in text:
                writer.close()
                return

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    load: dict[str, Any] = {"clients": 1, "seconds": 30.0, "requests": 4, **changes}
    met = await bear(Load(url, path, [{"n": 0}, {"n": 1}, {"n": 2}], **load))
    server.close()
    return met, bodies


def test_clients_take_the_requests_in_turn_and_time_every_answer() -> None:
    met, bodies = asyncio.run(met_with([PLAIN, CLOSING]))
    assert [body["n"] for body in bodies] == [0, 1, 2, 0]
    assert (len(met.answer), met.first, met.failed) == (4, [], {})
    assert 0 < sum(met.answer) <= met.seconds


def test_the_first_segment_of_a_stream_is_timed_and_an_error_at_its_end_is_a_failure() -> None:
    good, bad = streamed("begin", "segment", "segment", "result"), streamed("begin", "segment", "error")
    met, _ = asyncio.run(met_with([good, bad], STREAM))
    assert len(met.first) == len(met.answer) == 2
    assert all(first <= answer for first, answer in zip(met.first, met.answer, strict=True))
    assert met.failed == {"error event": 2}


def test_what_is_no_answer_is_counted_by_what_it_is() -> None:
    met, _ = asyncio.run(met_with([BUSY, "", PLAIN, PLAIN]))
    assert met.failed == {"429 too many requests: full": 1, "IncompleteReadError": 1}
    assert len(met.answer) == 2


def test_clients_stop_when_the_time_is_over() -> None:
    met, bodies = asyncio.run(met_with([PLAIN], clients=3, seconds=0.2, requests=None))
    assert met.seconds == 0.2
    assert len(bodies) == len(met.answer) > 3


def test_gains_and_growth_are_told_as_aims() -> None:
    rates = {("HTTP", CLIENTS[0]): 20.0, ("HTTP", CLIENTS[-1]): 110.0}
    load = [{"server": s, "clients": c, "puzzles_per_s": rate} for (s, c), rate in rates.items()]
    memory = [{"requests": 1000, "mb": 400.0}, {"requests": 10_000, "mb": 404.0}]
    found = {"model": "sudoku9", "load": load, "memory": memory, "ready_s": {"HTTP": 11.0}}
    assert [(aim.measured, aim.reached) for aim in aims(found)] == [
        (5.5, True),
        (11.0, False),
        (pytest.approx(0.01), True),
    ]


def test_percentiles_are_in_milliseconds() -> None:
    assert percentile([0.001, 0.002, 0.003], 50) == pytest.approx(2.0)
    assert percentile([], 50) != percentile([], 50)


def test_a_process_is_known_by_who_started_it() -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE) as parent:
        found: list[int] = []
        while not found:
            found = [pid for pid in descendants(parent.pid) if title(pid).endswith("input() ")]
        assert resident_mb(found[0]) > 1
        assert cpu_seconds(found[0]) >= 0
        parent.communicate(b"\n")
    assert title(found[0]) == ""
    assert list(descendants(parent.pid)) == []
