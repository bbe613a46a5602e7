"""Waiting for Ray: results and errors come back, the first Ctrl-C asks for an end, the second one is one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hrm_rl.distributed.watch import watch


def test_the_result_or_the_error_comes_back(tmp_path: Path) -> None:
    shown: list[int] = []
    assert watch(lambda: 3, lambda: shown.append(1), tmp_path / "stop", print, "stopping") == 3
    assert shown, "what there is to show at the end was not shown"

    def fail() -> None:
        raise OSError("full")

    ended = watch(fail, lambda: None, tmp_path / "stop", print, "stopping")
    assert isinstance(ended, OSError)
    assert not (tmp_path / "stop").exists()


def test_the_first_ctrl_c_asks_for_an_end_and_the_second_does_not_wait_for_it(tmp_path: Path) -> None:
    request, end, said = tmp_path / "stop", threading.Event(), list[str]()

    def ends_when_asked() -> str:
        while not request.exists():
            end.wait(0.01)
        return "with a checkpoint"

    def ctrl_c() -> None:
        if not end.is_set() and not request.exists():
            raise KeyboardInterrupt

    assert watch(ends_when_asked, ctrl_c, request, said.append, "stopping") == "with a checkpoint"
    assert said == ["stopping; Ctrl-C again to stop at once"]

    def always_ctrl_c() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # the request of the first is still there
        watch(end.wait, always_ctrl_c, request, said.append, "stopping")
    assert len(said) == 1
    end.set()
