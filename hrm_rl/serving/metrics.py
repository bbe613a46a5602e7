"""What /metrics says, for Prometheus: requests, latency by stage, slots in use, segments a puzzle."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SEGMENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024)


class Metrics:
    """The numbers of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "hrm_rl_requests", "Requests, by route, method and status.", ("route", "method", "status"),
            registry=registry,
        )  # fmt: skip
        self.latency = Histogram(
            "hrm_rl_latency_seconds",
            "Seconds by stage: proof, queue and think of a puzzle, total of a request under /v1/.",
            ("stage",),
            buckets=SECONDS,
            registry=registry,
        )
        self.segments = Histogram(
            "hrm_rl_segments", "Segments that a puzzle took.", ("model",), buckets=SEGMENTS, registry=registry
        )
        self.puzzles = Counter(
            "hrm_rl_puzzles", "Puzzles that were thought about to the end.", ("model", "solved"),
            registry=registry,
        )  # fmt: skip
        self.slots = Gauge("hrm_rl_slots", "Puzzles that can be thought about at a time.", registry=registry)
        self.slots_in_use = Gauge("hrm_rl_slots_in_use", "Slots that are taken now.", registry=registry)
        self.admitted = Gauge(
            "hrm_rl_puzzles_admitted",
            "Puzzles in slots and in the queue, proofs included.",
            registry=registry,
        )
        ProcessCollector(registry=registry)

    def render(self) -> bytes:
        return generate_latest(self.registry)
