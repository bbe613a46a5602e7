"""From a sweep's file to its space, everything wrong with it found before any trial starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hrm_rl.config import Config, field_names, get_preset, validate
from hrm_rl.data.streams import build_task
from hrm_rl.sweeps.constraints import parse_constraint, resolve_name
from hrm_rl.sweeps.file import Asha, Dimension, Grid, Median, Optuna, Pbt, SweepFile, parse_file
from hrm_rl.sweeps.space import PBT_FIELDS, TRIES_BY_VALUE, Params, Space, bounds, coerce, is_whole
from hrm_rl.utils.errors import UserError, nearest

NOT_SWEPT = {
    "train.max_updates": "that is budget.max_updates",
    "preset": "that is base",
}


def build_space(content: dict[str, Any], origin: str, max_updates: int | None = None) -> Space:
    """The space that `content`, read from `origin`, describes. max_updates: instead of the file's.
    Raises UserError: unknown keys and settings, wrong types, values that can never be used."""
    _refuse_sections(content, origin)
    file = parse_file(content, origin)
    try:
        if max_updates is not None:
            budget = file.budget.model_copy(update={"max_updates": max_updates})
            file = file.model_copy(update={"budget": budget})
        known = field_names()
        space = Space(
            file,
            _base(file, known),
            _dimensions(file, known),
            tuple(parse_constraint(text, known) for text in file.constraints),
        )
        metric_level(space)
        _check_scheduler(space)
        _check_values(space)
    except UserError as error:
        raise UserError(f"{origin}: {error}") from None
    return space


def _refuse_sections(content: dict[str, Any], origin: str) -> None:
    """Refuse settings by section, as a run's file has them. Raises UserError that shows the right form."""
    for part in ("set", "space"):
        for name, value in (content[part] if isinstance(content.get(part), dict) else {}).items():
            first = next((full for full in field_names() if full.startswith(f"{name}.")), None)
            if first is None or name in field_names():
                continue
            if isinstance(value, dict) and value:
                first = f"{name}.{next(iter(value))}"
            raise UserError(
                f"{origin}: {part}: '{name}' is a section; here settings have their full names, such as "
                f"'{first}: ...'"
            )


def _known(name: str, known: list[str], where: str) -> str:
    if name not in known:
        full = resolve_name(name, known, where)
        raise UserError(f"{where}: '{name}' needs its section: {full}")
    if name in NOT_SWEPT:
        raise UserError(f"{where}: {name} cannot be set here, {NOT_SWEPT[name]}")
    return name


def _base(file: SweepFile, known: list[str]) -> Config:
    values = get_preset(file.base).model_dump()
    for name, value in file.set.items():
        section, _, field = _known(name, known, "set").rpartition(".")
        (values[section] if section else values)[field] = coerce(name, value)
    values["train"]["max_updates"] = file.budget.max_updates
    if isinstance(file.scheduler, Pbt):  # trials resume from what was evaluated
        values["train"]["checkpoint_every"] = values["train"]["eval_every"]
    return validate(values, "set")


def _dimensions(file: SweepFile, known: list[str]) -> dict[str, Dimension]:
    """Dimensions with values of their setting's type, each after those that its condition names."""
    made: dict[str, Dimension] = {}
    for name, dim in file.space.items():
        _known(name, known, "space")
        if name in file.set:
            raise UserError(f"{name} is both in set and in space: leave one of them out")
        made[name] = _typed(name, dim, known)
    ordered: dict[str, Dimension] = {}
    while len(ordered) < len(made):
        ready = [
            name
            for name, dim in made.items()
            if name not in ordered and all(o in ordered or o not in made for o in dim.when)
        ]
        if not ready:
            circle = ", ".join(name for name in made if name not in ordered)
            raise UserError(f"space: the conditions (when) of {circle} go round in a circle")
        ordered |= {name: made[name] for name in ready[:1]}
    return ordered


