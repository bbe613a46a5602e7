"""Bad inputs: sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.helpers.bad_inputs.kinds import BadInput, bad
from tests.helpers.bad_inputs.runs import cut
from tests.helpers.small_sweeps import content

LR = {"dist": "loguniform", "lower": 1e-4, "upper": 1e-2}


def sweep(about: str, **changes: Any) -> BadInput:
    """A sound sweep with these keys changed; None leaves one out."""
    values = {name: value for name, value in content(**changes).items() if value is not None}
    return bad("tune --space s.yaml --dry-run", about, {"s.yaml": yaml.safe_dump(values, sort_keys=False)})


def space(dimension: str, **options: Any) -> BadInput:
    """A sound sweep but for one setting of its space."""
    shown = ", ".join(f"{key}: {value}" for key, value in options.items())
    return sweep(f"`space: {{{dimension}: {{{shown}}}}}`", space={dimension: options})


def named(flags: str, about: str = "", **kinds: Any) -> BadInput:
    values = yaml.safe_dump(content(), sort_keys=False)
    return bad(
        f"tune --space s.yaml {flags}", about or "`s.yaml` is a sound sweep", {"s.yaml": values}, **kinds
    )


SWEEPS = (
    bad("tune"),
    bad("tune --space qick"),
    bad("tune --space missing.yaml"),
    bad("tune --space data"),
    bad("tune quick"),
    bad("tune --preset sudoku4-quick"),
    bad("tune --space s.yaml", "`s.yaml` is empty", {"s.yaml": ""}),
    bad("tune --space s.yaml", "", {"s.yaml": "optim: {lr: 0.001}"}),
    bad("tune --space s.yaml", "", {"s.yaml": "base: sudoku4-quick\nbase: maze-quick"}),
    bad("tune --space runs/r/config.yaml"),
    sweep("it has no `base`", base=None),
    sweep("`base: sudoku4`", base="sudoku4"),
    sweep("it has no `budget`", budget=None),
    sweep("`budget: 500`", budget=500),
    sweep("`budget: {max_updates: 500, trials: 8}`", budget={"max_updates": 500, "trials": 8}),
    sweep("`space: {}`", space={}),
    sweep("`space: {optim.lr: [0.001, 0.002]}`", space={"optim.lr": [0.001, 0.002]}),
    space("lr", **LR),
    space("optim.learning_rate", **LR),
    space("optim.lr", dist="lognormal", lower=1e-4, upper=1e-2),
    space("optim.lr", dist="loguniform", lower=1e-2, upper=1e-4),
    space("optim.lr", dist="loguniform", lower=0, upper=1e-2),
    space("optim.lr", dist="uniform", lower=1e-4),
    space("optim.lr", dist="choice", values=[1e-3], upper=1e-2),
    space("optim.lr", dist="choice", values=[]),
    space("optim.lr", dist="choice", values=[1e-3, 1e-3]),
    space("optim.lr", dist="choice", values=[1e-3, "fast"]),
    space("optim.name", dist="uniform", lower=0, upper=1),
    space("model.l_cycles", dist="uniform", lower=1, upper=4),
    space("model.l_cycles", dist="randint", lower=1.5, upper=4),
    space("model.l_cycles", dist="quniform", lower=1, upper=2, q=5),
    space("optim.name", dist="choice", values=["adamw", "sgd"]),
    space("model.num_heads", dist="choice", values=[2, 3]),
    space("train.max_updates", dist="choice", values=[100, 200]),
    space("preset", dist="choice", values=["sudoku4-quick", "maze-quick"]),
    space("optim.weight_decay", dist="uniform", lower=0, upper=1, when={"optim.name": "sgd"}),
    sweep(
        "two settings wait for each other's condition (`when`)",
        space={
            "optim.lr": LR | {"when": {"optim.weight_decay": 0.1}},
            "optim.weight_decay": {"dist": "choice", "values": [0.1], "when": {"optim.lr": 0.001}},
        },
    ),
    sweep("`set: {optim.momentum: 0.9}`", set={"optim.momentum": 0.9}),
    sweep("`set: {env.size: 5}`", set={"env.size": 5}),
    sweep("`constraints: [lr <]`", constraints=["lr <"]),
    sweep("`constraints: [lrr < 0.1]`", constraints=["lrr < 0.1"]),
    sweep("`constraints: [lr > 1]`, which no draw meets", constraints=["lr > 1"]),
    sweep("`constraints: [1 < 2]`", constraints=["1 < 2"]),
    sweep("`constraints: [__import__('os').remove('x')]`", constraints=["__import__('os').remove('x')"]),
    sweep("`metric: accuracy`", metric="accuracy"),
    sweep("`metric: eval/nightmare/solved`", metric="eval/nightmare/solved"),
    sweep("`mode: maximize`", mode="maximize"),
    sweep("`scheduler: asha`", scheduler="asha"),
    sweep("`scheduler: {name: hyperband}`", scheduler={"name": "hyperband"}),
    sweep("`scheduler: {name: asha, grace: 5}`", scheduler={"name": "asha", "grace": 5}),
    sweep(
        "`scheduler: {name: asha, grace_period: 100}`, the budget is 12 updates",
        scheduler={"name": "asha", "grace_period": 100},
    ),
    sweep(
        "`scheduler: {name: pbt, ...}` with `model.h_layers` in the space",
        scheduler={"name": "pbt", "perturbation_interval": 4},
        space={"model.h_layers": {"dist": "choice", "values": [1, 2]}},
    ),
    sweep("`searcher: {name: bayes}`", searcher={"name": "bayes"}),
    sweep("`searcher: {name: grid}` with a loguniform `optim.lr`", searcher={"name": "grid"}),
    sweep(
        "`searcher: {name: optuna}` with a grid",
        searcher={"name": "optuna"},
        space={"optim.lr": {"dist": "grid", "values": [1e-3, 1e-2]}},
    ),
    sweep("`budget: {max_updates: 12}`: it does not say how many trials", budget={"max_updates": 12}),
    named("--dry-run --num-samples 0"),
    named("--dry-run --max-updates 0"),
    named("--dry-run --workers-per-trial 0"),
    named("--dry-run --max-concurrent 0"),
    named("--dry-run --cpus-per-trial 64"),
    named("--dry-run --gpus-per-trial 1"),
    named("--dry-run --workers-per-trial 4 --cpus-per-trial 2"),
    named("--sweep-name s"),
    named("--sweep-name a/b"),
    named("--storage-path notes.txt"),
    bad("tune --resume"),
    bad("tune --resume --sweep-name q"),
    bad("tune --resume --sweep-name s --space quick"),
    bad("tune --resume --sweep-name s --max-updates 500"),
    bad(
        "tune --resume --sweep-name s",
        "`sweeps/s/sweep.yaml` is half there",
        make=lambda: cut("sweeps/s/sweep.yaml"),
    ),
    bad("tune --resume --sweep-name s", "", {"sweeps/s/sweep.yaml": "seed: 1"}),
    bad("tune --report sweeps/q"),
    bad("tune --report runs/r"),
    bad("tune --report sweeps/s/sweep.yaml"),
    bad(
        "tune --report sweeps/new", "`sweeps/new` is an empty folder", make=lambda: Path("sweeps/new").mkdir()
    ),
)
