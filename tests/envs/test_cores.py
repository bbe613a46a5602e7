"""CPU quotas of control groups, as containers and batch systems set them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envs import cores
from envs.cores import cpu_quota, usable_cpus

V1, V2 = "4:cpu,cpuacct:{}\n1:name=systemd:/\n0::/\n", "0::{}\n"


def tree(root: Path, groups: str, files: dict[str, str]) -> Path:
    """`proc` and `sys` as a kernel shows them. files: below /sys/fs/cgroup."""
    for name, text in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{n}": t for n, t in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v1(group: str, quota: int) -> dict[str, str]:
    """The files of a limit of version 1."""
    return {f"{group}/cpu.cfs_quota_us": f"{quota}\n", f"{group}/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        (V2.format("/"), {"cpu.max": "150000 100000\n"}, 1.5),
        (V2.format("/"), {"cpu.max": "max 100000\n"}, None),
        (V2.format("/job/step"), {"job/cpu.max": "400000 100000", "job/step/cpu.max": "max 100000"}, 4),
        (V2.format("/job/step"), {"job/cpu.max": "100000 100000", "job/step/cpu.max": "200000 100000"}, 1),
        (V2.format("/../outside/x"), {"cpu.max": "50000 100000"}, 0.5),
        (V1.format("/docker/ab"), v1("cpu,cpuacct", 300000), 3),
        (V1.format("/job"), v1("cpu/job", 200000), 2),
        (V1.format("/"), v1("cpu", -1), None),
        (V1.format("/"), {"unified/cpu.max": "700000 100000"}, 7),
        (V2.format("/"), {"cpu.max": "nonsense"}, None),
        ("", {}, None),
    ],
)
def test_the_least_quota_of_a_process_and_the_groups_above_it_counts(
    groups: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert cpu_quota(tree(tmp_path, groups, files)) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "cpus"), [(None, 8), (2.5, 2), (0.5, 1), (64.0, 8)])
def test_threads_and_workers_are_planned_for_the_quota_where_it_is_less_than_the_machine(
    quota: float | None, cpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    assert usable_cpus() == cpus
