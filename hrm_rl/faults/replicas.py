"""Faults that end one process of a service: a replica, while clients ask."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import threading
import time
from collections.abc import Sequence

from hrm_rl.benchmarks.load import SOLVE, STREAM, Load, Met, bear
from hrm_rl.benchmarks.processes import descendants, title
from hrm_rl.faults.cluster import LONGEST, kill_one
from hrm_rl.faults.commands import Running, verdict
from hrm_rl.faults.subject import Subject
from hrm_rl.runs.folder import RunFolder

REPLICA = "ray::ServeReplica:hrm-rl:Thinker"
"""The beginning of its process's title."""
BOARD = "1.............4."
"""A puzzle of 4x4 with several solutions, which is what `allow_unproven` is for."""
SECONDS = 3.0
"""That the clients ask, half of them for streams."""
ALLOWED = ("500 ", "error event")
"""What a client may get instead of an answer: one error in the shape of all errors."""


def killed_serving(subject: Subject, whole: RunFolder, chance: random.Random) -> str | None:
    """Kill a replica of two while clients ask. They have to get answers, or errors that say so; and after
    that the service has two replicas, answers, and ends when it is asked to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ["--model", str(whole.path), "--replicas", "2", "--port", str(port)]
    running = subject.commands.start(["serve", *where])
    try:
        return _struck(running, f"http://127.0.0.1:{port}", chance)
    finally:
        running.kill()


def _struck(running: Running, url: str, chance: random.Random) -> str | None:
    if not running.until(lambda: running.log.exists() and "ready at" in running.output, LONGEST, every=0.1):
        return verdict(running) or "it ended before it was ready"
    met: list[Met] = []
    clients = [
        threading.Thread(target=lambda path=path: met.append(_ask(url, path, SECONDS)))
        for path in (SOLVE, STREAM)
    ]
    for client in clients:
        client.start()
    time.sleep(chance.uniform(0.2, SECONDS - 0.5))
    struck = kill_one(running, REPLICA, chance)
    for client in clients:
        client.join()
    if not struck:
        return "there was no replica to kill"
    if not running.until(lambda: len(_replicas(running)) == 2, LONGEST, every=0.1):
        return "the replica was not replaced"
    met.append(_ask(url, SOLVE, 1.0))
    if met[-1].failed:
        return f"after that, requests fail: {met[-1].failed}"
    running.kill(signal.SIGTERM)
    status = running.wait(LONGEST)
    if status != 128 + signal.SIGTERM:
        return f"asked to stop, it ended with {status}"
    return _wrong(met, running.output)


def _wrong(met: Sequence[Met], output: str) -> str | None:
    failed = {what for one in met for what in one.failed if not what.startswith(ALLOWED)}
    if failed:
        return f"clients met with {', '.join(sorted(failed))}"
    if not all(one.answer for one in met):
        return "clients got no answers"
    return "a traceback" if "Traceback (most recent call last)" in output else None


def _ask(url: str, path: str, seconds: float) -> Met:
    body = {"puzzle": BOARD, "mode": "fixed", "segments": 50, "allow_unproven": True}
    return asyncio.run(bear(Load(url, path, [body], 4, seconds)))


def _replicas(running: Running) -> list[int]:
    return [pid for pid in descendants(running.pid) if title(pid).startswith(REPLICA)]
