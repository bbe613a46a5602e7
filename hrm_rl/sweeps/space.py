"""What a sweep's file allows: settings drawn from it are valid configurations, the same for the same seed.

*params* are the swept settings of one trial, `section.field: value` as JSON has them; those whose condition
does not hold are absent, and the trial has the base's value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from hrm_rl.config import Config, Section, flatten, validate
from hrm_rl.sweeps.constraints import Constraint
from hrm_rl.sweeps.file import Dimension, Grid, SweepFile
from hrm_rl.utils.errors import UserError, first_problem

Params = dict[str, Any]

TRIES = 10_000
"""Draws after which constraints count as impossible to meet."""
TRIES_BY_VALUE = 300
"""Draws after which one value counts as impossible to use."""

PBT_FIELDS = (
    "halting.halt_max_steps", "halting.halt_exploration_prob", "halting.exploration", "halting.q_lambda",
    "halting.discount", "optim.lr", "optim.weight_decay", "optim.betas", "optim.puzzle_emb_lr",
    "optim.puzzle_emb_weight_decay", "optim.grad_clip", "optim.lr_min_ratio", "model.h_cycles",
    "model.l_cycles",
    "model.gradient", "train.loss", "train.loss_on", "curriculum.threshold",
    "curriculum.min_updates", "curriculum.min_episodes", "env.segment_cost",
)  # fmt: skip
"""Settings that may change in mid-run: none is part of the shape of a weight, of the optimiser's state,
or of which puzzles are held out."""


@dataclass(frozen=True)
class Space:
    """All settings that a sweep may try."""

    file: SweepFile
    base: Config
    """The preset with the constants and the budget of the file over it."""
    dimensions: dict[str, Dimension]
    """By `section.field`; one comes after those that its condition names."""
    constraints: tuple[Constraint, ...]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The base's, as `section.field: value`."""
        return flatten(self.base.model_dump(mode="json"))

    def active(self, name: str, params: Params) -> bool:
        """Whether the condition of a dimension holds, given the params that come before it."""
        settings = {**self.settings, **params}
        return all(settings[other] in values for other, values in self.dimensions[name].when.items())

    def configure(self, params: Params) -> Config:
        """The configuration of a trial. Raises UserError if these settings do not go together."""
        values = self.base.model_dump()
        for name, value in params.items():
            section, _, field = name.rpartition(".")
            (values[section] if section else values)[field] = value
        return validate(values, ", ".join(f"{k}={v}" for k, v in params.items()))

    def refusal(self, params: Params) -> str | None:
        """Why these params are not allowed, or None if they are."""
        settings = {**self.settings, **params}
        for constraint in self.constraints:
            if not constraint.holds(settings):
                return f"constraint '{constraint.text}' does not hold"
        try:
            self.configure(params)
        except UserError as error:
            return str(error)
        return None

    def sample(
        self, rng: np.random.Generator, fixed: Mapping[str, Any] | None = None, tries: int = TRIES
    ) -> Params:
        """Draw until constraints hold and the settings go together. fixed: values that are not drawn, where
        their condition holds. Raises UserError if that does not happen."""
        reason: str | None = None
        for _ in range(tries):
            params: Params = {}
            for name in self.dimensions:
                if self.active(name, params):
                    value = fixed[name] if fixed and name in fixed else self.draw(name, rng)
                    params[name] = value
            reason = self.refusal(params)
            if reason is None:
                return params
        raise UserError(f"no settings of the space go together in {tries:,} draws; the last time: {reason}")

    def draw(self, name: str, rng: np.random.Generator) -> Any:
        """One value, its condition aside."""
        dim = self.dimensions[name]
        if dim.listed:
            assert dim.values is not None
            return dim.values[int(rng.integers(len(dim.values)))]
        low, high = bounds(dim)
        if dim.dist == "loguniform":
            return self.rounded(name, math.exp(rng.uniform(math.log(low), math.log(high))))
        if dim.dist == "uniform":
            return self.rounded(name, float(rng.uniform(low, high)))
        step = dim.q or 1.0
        return self.rounded(name, int(rng.integers(round(low / step), round(high / step) + 1)) * step)

    def rounded(self, name: str, value: float) -> Any:
        """`value` inside the bounds of a dimension, as the setting's type, with six digits at most."""
        dim = self.dimensions[name]
        low, high = bounds(dim)
        value = min(max(float(f"{value:.6g}"), low), high)
        return coerce(name, int(value) if value.is_integer() and is_whole(name) else value)

    def good_enough(self, value: float) -> bool:
        """Whether a trial whose metric is `value` may end (stop: {reached: ...})."""
        reached = self.file.stop.reached
        if reached is None:
            return False
        return value >= reached if self.file.mode == "max" else value <= reached

    def grid(self) -> list[Params]:
        """Every combination of the settings that take each of their values in turn: the `grid` ones, with the
        searcher grid all. `[{}]` if there are none."""
        everything = isinstance(self.file.searcher, Grid)
        points: list[Params] = [{}]
        for name, dim in self.dimensions.items():
            if dim.dist != "grid" and not everything:
                continue
            assert dim.values is not None
            known = all(o not in self.dimensions or self.dimensions[o].dist == "grid" for o in dim.when)
            points = [
                point | more
                for point in points
                for more in (
                    [{name: v} for v in dim.values]
                    if not (known or everything) or self.active(name, point)
                    else [{}]
                )
            ]
        return [p for p in points if self.refusal(p) is None] if everything else points

    def perturb(self, params: Params, rng: np.random.Generator, resample: float) -> Params:
        """Params near these (population-based training): each number times 0.8 or 1.2, each listed value
        changed for a neighbour, or with probability `resample` drawn again. The same params if nothing else
        is allowed."""
        for _ in range(TRIES_BY_VALUE):
            near: Params = {}
            for name in self.dimensions:
                if self.active(name, near):
                    redrawn = name not in params or rng.random() < resample
                    near[name] = self.draw(name, rng) if redrawn else self._moved(name, params[name], rng)
            if near != params and self.refusal(near) is None:
                return near
        return params

    def _moved(self, name: str, value: Any, rng: np.random.Generator) -> Any:
        dim = self.dimensions[name]
        up = bool(rng.integers(2))
        if dim.listed:
            assert dim.values is not None
            place = dim.values.index(value) + (1 if up else -1) if value in dim.values else 0
            return dim.values[min(max(place, 0), len(dim.values) - 1)]
        if dim.dist in ("uniform", "loguniform"):
            return self.rounded(name, value * (1.2 if up else 0.8))
        step = dim.q or 1.0
        steps = max(1, round(abs(value) * 0.2 / step))
        return self.rounded(name, value + (steps if up else -steps) * step)


