"""Many clients of a service at once, in a process of their own: `python -m hrm_rl.benchmarks.load`, with a
`Load` as JSON on standard input, prints what they `Met`, as JSON too.

Each client has one connection and asks again as soon as it has an answer. It speaks just enough HTTP to
measure a server without being what is measured: what it costs is counted. Imports no more than that takes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

SOLVE, STREAM = "/v1/solve", "/v1/solve/stream"
PATIENCE = 60.0
"""Seconds that a client waits for anything before it counts as failed."""


@dataclass(frozen=True)
class Load:
    """What to ask of a service."""

    url: str
    path: str
    bodies: list[dict[str, Any]]
    """Requests, taken in turn by whichever client is free."""
    clients: int
    seconds: float
    """No request is sent after so long."""
    requests: int | None = None
    """Nor after so many."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Met:
    """What the clients met with."""

    seconds: float = 0.0
    """From the first request to the end: of the time, or of the last request if they were counted."""
    cpu_seconds: float = 0.0
    """That the clients took."""
    first: list[float] = field(default_factory=list)
    """Seconds from a request to the first segment of its stream."""
    answer: list[float] = field(default_factory=list)
    """Seconds from a request to its end."""
    failed: dict[str, int] = field(default_factory=dict)
    """Requests without an answer, by what there was instead."""


class Refused(Exception):
    """There was no answer; the message says what there was instead."""


class LoadClient:
    """One connection."""

    def __init__(self, load: Load):
        place = urlsplit(load.url)
        self._host, self._port = place.hostname or "127.0.0.1", place.port or 80
        self._head = "".join(f"{name}: {value}\r\n" for name, value in load.headers.items())
        self._path = load.path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes) -> AsyncIterator[bytes]:
        """The parts of the body that come back. Raises Refused, OSError."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(
            f"POST {self._path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = head.split("\r\n", 1)[0].split(" ", 1)[1].strip()
        if "transfer-encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                yield (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        else:
            size = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
            content = await reader.readexactly(size)
            if not status.startswith("200 "):
                raise Refused(f"{status}: {_message(content)}")
            yield content
        if "connection: close" in head:
            self.close()

    def close(self) -> None:
        """The next request takes a new connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _message(content: bytes) -> str:
    """What a service says of an error; nothing of one that is not in its shape."""
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""


async def bear(load: Load) -> Met:
    """Let the clients ask."""
    met, started, cpu = Met(), time.perf_counter(), time.process_time()
    bodies = itertools.cycle([json.dumps(body).encode() for body in load.bodies])
    if load.requests is not None:
        bodies = itertools.islice(bodies, load.requests)  # type: ignore[assignment]
    end = started + load.seconds
    clients = [LoadClient(load) for _ in range(load.clients)]
    await asyncio.gather(*(_ask_on(client, bodies, end, met) for client in clients))
    met.seconds = load.seconds if load.requests is None else time.perf_counter() - started
    met.cpu_seconds = time.process_time() - cpu
    return met


async def _ask_on(client: LoadClient, bodies: Iterator[bytes], end: float, met: Met) -> None:
    while (asked := time.perf_counter()) < end and (body := next(bodies, None)) is not None:
        try:
            first = await asyncio.wait_for(_first_segment(client, body), PATIENCE)
        except (Refused, OSError, EOFError, asyncio.TimeoutError) as error:
            client.close()
            what = str(error) if isinstance(error, Refused) else type(error).__name__
            met.failed[what] = met.failed.get(what, 0) + 1
            continue
        now = time.perf_counter()
        met.answer.append(now - asked)
        if first is not None:
            met.first.append(first - asked)
    client.close()


async def _first_segment(client: LoadClient, body: bytes) -> float | None:
    """Read an answer to its end. Returns when the first segment of a stream had come. Raises Refused if it
    ends with an error."""
    first, last = None, b""
    async for part in client.ask(body):
        if first is None and b"event: segment" in part:
            first = time.perf_counter()
        last = part
    if b"event: error" in last:
        raise Refused("error event")
    return first


def main() -> None:
    """Read a `Load`, print what was `Met`."""
    print(json.dumps(asdict(asyncio.run(bear(Load(**json.load(sys.stdin)))))))


if __name__ == "__main__":
    main()
