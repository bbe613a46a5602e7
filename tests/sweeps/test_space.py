"""What a sweep's file may say, and that everything drawn from it is a valid configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hrm_rl.config import field_names
from hrm_rl.data.streams import build_task
from hrm_rl.models import build_model
from hrm_rl.sweeps.checks import build_space
from hrm_rl.sweeps.constraints import parse_constraint
from hrm_rl.sweeps.file import (
    Asha,
    Budget,
    Dimension,
    Grid,
    Median,
    NoScheduler,
    Optuna,
    Pbt,
    Random,
    Stop,
    read_content,
)
from hrm_rl.sweeps.space import PBT_FIELDS
from hrm_rl.utils.errors import UserError
from tests.helpers.paths import ROOT
from tests.helpers.small_sweeps import content, small_space

CONFIGS = sorted((ROOT / "tune_configs").glob("*.yaml"))
LR = {"optim.lr": {"dist": "loguniform", "lower": 1e-4, "upper": 1e-2}}
SEEDS = st.integers(0, 2**32)


def refused(**changes: Any) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(UserError) as error:
        small_space(**changes)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("sweep.yaml: ")
    return line


# ---- what is refused, before anything starts


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schedular": {"name": "asha"}}, "unknown key 'schedular'; did you mean 'scheduler'?"),
        ({"scheduler": {"name": "asha", "grace_perod": 5}},
        "'scheduler: grace_perod'; did you mean 'grace_period'?"),
        ({"scheduler": {"name": "ahsa"}}, "unknown name 'ahsa'; did you mean 'asha'?"),
        ({"scheduler": {"grace_period": 5}}, "scheduler needs a name (asha, median, pbt, none)"),
        ({"searcher": {"name": "tpe"}}, "(names: random, grid, optuna)"),
        ({"searcher": {"name": "optuna", "seed": 1}}, "unknown key 'searcher: seed'"),
        ({"budget": {"num_samples": 3}}, "'budget: max_updates' is missing"),
        ({"budget": {"max_updates": "many"}}, "budget: max_updates"),
        ({"budget": {"max_updates": 0}}, "budget: max_updates"),
        ({"mode": "maximum"}, "mode: "),
        ({"base": "sudoku4-quik"}, "did you mean 'sudoku4-quick'?"),
        ({"metric": "eval/sovled"}, "did you mean 'eval/solved'?"),
        ({"space": {}}, "space: "),
        ({"space": {"optim.lrr": LR["optim.lr"]}}, "unknown setting 'optim.lrr'; did you mean 'optim.lr'?"),
        ({"space": {"lr": LR["optim.lr"]}}, "'lr' needs its section: optim.lr"),
        ({"space": {"train.max_updates": {"dist": "choice", "values": [1]}}}, "that is budget.max_updates"),
        ({"set": {"optim.beta": 1}}, "did you mean 'optim.betas'?"),
        ({"set": {"optim.name": "sgd"}}, "optim.name: 'sgd' is no value for it"),
        ({"set": {"optim.lr": 1e-3}}, "optim.lr is both in set and in space"),
    ],
)  # fmt: skip
def test_wrong_names_and_types_are_refused_with_the_nearest(changes: dict[str, Any], says: str) -> None:
    assert says in refused(**changes)


@pytest.mark.parametrize(
    ("field", "dimension", "says"),
    [
        ("optim.lr", {"dist": "loguniform", "lower": 1e-4}, "loguniform needs upper"),
        ("optim.lr", {"dist": "normal", "lower": 0, "upper": 1}, "dist"),
        ("optim.lr", {"dist": "uniform", "lower": 1, "upper": 1}, "lower 1 is not below upper 1"),
        ("optim.lr", {"dist": "loguniform", "lower": 0, "upper": 1}, "loguniform needs lower above 0"),
        ("optim.lr", {"dist": "uniform", "lower": 1, "upper": 2, "values": [1]}, "uniform has no values"),
        ("optim.lr", {"dist": "uniform", "lower": "small", "upper": 2}, "lower"),
        ("optim.lr", {"dist": "uniform", "lower": -1, "upper": 2}, "optim.lr: -1.0 is no value for it"),
        ("optim.lr", {"dist": "choice", "values": [1e-3, "fast"]}, "'fast' is no value for it"),
        ("optim.lr", {"dist": "choice", "values": []}, "values is empty"),
        ("optim.lr", {"dist": "choice", "values": [1, 1]}, "one value twice"),
        ("optim.lr", {"dist": "uniform", "lower": 1, "upper": 2, "uper": 3}, "did you mean 'upper'?"),
        ("halting.halt_exploration_prob", {"dist": "uniform", "lower": 0, "upper": 1.5}, "1.5 is no value"),
        ("model.h_cycles", {"dist": "uniform", "lower": 1, "upper": 4}, "takes whole numbers: use randint"),
        ("model.h_cycles", {"dist": "randint", "lower": 0, "upper": 4}, "0 is no value for it"),
        ("model.h_cycles", {"dist": "randint", "lower": 1.5, "upper": 4}, "randint needs whole numbers"),
        ("model.h_cycles", {"dist": "quniform", "lower": 1, "upper": 4, "q": 0.5}, "takes whole numbers"),
        ("model.h_cycles", {"dist": "quniform", "lower": 1, "upper": 3, "q": 5},
        "no multiple of q=5 between"),
        ("optim.name", {"dist": "uniform", "lower": 0, "upper": 1}, "optim.name"),
        ("optim.name", {"dist": "choice", "values": ["adamw", "sgd"]}, "'sgd' is no value for it"),
        ("model.num_heads", {"dist": "choice", "values": [2, 3]}, "3 can never be used"),
        ("curriculum.stages", {"dist": "choice", "values": [["easy=1"], ["easy"]]}, "can never be used"),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(field: str, dimension: dict[str, Any], says: str) -> None:
    assert says in refused(space={field: dimension})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scheduler": {"name": "asha", "grace_period": 12}}, "would do nothing"),
        ({"searcher": {"name": "grid"}}, "searcher grid: optim.lr is loguniform"),
        (
            {"searcher": {"name": "optuna"}, "space": {"optim.lr": {"dist": "grid", "values": [1e-3]}}},
            "make optim.lr a choice",
        ),
        (
            {"scheduler": {"name": "pbt", "perturbation_interval": 4}, "searcher": {"name": "optuna"}},
            "it goes with searcher random or grid",
        ),
        (
            {
                "scheduler": {"name": "pbt", "perturbation_interval": 4},
                "space": {"model.hidden_size": {"dist": "choice", "values": [16, 32]}},
            },
            "changes settings in mid-run, and model.hidden_size cannot change",
        ),
        ({"constraints": ["h_cycles * l_cycles == 1"]}, "no settings of the space go together"),
        ({"constraints": ["h_cycle == 2"]}, "unknown setting 'h_cycle'; did you mean 'h_cycles'?"),
        ({"constraints": ["optim.lr > 'fast'"]}, "cannot be worked out with optim.lr="),
        (
            {
                "space": {
                    **LR,
                    "model.dropout": {"dist": "choice", "values": [0.1], "when": {"optim.nam": "muon"}},
                }
            },
            "did you mean 'optim.name'?",
        ),
        (
            {
                "space": {
                    **LR,
                    "model.dropout": {"dist": "choice", "values": [0.1], "when": {"optim.name": "muon"}},
                }
            },
            "its condition (when) is never met",
        ),
        (
            {
                "space": {
                    "model.dropout": {"dist": "choice", "values": [0.1], "when": {"optim.name": "muon"}},
                    "optim.name": {"dist": "choice", "values": ["muon"], "when": {"model.dropout": 0.1}},
                }
            },
            "go round in a circle",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], says: str) -> None:
    assert says in refused(**changes)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true') == 0",
        "h_cycles.__class__ == 1",
        "h_cycles ** 99 == 1",
        "(lambda: h_cycles)() == 1",
        "[x for x in (1,)] == h_cycles",
        "h_cycles if lr else 1",
        "h_cycles == 1; l_cycles == 1",
        "h_cycles = 1",
        "h_cycles + " * 100 + "1",
        "1 == 1",
        "",
    ],
)
def test_a_constraint_is_arithmetic_and_nothing_else(text: str) -> None:
    with pytest.raises(UserError, match="constraint"):
        parse_constraint(text, field_names())


def test_an_ambiguous_short_name_asks_for_the_full_one() -> None:
    with pytest.raises(UserError, match=r"'name' could be model\.name or optim\.name"):
        parse_constraint("name == 'hrm'", field_names())


@given(h=st.integers(1, 9), low=st.integers(1, 9), layers=st.integers(1, 9))
def test_constraints_mean_what_python_means(h: int, low: int, layers: int) -> None:
    settings = {"model.h_cycles": h, "model.l_cycles": low, "model.l_layers": layers}
    names = {"h_cycles": h, "l_cycles": low, "l_layers": layers}
    for text in (
        "h_cycles * (l_cycles * l_layers + 1) <= 12",
        "h_cycles // l_cycles == l_layers % 4 or not h_cycles > 3",
        "1 < h_cycles < l_cycles and l_layers in (1, 2, 4)",
        "-h_cycles + l_layers / l_cycles >= 0",
        "model.h_cycles != l_cycles and l_layers not in [3]",
    ):
        expected = eval(text.replace("model.", ""), names.copy())
        assert parse_constraint(text, field_names()).holds(settings) is bool(expected)


# ---- what is drawn

MIXED: dict[str, Any] = {
    "optim.lr": {"dist": "loguniform", "lower": "1e-5", "upper": "1e-2"},
    "optim.weight_decay": {"dist": "uniform", "lower": 0.0, "upper": 1.0},
    "optim.warmup_updates": {"dist": "quniform", "lower": 3, "upper": 100, "q": 25},
    "model.dropout": {"dist": "quniform", "lower": 0.0, "upper": 0.3, "q": 0.1},
    "model.h_cycles": {"dist": "randint", "lower": 1, "upper": 4},
    "model.l_cycles": {"dist": "choice", "values": [1, 2, 4]},
    "halting.q_lambda": {"dist": "uniform", "lower": 0, "upper": 1, "when": {"halting.q_target": "lambda"}},
    "halting.q_target": {"dist": "choice", "values": ["bootstrap", "lambda"]},
}
SPACE = small_space(space=MIXED, constraints=["h_cycles * l_cycles == 4"])


@given(SEEDS)
def test_every_sample_is_in_bounds_of_its_type_and_meets_the_constraints(seed: int) -> None:
    params = SPACE.sample(np.random.default_rng(seed))
    assert 1e-5 <= params["optim.lr"] <= 1e-2
    assert 0 <= params["optim.weight_decay"] <= 1
    assert params["optim.warmup_updates"] in (25, 50, 75, 100)
    assert params["model.dropout"] in (0.0, 0.1, 0.2, 0.3)
    assert params["model.h_cycles"] * params["model.l_cycles"] == 4
    assert type(params["model.h_cycles"]) is int
    assert ("halting.q_lambda" in params) == (params["halting.q_target"] == "lambda")
    config = SPACE.configure(params)
    assert config.optim.lr == params["optim.lr"]
    assert config.train.max_updates == 12
    assert config.model.hidden_size == 16


@given(SEEDS)
def test_the_same_seed_draws_the_same(seed: int) -> None:
    one, other = (SPACE.sample(np.random.default_rng(seed)) for _ in range(2))
    assert one == other
    assert yaml.safe_load(yaml.safe_dump(one)) == one


@given(SEEDS)
def test_what_is_perturbed_stays_allowed_and_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    params = SPACE.sample(rng)
    near = SPACE.perturb(params, rng, resample=0.0)
    assert SPACE.refusal(near) is None
    assert near != params
    ratio = near["optim.lr"] / params["optim.lr"]
    assert min(abs(ratio - r) for r in (0.8, 1.2)) < 1e-4 or near["optim.lr"] in (1e-5, 1e-2)


def test_randint_has_both_ends() -> None:
    space = small_space(space={"model.h_cycles": {"dist": "randint", "lower": 1, "upper": 2}})
    rng = np.random.default_rng(0)
    assert {space.sample(rng)["model.h_cycles"] for _ in range(50)} == {1, 2}


def test_grids_multiply_and_constraints_thin_them_out() -> None:
    space = small_space(
        searcher={"name": "grid"},
        space={
            "model.h_cycles": {"dist": "grid", "values": [1, 2, 4]},
            "model.l_cycles": {"dist": "choice", "values": [1, 2, 4]},
        },
        constraints=["h_cycles * l_cycles == 4"],
    )
    assert [(p["model.h_cycles"], p["model.l_cycles"]) for p in space.grid()] == [(1, 4), (2, 2), (4, 1)]


def test_a_grid_skips_settings_whose_condition_does_not_hold() -> None:
    space = small_space(
        searcher={"name": "grid"},
        space={
            "halting.q_lambda": {
                "dist": "grid",
                "values": [0.0, 0.5],
                "when": {"halting.q_target": "lambda"},
            },
            "halting.q_target": {"dist": "grid", "values": ["bootstrap", "lambda"]},
        },
    )
    assert len(space.grid()) == 3


def test_lists_and_the_seed_can_be_swept() -> None:
    orders = [["easy=1", "hard=1"], ["easy=1,hard=1"]]
    space = small_space(
        space={
            "seed": {"dist": "grid", "values": [0, 1]},
            "curriculum.stages": {"dist": "grid", "values": orders},
            "curriculum.threshold": {
                "dist": "uniform", "lower": 0.5, "upper": 0.9, "when": {"curriculum.stages": [orders[0]]},
            },
        }
    )  # fmt: skip
    assert len(space.grid()) == 4
    params = space.sample(np.random.default_rng(0), {"seed": 1, "curriculum.stages": orders[1]})
    assert params == {"seed": 1, "curriculum.stages": orders[1]}
    assert space.configure(params).curriculum.stages == ("easy=1,hard=1",)


def test_population_based_training_may_change_no_weights_shape() -> None:
    base = small_space().base
    task = build_task(base)
    other = {
        "halting.halt_max_steps": 2, "halting.exploration": "per_episode", "optim.betas": [0.8, 0.9],
        "model.gradient": "full", "train.loss": "stablemax", "train.loss_on": "blanks",
    }  # fmt: skip

    def shapes(config: Any) -> dict[str, Any]:
        model = build_model(config.model, task.vocab_size, task.coordinates(), 1)
        return {name: tuple(w.shape) for name, w in model.state_dict().items()}

    for field in PBT_FIELDS:
        section, _, name = field.rpartition(".")
        if section == "model":
            value = other.get(field, 3 if "cycles" in name else 0.2)
            changed = base.model_copy(update={"model": base.model.model_copy(update={name: value})})
            assert shapes(changed) == shapes(base), field
        else:
            assert section in ("halting", "optim", "train", "curriculum", "env")


# ---- the files of the repository


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_file_of_tune_configs_is_a_valid_space(path: Path) -> None:
    space = build_space(read_content(path), str(path))
    for seed in range(20):
        assert space.refusal(space.sample(np.random.default_rng(seed))) is None


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_key_of_tune_configs_has_a_comment_and_every_file_says_all(path: Path) -> None:
    text = path.read_text()
    keys = {"base", "metric", "mode", "scheduler", "searcher", "budget", "stop", "set", "space"}
    assert keys <= set(yaml.safe_load(text))
    for line in text.splitlines():
        if re.match(r"^( *)[\w.]+:", line) and not re.match(
            r"^ *(dist|values|scheduler|searcher|budget|stop|space):", line
        ):
            assert "#" in line, f"{path.name}: {line}"


def test_the_documented_keys_are_all_there_are() -> None:
    """spec.py explains each key with a line under it."""
    for model in (Asha, Median, Pbt, NoScheduler, Random, Grid, Optuna, Budget, Stop):
        for name, field in model.model_fields.items():
            assert field.description or name == "name", f"{model.__name__}.{name}"
    assert Dimension.model_fields["dist"].description


def test_a_file_that_is_no_sweep_is_refused_in_one_line(tmp_path: Path) -> None:
    for text, says in (("[1, 2]", "describes no sweep"), ("a: [", "is not YAML"), ("base: x", "is missing")):
        file = tmp_path / "x.yaml"
        file.write_text(text)
        with pytest.raises(UserError, match=says) as error:
            build_space(read_content(file), str(file))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="cannot read the sweep"):
        read_content(tmp_path / "none.yaml")


def test_a_budget_from_the_command_line_wins() -> None:
    assert build_space(content(), "x", max_updates=99).base.train.max_updates == 99
