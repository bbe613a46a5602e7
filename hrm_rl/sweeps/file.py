"""A sweep's file as it is written: keys, their types and what they mean. space.py says what follows.

base: sudoku4-quick
metric: eval/solved
mode: max
scheduler: {name: asha, grace_period: 150}
searcher: {name: random}
budget: {max_updates: 400, num_samples: 8}
stop: {reached: 1.0}
set: {data.eval_puzzles: 128}
space:
  optim.lr: {dist: loguniform, lower: 5e-4, upper: 5e-3}
constraints: [h_cycles * l_cycles == 4]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from hrm_rl.config import Config, Positive, Section, field_names
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError, in_words, nearest
from hrm_rl.utils.files import read_yaml

COST = "eval/segments_mean"
"""What the metric is traded against: the segments that an answer takes, less is better."""


class Asha(Section):
    """Asynchronous successive halving: at updates grace_period * reduction_factor^k only the best
    1/reduction_factor of the trials seen there continue."""

    name: Literal["asha"] = "asha"
    grace_period: Positive = 100
    """Updates before a trial can be stopped."""
    reduction_factor: Annotated[float, Field(gt=1.0)] = 2.0
    """Of this many trials that reach a rung, one continues."""


class Median(Section):
    """Stop a trial whose best is below the median of the others' running means."""

    name: Literal["median"] = "median"
    grace_period: Positive = 100
    """Updates before a trial can be stopped."""
    min_samples_required: Positive = 3
    """Other trials that there must be to compare with."""


class Pbt(Section):
    """Population-based training: the worst trials resume from the checkpoints of the best, with settings
    changed a little."""

    name: Literal["pbt"] = "pbt"
    perturbation_interval: Positive = 100
    """Updates between two comparisons of a trial with the others."""
    burn_in_period: Annotated[int, Field(ge=0)] = 0
    """Updates before the first."""
    quantile_fraction: Annotated[float, Field(gt=0.0, le=0.5)] = 0.25
    """Share of the trials that are the worst, and share that are the best."""
    resample_probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """Probability that a changed setting is drawn again instead of moved a little."""


class NoScheduler(Section):
    """Every trial gets its whole budget."""

    name: Literal["none"] = "none"


class Random(Section):
    """Independent draws; every combination of the `grid` settings gets num_samples of them."""

    name: Literal["random"] = "random"


class Grid(Section):
    """Every combination once, in order; all settings are `grid` or `choice`."""

    name: Literal["grid"] = "grid"


class Optuna(Section):
    """Tree-structured Parzen estimator: draws where others did well."""

    name: Literal["optuna"] = "optuna"
    startup_trials: Positive = 10
    """Trials that are drawn at random before the estimator takes over."""
    multi_objective: bool = False
    """Look for the Pareto front of the metric and the mean number of segments, instead of the metric
    alone."""


class Budget(Section):
    """How much the sweep may cost."""

    max_updates: Positive
    """Updates of a trial that is not stopped before; its train.max_updates."""
    num_samples: Positive | None = None
    """Trials, times the combinations of `grid` settings; --num-samples wins. With the searcher grid, at
    most this many of the combinations."""


class Stop(Section):
    """When to end before the budget is spent, scheduler aside."""

    reached: float | None = None
    """End a trial, as finished, when the metric gets this good."""
    minutes: Annotated[float, Field(gt=0.0)] | None = None
    """End the sweep after this long, resumable."""


class Dimension(Section):
    """How one setting is drawn."""

    dist: Literal["uniform", "loguniform", "quniform", "randint", "choice", "grid"]
    """uniform, loguniform: between lower and upper; quniform: rounded to multiples of q; randint: whole
    numbers, both ends included; choice: one of values; grid: every one of values."""
    lower: float | None = None
    upper: float | None = None
    q: Annotated[float, Field(gt=0.0)] | None = None
    values: list[Any] | None = None
    when: dict[str, Any] = Field(default_factory=dict)
    """Other settings and the value, or list of values, that they must have for this one to be drawn;
    else it stays as the base has it."""

    @property
    def listed(self) -> bool:
        return self.dist in ("choice", "grid")

    @model_validator(mode="after")
    def _has_what_its_distribution_needs(self) -> Dimension:
        needs = (
            {"values"} if self.listed else {"lower", "upper"} | ({"q"} if self.dist == "quniform" else set())
        )
        given = {k for k in ("lower", "upper", "q", "values") if getattr(self, k) is not None}
        if missing := needs - given:
            raise ValueError(f"{self.dist} needs {' and '.join(sorted(missing))}")
        if spare := given - needs:
            raise ValueError(f"{self.dist} has no {' and no '.join(sorted(spare))}")
        if self.listed:
            assert self.values is not None
            if not self.values:
                raise ValueError("values is empty")
            if len({repr(v) for v in self.values}) < len(self.values):
                raise ValueError("values holds one value twice")
            return self
        assert self.lower is not None
        assert self.upper is not None
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower:g} is not below upper {self.upper:g}")
        if self.dist == "loguniform" and self.lower <= 0:
            raise ValueError(f"loguniform needs lower above 0, not {self.lower:g}")
        if self.dist == "randint" and (self.lower % 1 or self.upper % 1):
            raise ValueError(f"randint needs whole numbers, not {self.lower:g} and {self.upper:g}")
        return self


