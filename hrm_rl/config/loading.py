"""Settings from dictionaries and YAML files, with errors in one line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hrm_rl.config.config import Config, field_names
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError, dotted, first_problem, nearest
from hrm_rl.utils.files import read_yaml
from hrm_rl.utils.stores import is_uri

REMOVED: dict[str, tuple[str, tuple[Any, ...] | None]] = {
    "train.batch_warmup_updates": ("0.2.0", (0,)),
    "train.initial_batch_size": ("0.2.0", None),
}
"""Settings that files of older versions hold: the version that removed them, and the values that changed
nothing (None: any), with which such a file is still read."""


def without_removed(values: dict[str, Any], origin: str) -> dict[str, Any]:
    """`values` without the settings in REMOVED. Raises UserError for one that changed something."""
    values = dict(values)
    for setting, (version, neutral) in REMOVED.items():
        section, _, name = setting.partition(".")
        if not isinstance(values.get(section), dict) or name not in values[section]:
            continue
        found = values[section][name]
        if neutral is not None and found not in neutral:
            raise UserError(
                f"{origin}: {setting} (here {found}) was removed in version {version}: leave it out and "
                "start a new run, or use an older version"
            )
        values[section] = {key: value for key, value in values[section].items() if key != name}
    return values


def validate(values: dict[str, Any], origin: str) -> Config:
    """A Config of `values`, as read from `origin`. Raises UserError naming the first wrong field."""
    if {"base", "space"} <= set(values):
        raise UserError(f"{origin} describes a sweep: it is for {typed_command('tune')} --space")
    values = without_removed(values, origin)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise UserError(f"{origin}: {_unknown(first['loc'], first['input'])}") from None
        raise UserError(": ".join(filter(None, (origin, first_problem(error))))) from None


def _unknown(place: tuple[int | str, ...], value: Any) -> str:
    """What is wrong with a setting that nobody knows, and what would be right."""
    field, known = dotted(place), field_names()
    if isinstance(value, dict) and len(place) == 1 and field not in known:
        return f"unknown section '{field}'{nearest(field, Config.model_fields)}"
    last = str(place[-1]).lstrip("-").replace("-", "_")
    if last in known:  # `optim.lr: 0.001`, as flags and sweeps have it
        meant = [last]
    else:
        meant = [name for name in known if name.rpartition(".")[2] == last]
        if "." in last:
            meant = difflib.get_close_matches(last, known, n=1)
    if len(meant) != 1 or meant[0] == field.replace("-", "_") != field:  # in its section, with dashes
        return f"unknown setting '{field}'{nearest(field, known)}"
    section, _, name = meant[0].rpartition(".")
    text = str(value) if isinstance(value, int | float | str) else "..."
    right = f"{section}: {{{name}: {text}}}" if section else f"{name}: {text}, in no section"
    return f"unknown setting '{field}': settings stand in their sections here; write '{right}'"


def read_settings(path: Path) -> dict[str, Any]:
    """What a YAML file of settings holds, not checked yet. Raises UserError."""
    loaded = read_yaml(path, "configuration")
    if not isinstance(loaded, dict):
        raise UserError(f"{path} holds no settings; it should look like 'model: {{hidden_size: 128}}'")
    return loaded


def over(base: Config, settings: dict[str, Any], origin: str) -> Config:
    """`base` with settings by section over it, as read from `origin`. Raises UserError for wrong ones."""
    merged = base.model_dump()
    for key, value in settings.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return validate(merged, origin)


def load_config(path: Path, base: Config) -> Config:
    """`base` with the settings of a YAML file over it. Raises UserError for an unreadable or wrong file."""
    return over(base, read_settings(path), str(path))


def absolute_paths(config: Config) -> Config:
    """The same settings with file names that hold from any folder: Ray's workers have their own."""
    values = config.model_dump()
    for section, keys in (("data", ("path", "eval_path")), ("train", ("init_from",)), ("env", ("options",))):
        for key in keys:
            value = values[section][key]
            if isinstance(value, dict):
                values[section][key] = {k: _absolute(v) for k, v in value.items()}
            elif value is not None:
                values[section][key] = value if is_uri(value) else str(Path(value).absolute())
    return validate(values, "flags")


def _absolute(value: object) -> object:
    return str(Path(value).absolute()) if isinstance(value, str) and Path(value).is_file() else value
