"""What growth is fitted with, and the model of many workers."""

from __future__ import annotations

import pytest

from hrm_rl.benchmarks.scaling.fitting import exponent
from hrm_rl.benchmarks.scaling.fleet import line_of, reduce_seconds


def test_an_exponent_is_that_of_the_power_that_a_cost_is() -> None:
    values = (16, 81, 900)
    assert exponent(values, [3 * value**1.5 for value in values]) == pytest.approx(1.5)
    assert exponent(values, [7.0, 7.0, 7.0]) == pytest.approx(0)


def test_a_ring_is_told_from_the_times_of_two_workers() -> None:
    latency, bandwidth, sizes = 1e-4, 1e9, (1 << 10, 1 << 20, 1 << 24)
    times = [reduce_seconds(2, size, latency, bandwidth) for size in sizes]
    assert times[0] == pytest.approx(2 * latency, rel=0.01)
    assert line_of(sizes, times) == pytest.approx((latency, bandwidth))


def test_a_ring_sends_at_most_twice_the_bytes_however_many_workers_and_waits_for_each() -> None:
    assert reduce_seconds(1, 10**9, 1e-4, 1e9) == 0
    assert reduce_seconds(1000, 10**9, 0.0, 1e9) == pytest.approx(2, rel=0.01)
    assert reduce_seconds(65, 0, 1e-3, 1e9) == pytest.approx(0.128)