class SweepFile(Section):
    """A file of tune_configs/."""

    base: str
    """Preset that every trial starts from."""
    metric: str = "eval/solved"
    """What decides, as in metrics.jsonl."""
    mode: Literal["max", "min"] = "max"
    """Whether more of it is better, or less."""
    scheduler: Annotated[Asha | Median | Pbt | NoScheduler, Field(discriminator="name")] = NoScheduler()
    """Which trials are stopped early."""
    searcher: Annotated[Random | Grid | Optuna, Field(discriminator="name")] = Random()
    """Which settings are tried."""
    budget: Budget
    stop: Stop = Stop()
    set: dict[str, Any] = Field(default_factory=dict)
    """Settings that all trials have instead of the base's, as `section.field: value`."""
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    """Settings that are swept, as `section.field: {dist: ...}`."""
    constraints: list[str] = Field(default_factory=list)
    """Conditions that every trial's settings meet (hrm_rl/sweeps/constraints.py)."""


_OPTIONS: dict[str, tuple[type[Section], ...]] = {
    "scheduler": (Asha, Median, Pbt, NoScheduler),
    "searcher": (Random, Grid, Optuna),
    "budget": (Budget,),
    "stop": (Stop,),
    "space": (Dimension,),
}


def read_content(path: Path) -> dict[str, Any]:
    """A YAML file of settings, not looked at yet. Raises UserError."""
    content = read_yaml(path, "the sweep")
    if not isinstance(content, dict):
        raise UserError(f"{path} describes no sweep; tune_configs/quick.yaml shows how one looks")
    if "base" not in content and set(content) & {"model", "optim", "train"}:
        right = f"{typed_command('train')} --config"
        raise UserError(f"{path} describes no sweep but the settings of a run: it is for {right}")
    return content


def parse_file(content: dict[str, Any], origin: str) -> SweepFile:
    """The sweep that `content`, read from `origin`, describes. Raises UserError for the first wrong key or
    type."""
    try:
        return SweepFile.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{origin}: {_explained(error)}") from None


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    kind, models = first["type"], _OPTIONS.get(loc[0], ()) if loc else ()
    if loc and loc[0] in ("scheduler", "searcher") and len(loc) > 1:
        models = tuple(m for m in models if m.model_fields["name"].default == loc[1])
        loc = [loc[0], *loc[2:]]  # pydantic puts the option's name in between
    field = ": ".join(loc) if loc else ""
    if kind == "extra_forbidden":
        known = [n for m in (models if len(loc) > 1 else (SweepFile,)) for n in m.model_fields]
        if len(loc) == 1 and (field in field_names() or field in Config.model_fields):
            return (
                f"'{field}' is a setting of runs: it belongs under set: (the same for all trials) or space:"
            )
        return f"unknown key '{field}'{nearest(loc[-1], known)} (keys: {', '.join(dict.fromkeys(known))})"
    if kind == "union_tag_invalid":
        names = [str(m.model_fields["name"].default) for m in models]
        given = str(first.get("ctx", {}).get("tag", ""))
        return f"{field}: unknown name '{given}'{nearest(given, names)} (names: {', '.join(names)})"
    if kind == "union_tag_not_found":
        names = [str(m.model_fields["name"].default) for m in models]
        return f"{field} needs a name ({', '.join(names)}), for example {field}: {{name: {names[0]}}}"
    if kind == "missing":
        return f"'{field}' is missing"
    if kind == "too_short":
        return f"{field}: it is empty; name at least one setting to try"
    if kind == "model_attributes_type":
        return (
            f"{field} needs a name, for example {field}: {{name: {models[0].model_fields['name'].default}}}"
        )
    return f"{field}: {in_words(kind, first['msg'])}"
