"""The client: what a service says, as typed objects; what goes wrong, in one line."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from envs.errors import UserError
from hrm_rl.serving import Client
from hrm_rl.serving.schemas import BeginEvent, ResultEvent, SegmentEvent
from tests.helpers.fake_backend import FakeBackend
from tests.helpers.live import live

PUZZLE, SOLUTION = "12343412214343.1", "1234341221434321"


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        ask()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_client_asks_for_everything() -> None:
    with live(FakeBackend(), token="abc") as url, Client(url, "abc") as client:
        assert [model.name for model in client.models()] == ["four", "maze", "nine"]
        assert [info.task for info in client.tasks()] == ["sudoku-4x4", "maze-5x5", "sudoku-9x9"]
        made = client.random("sudoku-4x4", "easy", seed=3)
        assert client.solve(made.tokens).tokens == made.solution
        assert client.solve(PUZZLE, mode="fixed", segments=2).answer == SOLUTION
        told = client.solve_all([PUZZLE, made.puzzle])
        assert [result.solved for result in told.results] == [True, True]
        kinds = [type(event) for event in client.stream(PUZZLE)]
        assert kinds == [BeginEvent, SegmentEvent, SegmentEvent, ResultEvent]


def test_leaving_a_stream_ends_the_thinking() -> None:
    backend = FakeBackend()
    backend.go_on.clear()
    with live(backend) as url, Client(url) as client:
        for event in client.stream(PUZZLE):
            if isinstance(event, SegmentEvent):
                assert backend.in_use == 1
                break
        del event
        deadline = time.monotonic() + 10
        while backend.in_use and time.monotonic() < deadline:
            time.sleep(0.01)
        assert backend.in_use == 0


def test_what_the_service_refuses_is_one_line() -> None:
    backend = FakeBackend()
    with live(backend, token="abc", max_puzzles=3) as url:
        assert "HRM_RL_TOKEN" in refusal(Client(url).models)
        client = Client(url, "abc")
        assert "can be 3 or 4" in refusal(lambda: client.solve("." * 16))
        assert "can be 3 or 4" in refusal(lambda: list(client.stream("." * 16)))
        assert "puzzle 2: the puzzle has" in refusal(lambda: client.solve_all([PUZZLE, "1"]))
        assert "give 3 at most" in refusal(lambda: client.solve_all([PUZZLE] * 4))
        assert "unknown level" in refusal(lambda: client.random("sudoku-4x4", "none"))
        assert "no JSON" in refusal(lambda: client.solve(PUZZLE, seed=float("nan")))
        assert "no JSON" in refusal(lambda: client.solve(PUZZLE, seed=object()))
        backend.error = RuntimeError()
        assert "(request " in refusal(lambda: client.solve(PUZZLE))
        assert "the log has it" in refusal(lambda: list(client.stream(PUZZLE)))


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """The address of something that gives every request this answer and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        place.settimeout(10)

        def serve() -> None:
            connection, _ = place.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
        thread.join(10)


def http(body: bytes, status: int = 200, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the connection broke"),
        (b"SSH-2.0\r\n", "the connection broke"),
        (http(b"<html>"), "answers in another form: is it a service of this version of hrm-rl?"),
        (http(json.dumps({"models": 3}).encode()), "answers in another form"),
        (http(b"<html>", 502), "status 502; is it an hrm-rl service?"),
        (http(b'{"error": "x"}', 404), "status 404"),
    ],
)
def test_what_is_no_service_is_one_line(answer: bytes, said: str) -> None:
    with saying(answer) as url:
        assert said in refusal(Client(url).models)


def test_a_stream_that_breaks_off_is_one_line() -> None:
    with saying(http(b"event: begin\n\n", kind="text/event-stream")) as url:
        assert "answers in another form" in refusal(lambda: list(Client(url).stream(PUZZLE)))
    with saying(http(b": ping\n\n", kind="text/event-stream")) as url:
        assert "ended the stream before the result" in refusal(lambda: list(Client(url).stream(PUZZLE)))


def test_addresses_that_are_none_or_where_nobody_is() -> None:
    for url in ("127.0.0.1:8000", "ftp://127.0.0.1", "http://", "nonsense", "http://[::1"):
        assert "127.0.0.1:8000" in (line := refusal(partial(Client, url))) or "cannot ask" in line
    with socket.create_server(("127.0.0.1", 0)) as place:
        free = place.getsockname()[1]
    assert "does `hrm-rl serve` run?" in refusal(Client(f"http://127.0.0.1:{free}").models)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        assert "did not answer within 0.2 s" in refusal(client.models)
