"""Waiting for Ray: results and errors come back, the first Ctrl-C asks for an end, the second one is one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hrm_rl.distributed.watch import watch
from hrm_rl.utils import stops


def test_the_result_or_the_error_comes_back(tmp_path: Path) -> None:
    shown: list[int] = []
    assert watch(lambda: 3, lambda: shown.append(1), lambda: True, tmp_path / "stop", print, "stopping") == 3
    assert shown, "what there is to show at the end was not shown"

    def fail() -> None:
        raise OSError("full")

    ended = watch(fail, lambda: None, lambda: True, tmp_path / "stop", print, "stopping")
    assert isinstance(ended, OSError)
    assert not (tmp_path / "stop").exists()


@pytest.fixture(autouse=True)
def _hear_ctrl_c() -> Iterator[None]:
    """A shell that starts pytest in the background has it ignore Ctrl-C; Ray, if a test before this one has
    started it, answers SIGTERM."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_ctrl_c_asks_for_an_end_and_the_second_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, end, said = tmp_path / "stop", threading.Event(), list[str]()
    monkeypatch.setattr(stops, "SAME_SECONDS", 0.0)

    def ends_when_told() -> str:
        while not said:
            end.wait(0.01)
        return "with a checkpoint"

    def ctrl_c() -> None:
        if not request.exists():
            signal.raise_signal(signal.SIGINT)

    assert (
        watch(ends_when_told, ctrl_c, lambda: True, request, said.append, "stopping") == "with a checkpoint"
    )
    assert said == ["stopping; Ctrl-C again to stop at once"]

    def always_ctrl_c() -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        watch(end.wait, always_ctrl_c, lambda: True, request, said.append, "stopping")
    end.set()


def test_another_signal_is_named(tmp_path: Path) -> None:
    said: list[str] = []

    def terminate() -> None:
        if not said:
            signal.raise_signal(signal.SIGTERM)

    def ends_when_told() -> None:
        while not said:
            time.sleep(0.01)

    watch(ends_when_told, terminate, lambda: True, tmp_path / "stop", said.append, "stopping")
    assert said == ["SIGTERM: stopping; Ctrl-C again to stop at once"]


def test_before_there_is_anything_to_save_nobody_waits(tmp_path: Path) -> None:
    end = threading.Event()
    with pytest.raises(stops.Stopped):
        watch(
            end.wait, lambda: signal.raise_signal(signal.SIGTERM), lambda: False, tmp_path / "stop", print, ""
        )
    assert not (tmp_path / "stop").exists()
    end.set()
