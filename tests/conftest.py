"""What all tests share. The pieces to build small runs from are in tiny.py."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

# No deadline: how long an example takes says nothing on a shared machine.
settings.register_profile("hrm_rl", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("hrm_rl")


@pytest.fixture(autouse=True)
def _calm_torch() -> None:
    """One thread, which is what a machine shared with other jobs has to give, a known seed, and arithmetic as
    it is by default: a test that trains through `train_here` leaves denormal numbers flushed to zero."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    torch.manual_seed(0)