def _typed(name: str, dim: Dimension, known: list[str]) -> Dimension:
    when = {}
    for other, wanted in dim.when.items():
        _known(other, known, f"space: {name}: when")
        options = wanted if isinstance(wanted, list) else [wanted]
        when[other] = [coerce(other, option) for option in options]
    if dim.listed:
        assert dim.values is not None
        return dim.model_copy(update={"when": when, "values": [coerce(name, v) for v in dim.values]})
    assert dim.lower is not None
    assert dim.upper is not None
    whole = all(edge % 1 == 0 for edge in ((dim.q or 0.5) if dim.dist != "randint" else 1, *bounds(dim)))
    if is_whole(name) and not whole:
        raise UserError(f"space: {name} takes whole numbers: use randint, quniform with a whole q, or choice")
    low, high = bounds(dim)
    if low > high:
        raise UserError(f"space: {name}: no multiple of q={dim.q:g} between {dim.lower:g} and {dim.upper:g}")
    for edge in (low, high):
        value = coerce(name, int(edge) if whole else edge)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"space: {name} is no number: use choice or grid")
    return dim.model_copy(update={"when": when})


METRICS = ("exact_accuracy", "solved", "cell_accuracy", "segments_mean")
"""What evaluations say of all held-out puzzles, and of each level."""


def metric_level(space: Space) -> str | None:
    """The level that the sweep's metric is of, None for all of them. Raises UserError if no evaluation has
    it."""
    task = build_task(space.base)
    names = (*METRICS, *task.measures)
    levels = {f"eval/{level}/{name}": level for level in task.levels for name in names}
    metric = space.file.metric
    if metric not in levels and metric not in (known := [f"eval/{name}" for name in names]):
        raise UserError(
            f"metric: unknown '{metric}'{nearest(metric, [*known, *levels])} (choose {', '.join(known)}, or "
            f"that of a level, such as eval/{task.levels[0]}/solved)"
        )
    return levels.get(metric)


def _check_scheduler(space: Space) -> None:
    scheduler, updates = space.file.scheduler, space.file.budget.max_updates
    grace = (
        scheduler.perturbation_interval
        if isinstance(scheduler, Pbt)
        else scheduler.grace_period
        if isinstance(scheduler, Asha | Median)
        else 0
    )
    if grace >= updates:
        raise UserError(
            f"scheduler {scheduler.name} would do nothing: its first decision is at update {grace}, "
            f"the budget is {updates}"
        )
    if isinstance(space.file.searcher, Grid):
        for name, dim in space.dimensions.items():
            if not dim.listed:
                raise UserError(f"searcher grid: {name} is {dim.dist}; give its values with grid or choice")
    if isinstance(space.file.searcher, Optuna):
        for name, dim in space.dimensions.items():
            if dim.dist == "grid":
                raise UserError(f"searcher optuna draws every setting: make {name} a choice instead of grid")
    if isinstance(scheduler, Pbt):
        if isinstance(space.file.searcher, Optuna):
            raise UserError("scheduler pbt changes settings itself: it goes with searcher random or grid")
        for name in space.dimensions:
            if name not in PBT_FIELDS:
                raise UserError(
                    f"scheduler pbt changes settings in mid-run, and {name} cannot change"
                    f"{nearest(name, PBT_FIELDS)} (these can: {', '.join(PBT_FIELDS)})"
                )


def _check_values(space: Space) -> None:
    """Refuse a space without valid settings, and listed values that no valid settings have."""
    rng = np.random.default_rng(0)
    space.sample(rng)
    for name, value in _listed(space):
        fixed = _conditions_of(space, name) | {name: value}
        try:
            params = space.sample(rng, fixed, TRIES_BY_VALUE)
        except UserError as error:
            raise UserError(f"space: {name}: {value!r} can never be used: {error}") from None
        if name not in params:
            raise UserError(f"space: {name}: its condition (when) is never met")


def _listed(space: Space) -> Iterator[tuple[str, Any]]:
    for name, dim in space.dimensions.items():
        yield from ((name, value) for value in dim.values or [])


def _conditions_of(space: Space, name: str) -> Params:
    """Values of other swept settings that let `name` be drawn."""
    fixed: Params = {}
    for other, wanted in space.dimensions[name].when.items():
        if other in space.dimensions:
            fixed |= _conditions_of(space, other) | {other: wanted[0]}
    return fixed