def bounds(dim: Dimension) -> tuple[float, float]:
    """Smallest and largest value of a dimension that is not a list; of quniform, multiples of q."""
    assert dim.lower is not None
    assert dim.upper is not None
    if dim.q is None:
        return dim.lower, dim.upper
    low, high = math.ceil(dim.lower / dim.q - 1e-9), math.floor(dim.upper / dim.q + 1e-9)
    return float(f"{low * dim.q:.12g}"), float(f"{high * dim.q:.12g}")


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    section, _, field = name.rpartition(".")
    owner: type[Section] = Config.model_fields[section].annotation if section else Config  # type: ignore[assignment]
    info = owner.model_fields[field]
    kind: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(kind)


@cache
def is_whole(name: str) -> bool:
    """Whether a setting takes whole numbers only."""
    try:
        _adapter(name).validate_python(1.5)
    except ValidationError as error:
        return any(one["type"] in ("int_from_float", "int_type") for one in error.errors())
    return False


def coerce(name: str, value: Any) -> Any:
    """`value` as JSON has it, of the type of setting `name`. Raises UserError if it cannot be one."""
    try:
        made = _adapter(name).validate_python(value)
    except ValidationError as error:
        reason = first_problem(error)
        raise UserError(f"{name}: {value!r} is no value for it: {reason[0].lower()}{reason[1:]}") from None
    if isinstance(made, float) and not math.isfinite(made):
        raise UserError(f"{name}: {value!r} is no value for it: it must be finite")
    return _adapter(name).dump_python(made, mode="json")
