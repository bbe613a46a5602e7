"""What a process is told before it trains: threads, denormal numbers, memory."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from hrm_rl.utils import devices


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What malloc is asked for, in place of asking it."""
    asked: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *args: asked.append(args))
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: library)
    return asked


def test_a_training_process_has_its_threads_and_keeps_its_memory(asked: list[tuple[int, int]]) -> None:
    devices.use_threads(2)
    assert torch.get_num_threads() == 2
    assert asked == ([(-1, 2**31 - 1), (-3, 32 * 2**20)] if sys.platform == "linux" else [])


def test_a_system_whose_malloc_cannot_be_asked_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: SimpleNamespace())
    devices.keep_freed_memory()
