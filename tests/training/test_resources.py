"""What a run asks for, against what there is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_rl.training.resources import Machine, check, cluster_address, in_this_process, make_plan
from hrm_rl.utils.errors import UserError

LAPTOP = Machine("this machine", 2, 0)
GPU_BOX = Machine("this machine", 16, 4)


def test_what_the_flags_leave_open_is_filled_in_from_the_machine() -> None:
    plan = make_plan(None, None, None, GPU_BOX)
    assert (plan.high, plan.gpus_per_worker, plan.cpus_per_worker, plan.backend) == (4, 1, 4, "nccl")
    plan = make_plan("2", None, None, LAPTOP)
    assert (plan.high, plan.gpus_per_worker, plan.threads, plan.backend) == (2, 0, 1, "gloo")
    assert make_plan("0", None, None, LAPTOP).threads == 2


def test_less_than_a_gpu_for_each_worker_takes_gloo() -> None:
    assert make_plan("8", None, 0.5, GPU_BOX).backend == "gloo"


def test_a_range_of_workers_is_elastic() -> None:
    plan = make_plan("1:3", None, None, GPU_BOX)
    assert (plan.low, plan.high, plan.elastic) == (1, 3, True)
    assert not make_plan("3", None, None, GPU_BOX).elastic


@pytest.mark.parametrize("workers", ["x", "1:", "3:2", "-1", "0:2", "1.5", ""])
def test_a_worker_count_that_means_nothing_is_refused_in_one_line(workers: str) -> None:
    with pytest.raises(UserError) as error:
        make_plan(workers, None, None, LAPTOP)
    assert "--num-workers" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("cpus", "gpus"), [(0.5, None), (None, -1.0), (None, 2.0)])
def test_impossible_shares_are_refused(cpus: float | None, gpus: float | None) -> None:
    with pytest.raises(UserError):
        make_plan("1", cpus, gpus, GPU_BOX)


def test_more_workers_than_slots_are_refused() -> None:
    with pytest.raises(UserError, match="at least one slot"):
        check(make_plan("4", None, None, GPU_BOX), GPU_BOX, 3, "cmd")


@given(
    workers=st.integers(1, 64),
    gpus=st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]),
    cpus=st.none() | st.integers(1, 32).map(float),
    machine=st.builds(Machine, st.just("this machine"), st.integers(1, 16), st.integers(0, 4)),
)
def test_the_advice_of_a_refusal_runs_on_the_machine(
    workers: int, gpus: float | None, cpus: float | None, machine: Machine
) -> None:
    plan = make_plan(str(workers), cpus, gpus, machine)
    lacks = plan.high * plan.cpus_per_worker > machine.cpus or plan.high * plan.gpus_per_worker > machine.gpus
    if not lacks:
        check(plan, machine, 1000, "cmd")
        return
    with pytest.raises(UserError) as error:
        check(plan, machine, 1000, "cmd")
    assert "\n" not in str(error.value)
    flags = dict(
        re.findall(r"--([\w-]+) ([\d.]+)", str(error.value).partition("this would run here: cmd")[2])
    )
    advised = make_plan(
        flags["num-workers"],
        float(flags["cpus-per-worker"]) if "cpus-per-worker" in flags else None,
        float(flags["gpus-per-worker"]),
        machine,
    )
    check(advised, machine, 1000, "cmd")


def test_no_worker_is_planned_larger_than_the_machine_it_has_to_fit_on() -> None:
    four_nodes = Machine("the cluster", 32, 0, ((8, 0),) * 4)
    assert make_plan(None, None, None, four_nodes).cpus_per_worker == 8
    head_and_two = Machine("the cluster", 36, 2, ((4, 0), (16, 1), (16, 1)))
    plan = make_plan(None, None, None, head_and_two)
    assert (plan.high, plan.gpus_per_worker, plan.cpus_per_worker) == (2, 1, 16)
    check(plan, head_and_two, 64, "cmd")
    with pytest.raises(UserError, match="each worker must fit on one"):
        check(make_plan("1", 9, 0, four_nodes), four_nodes, 64, "cmd")
    with pytest.raises(UserError, match="each worker must fit on one"):
        check(make_plan("3", 1, 0.6, GPU_PAIR), GPU_PAIR, 64, "cmd")


GPU_PAIR = Machine("the cluster", 8, 2, ((4, 1), (4, 1)))


def test_training_in_this_process_is_held_to_the_machine_too() -> None:
    with pytest.raises(UserError, match="--num-workers 0 --cpus-per-worker 2"):
        check(make_plan("0", 64, None, LAPTOP), LAPTOP, 64, "cmd")
    with pytest.raises(UserError, match=r"--train\.device"):
        make_plan("0", None, 1, GPU_BOX)


def test_the_device_and_the_gpus_may_not_contradict_each_other() -> None:
    plan = make_plan(None, None, None, GPU_BOX, device="cpu")
    assert (plan.high, plan.gpus_per_worker) == (1, 0)
    for device, gpus in (("cpu", 1.0), ("cuda", 0.0), ("mps", None)):
        with pytest.raises(UserError, match=r"--train\.device"):
            make_plan("2", None, gpus, GPU_BOX, device=device)


@pytest.mark.parametrize(
    ("flag", "variable", "address"),
    [
        (None, None, None),
        (None, "", None),
        (None, "local", None),
        ("local", "10.0.0.1:6379", None),
        (None, "10.0.0.1:6379", "10.0.0.1:6379"),
        (None, "auto", "auto"),
        ("auto", None, "auto"),
        ("auto", "10.0.0.1:6379", "10.0.0.1:6379"),
        ("10.0.0.2:6379", "10.0.0.1:6379", "10.0.0.2:6379"),
        ("10.0.0.2:6379", "local", "10.0.0.2:6379"),
    ],
)
def test_the_cluster_is_that_of_the_flag_else_of_the_variable_and_local_is_none(
    flag: str | None, variable: str | None, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert cluster_address(flag) == address


def test_a_cluster_that_is_there_and_not_there_is_a_contradiction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(UserError, match="--address auto and RAY_ADDRESS=local contradict"):
        cluster_address("auto")


def test_without_workers_there_is_no_cluster_to_name() -> None:
    assert in_this_process("0", None)
    assert not any(in_this_process(workers, "auto") for workers in (None, "1", "2:4"))
    with pytest.raises(UserError, match="--address auto is the cluster of Ray workers, and --num-workers 0"):
        in_this_process("0", "auto")
