"""What all tests share. The pieces to build small runs from are in tiny.py."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

# No deadline: how long an example takes says nothing on a shared machine.
settings.register_profile("hrm_rl", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("hrm_rl")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under several processes (`-n`) a module's tests stay together, for the sake of its fixtures, and so do all that
    share the Ray cluster."""
    for item in items:
        uses_cluster = "cluster" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("ray" if uses_cluster else item.nodeid.partition("::")[0]))


@pytest.fixture(autouse=True)
def _calm_torch() -> None:
    """One thread, which is what a machine shared with other jobs has to give, a known seed, and arithmetic as
    it is by default: a test that trains through `train_here` leaves denormal numbers flushed to zero."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    torch.manual_seed(0)
