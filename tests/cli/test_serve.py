"""`hrm-rl serve --no-ray` and `hrm-rl solve --url`, as a user meets them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from hrm_rl.cli import serve as serve_command
from hrm_rl.cli import solve as solve_command
from hrm_rl.runs.loading import load_model
from hrm_rl.serving.engine import LocalBackend
from tests.helpers.asgi import events_of
from tests.helpers.commands import refusal
from tests.helpers.exported import saved
from tests.helpers.fake_backend import FakeBackend
from tests.helpers.live import live
from tests.helpers.processes import ended, start

PUZZLE = "1..4..1.2..1.1.3"
SECONDS = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that never wants to halt."""
    return saved(tmp_path_factory.mktemp("models") / "tiny", halt=False)


@contextmanager
def served(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves, and its address."""
    process = start(["-m", "hrm_rl.cli.main", "serve", "--no-ray", "--port", "0", *flags])
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"ready at (http://127\.0\.0\.1:\d+) \((.+)\); Ctrl-C stops it\n", line)
        assert found, (line, process.poll() is not None and process.communicate())
        yield process, found[1]
    finally:
        watchdog.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_a_stop_finishes_the_stream_that_runs_and_takes_no_more(folder: str) -> None:
    body = {"puzzle": PUZZLE, "mode": "fixed", "segments": 200, "allow_unproven": True}
    with served("--model", folder) as (process, url), httpx.Client(timeout=SECONDS) as client:
        assert client.get(f"{url}/readyz").status_code == 200
        with client.stream("POST", f"{url}/v1/solve/stream", json=body) as response:
            chunks = response.iter_text()
            text = next(chunks)
            process.send_signal(signal.SIGTERM)
            while (refused := httpx.get(f"{url}/readyz")).status_code == 200:
                assert process.poll() is None
            assert refused.json()["error"]["code"] == "stopping"
            text += "".join(chunks)
        events = events_of(text)
        assert [name for name, _ in events] == ["begin", *["segment"] * 200, "result"]
        status, _, errors = ended(process, 20)
    assert status == 128 + signal.SIGTERM
    assert any(line.startswith("SIGTERM: stopping") for line in errors.splitlines())
    logged = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert any(line.get("segments") == 200 for line in logged)
    assert "Traceback" not in errors


def test_what_runs_beyond_the_grace_is_told(folder: str) -> None:
    body = {"puzzle": PUZZLE, "mode": "fixed", "segments": 100_000, "allow_unproven": True}
    flags = ("--model", folder, "--grace", "0.5", "--max-segments", "100000")
    with served(*flags) as (process, url), httpx.Client(timeout=SECONDS) as client:
        with client.stream("POST", f"{url}/v1/solve/stream", json=body) as response:
            chunks = response.iter_text()
            text = next(chunks)
            process.send_signal(signal.SIGINT)  # Ctrl-C
            text += "".join(chunks)
        name, data = events_of(text)[-1]
        assert (name, data["error"]["code"]) == ("error", "stopping")
        status, out, errors = ended(process, 20)
    assert (status, out) == (130, "")
    stopping, request = errors.splitlines()
    assert stopping == "stopping: running requests have 0.5 s"
    assert json.loads(request)["error"].startswith("the server stopped")


def test_a_port_that_is_taken_or_not_allowed_is_one_line(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--no-ray", "--model", folder, "--port")
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
        line = refusal(serve_command.main, *flags, str(port))
        assert line == f"port {port} of 127.0.0.1 is taken: give another with --port, or 0 for a free one"

    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", closed)
    assert "port 80 is not allowed to this user" in refusal(serve_command.main, *flags, "80")


def test_a_token_that_is_none_is_one_line(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_RL_TOKEN", "")
    assert "HRM_RL_TOKEN is set and empty" in refusal(serve_command.main, "--no-ray", "--model", folder)


# solve --url


def shown(capsys: pytest.CaptureFixture[str], args: Sequence[str]) -> list[str]:
    """What `hrm-rl solve` shows, without its first line."""
    capsys.readouterr()
    assert solve_command.main(list(args)) == 0
    return capsys.readouterr().out.splitlines()[1:]


@pytest.fixture(scope="module")
def service(folder: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with a Sudoku model and one of mazes."""
    maze = saved(
        tmp_path_factory.mktemp("models") / "maze",
        halt=None,
        env={"task": "maze", "size": 5},
        curriculum={"stages": ("easy=1",)},
    )
    with live(LocalBackend([load_model(folder), load_model(maze)], 4)) as url:
        yield url


@pytest.mark.parametrize(
    "flags",
    [
        ("--puzzle", "1234341221434.21"),
        ("--puzzle", "1234341221434.21", "--think-on", "--max-segments", "4"),
        ("--random", "hard", "--seed", "5", "--search", "--max-segments", "6"),
    ],
)
def test_the_boards_are_those_of_a_model_of_ones_own(
    flags: tuple[str, ...], folder: str, service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = shown(capsys, ["--checkpoint", folder, *flags])
    there = shown(capsys, ["--url", service, "--model", "tiny", *flags])
    assert there == here
    assert len(here) > 5


def test_the_model_that_takes_the_puzzle_is_found(
    service: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    maze = tmp_path / "maze.txt"
    maze.write_text("S  \n # \n  G\n")
    args = ["--url", service, "--file", str(maze), "--gif", str(tmp_path / "out.gif")]
    assert solve_command.main(args) == 0
    assert capsys.readouterr().out.startswith(f"maze at {service} (version ")
    assert (tmp_path / "out.gif").exists()


def test_what_the_service_refuses_is_one_line(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solve = ("--url", service)
    assert "unknown model 'tinny'; did you mean 'tiny'?" in refusal(
        solve_command.main, *solve, "--model", "tinny", "--puzzle", PUZZLE
    )
    assert "can be" in refusal(solve_command.main, *solve, "--puzzle", "." * 16)
    assert "unknown level 'x'" in refusal(solve_command.main, *solve, "--random", "x")
    monkeypatch.setenv("HRM_RL_TOKEN", "wrong")
    with live(FakeBackend(), token="right") as url:
        assert "HRM_RL_TOKEN" in refusal(solve_command.main, "--url", url, "--random", "easy")
