"""Which settings a sweep tries, and that it tries the same when it is started again."""

from __future__ import annotations

import math

import pytest

from hrm_rl.sweeps.search import Tried, number_of_trials, propose
from hrm_rl.sweeps.space import Params, Space
from hrm_rl.utils.errors import UserError
from tests.helpers.small_sweeps import small_space

LR = {"optim.lr": {"dist": "loguniform", "lower": 1e-5, "upper": 1e-1}}
CYCLES = {
    "model.h_cycles": {"dist": "choice", "values": [1, 2, 4]},
    "model.l_cycles": {"dist": "choice", "values": [1, 2, 4]},
}


def run(space: Space, trials: int, score: object = None, seed: int = 0) -> list[Params]:
    """The params of a sweep whose trials come one after the other. score: (params) -> (value, cost)."""
    tried: list[Tried] = []
    for index in range(trials):
        params = propose(space, seed, index, tried)
        value, cost = score(params) if callable(score) else (0.0, 1.0)
        tried.append(Tried(params, value, cost, over=True))
    return [one.params for one in tried]


def test_random_trials_go_by_seed_and_number_alone() -> None:
    space = small_space(space=LR)
    assert run(space, 5) == run(space, 5)
    assert run(space, 5) != run(space, 5, seed=1)
    assert propose(space, 0, 3) == run(space, 5)[3]


def test_random_trials_do_not_repeat_each_other_while_there_is_something_new() -> None:
    space = small_space(space=CYCLES)
    params = run(space, 9)
    assert all(one not in params[:i] for i, one in enumerate(params))
    assert run(space, 10)[9] in params


def test_grid_settings_multiply_the_samples() -> None:
    space = small_space(space={**LR, "model.h_cycles": {"dist": "grid", "values": [1, 2, 3]}})
    assert number_of_trials(space, None) == 12
    assert number_of_trials(space, 2) == 6
    cycles = [p["model.h_cycles"] for p in run(space, 6)]
    assert cycles == [1, 2, 3, 1, 2, 3]


def test_the_grid_searcher_runs_each_combination_once() -> None:
    space = small_space(searcher={"name": "grid"}, space=CYCLES, budget={"max_updates": 12})
    assert number_of_trials(space, None) == 9
    assert number_of_trials(space, 4) == 4
    assert run(space, 9) == space.grid()


def test_somebody_has_to_say_how_many() -> None:
    with pytest.raises(UserError, match="--num-samples N"):
        number_of_trials(small_space(budget={"max_updates": 12}), None)


def test_the_estimator_learns_where_the_best_is() -> None:
    space = small_space(space=LR, searcher={"name": "optuna", "startup_trials": 6})

    def score(params: Params) -> tuple[float, float]:
        return -abs(math.log10(params["optim.lr"]) + 2), 1.0  # best at 1e-2

    params = run(space, 30, score)
    assert sum(abs(math.log10(p["optim.lr"]) + 2) for p in params[15:]) / 15 < 0.7  # at random: 1.25


def test_the_estimator_says_the_same_to_the_same_trials() -> None:
    space = small_space(space={**LR, **CYCLES}, searcher={"name": "optuna", "startup_trials": 2})
    tried = [
        Tried(p, float(i), 1.0, over=i < 3) for i, p in enumerate(run(small_space(space={**LR, **CYCLES}), 4))
    ]
    assert propose(space, 7, 4, tried) == propose(space, 7, 4, tried)
    assert propose(space, 7, 4, tried) != propose(space, 8, 4, tried)


def test_the_estimator_keeps_to_constraints_and_conditions() -> None:
    space = small_space(
        space={
            **CYCLES,
            "halting.q_target": {"dist": "choice", "values": ["bootstrap", "lambda"]},
            "halting.q_lambda": {
                "dist": "uniform",
                "lower": 0,
                "upper": 1,
                "when": {"halting.q_target": "lambda"},
            },
            "optim.warmup_updates": {"dist": "quniform", "lower": 0, "upper": 100, "q": 25},
        },
        searcher={"name": "optuna", "startup_trials": 3, "multi_objective": True},
        constraints=["h_cycles * l_cycles == 4"],
    )
    for params in run(space, 8, lambda p: (p["model.h_cycles"], p["model.l_cycles"])):
        assert space.refusal(params) is None
        assert ("halting.q_lambda" in params) == (params["halting.q_target"] == "lambda")
        assert params["optim.warmup_updates"] in (0, 25, 50, 75, 100)


def test_two_objectives_are_both_looked_at() -> None:
    """Value grows with the budget and so does the cost: neither end of the front is given up."""
    space = small_space(
        space={"halting.halt_max_steps": {"dist": "randint", "lower": 1, "upper": 64}},
        searcher={"name": "optuna", "startup_trials": 5, "multi_objective": True},
    )
    steps = [
        p["halting.halt_max_steps"] for p in run(space, 25, lambda p: (p["halting.halt_max_steps"],) * 2)
    ]
    assert min(steps[5:]) < 22
    assert max(steps[5:]) > 42


def test_failed_trials_and_those_of_another_space_teach_nothing() -> None:
    space = small_space(space=LR, searcher={"name": "optuna", "startup_trials": 1})
    known = [Tried({"optim.lr": 1e-3}, 0.5, 1.0, over=True)]
    odd = [
        Tried({"optim.lr": 2e-3}, None, None, over=True),
        Tried({"model.dropout": 0.1}, 1.0, 1.0, over=True),
    ]
    assert propose(space, 0, 4, known) == propose(space, 0, 4, known + odd)
