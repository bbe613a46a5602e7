"""Write docs/reference/settings.md, presets.md and commands.md from the code: `python docs/render.py`.

tests/test_docs.py holds the pages to this rendering.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin
from unittest import mock

import yaml
from pydantic.fields import FieldInfo

from hrm_rl.config import PRESETS, Config, Section, describe, flatten

REFERENCE = Path(__file__).parent / "reference"
COMMANDS = ("train", "tune", "evaluate", "solve", "generate", "serve", "analyze")
COMMANDS += ("dataset", "convert", "export", "weights", "benchmark", "recipes")
SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
NOTE = "<!-- Written by docs/render.py from the code; edit the code and run it. -->\n"


def settings() -> str:
    """Every setting by section: name, type, default, docstring."""
    parts = [
        f"{NOTE}# Settings",
        "Every setting of a run. A setting is a key in YAML (`model: {h_cycles: 3}`) and a flag "
        "(`--model.h-cycles 3`). Where they come from, the later ones winning: a [preset](presets.md), "
        "`--config FILE`, flags. The defaults below are those without a preset.",
    ]
    top = {name: field for name, field in Config.model_fields.items() if name not in SECTIONS}
    parts += ["## At the top", _table(top, "")]
    for name, section in SECTIONS.items():
        parts += [f"## {name}", str(section.__doc__), _table(section.model_fields, f"{name}.")]
    return "\n\n".join(parts) + "\n"


def _table(fields: dict[str, FieldInfo], prefix: str) -> str:
    rows = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = _value(field.get_default(call_default_factory=True))
        meaning = " ".join((field.description or "").split())
        cells = (f"`{prefix}{name}`", _type(field.annotation, field.metadata), default, meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _type(kind: Any, limits: list[Any]) -> str:
    """A type as a user reads it: its values, or its name and limits."""
    if get_origin(kind) is Annotated:
        kind, *metadata = get_args(kind)
        return _type(kind, [limit for item in metadata for limit in getattr(item, "metadata", [item])])
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        inner = [_type(part, []) for part in get_args(kind) if part is not ...]
        return f"several {inner[0]}" if ... in get_args(kind) else " and ".join(inner)
    if get_origin(kind) is dict:
        return "names and values"
    if parts := get_args(kind):
        return " or ".join(_type(part, limits) for part in parts if part is not NoneType)
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {getattr(limit, key):g}"
        for limit in limits
        for key, sign in signs.items()
        if hasattr(limit, key)
    ]
    name = {"int": "whole number", "float": "number", "str": "text", "bool": "yes or no"}[kind.__name__]
    return f"{name} {', '.join(bounds)}".strip()


def _value(value: Any) -> str:
    if value in (None, {}, ()):
        return "-"
    if isinstance(value, tuple):
        return " ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def presets() -> str:
    """Every preset as the settings in which it differs from the defaults."""
    parts = [
        f"{NOTE}# Presets",
        "What each preset is for and what it sets; everything else is as in [settings](settings.md).",
    ]
    default = flatten(Config().model_dump(mode="json"))
    for name, preset in PRESETS.items():
        values: dict[str, Any] = {}
        for key, value in flatten(preset.model_dump(mode="json")).items():
            if value != default[key] and key != "preset":
                section, _, field = key.rpartition(".")
                (values.setdefault(section, {}) if section else values)[field] = value
        purpose, reaches = describe(name)
        parts += [
            f"## {name}",
            purpose[:1].upper() + purpose[1:] + "." + f" Reached: {reaches}." * bool(reaches),
        ]
        parts.append(f"```yaml\n{yaml.safe_dump(values, sort_keys=False, width=100)}```")
    return "\n\n".join(parts) + "\n"


def commands() -> str:
    """The help of every command, without the settings of a run."""
    parts = [
        f"{NOTE}# Commands",
        "What `hrm-rl COMMAND --help` prints. `train` and `benchmark` also take every [setting](settings.md) "
        "as a flag.",
    ]
    for name in COMMANDS:
        parts += [f"## {name}", f"```text\n{command_help(name)}\n```"]
    return "\n\n".join(parts) + "\n"


def command_help(name: str) -> str:
    """What `hrm-rl NAME --help` prints, without the groups of settings."""
    groups = re.split(r"(?m)^(?= [\w.-]+ options\n -+$)", whole_help(name))
    return "".join(group for group in groups if group.split(maxsplit=1)[0] not in SECTIONS).strip()


@cache
def whole_help(name: str) -> str:
    """What `hrm-rl NAME --help` prints at a width of 100, without colours."""
    main = importlib.import_module(f"hrm_rl.cli.{name}").main
    printed, stop = io.StringIO(), contextlib.suppress(SystemExit)
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    with mock.patch.dict("os.environ", plain), contextlib.redirect_stdout(printed), stop:
        main(["--help"])
    text = re.sub(r"\x1b\[[\d;]*m|[ \t]+$", "", printed.getvalue(), flags=re.MULTILINE)
    return re.sub(r"^usage: .*? \[-h\]", f"usage: hrm-rl {name} [-h]", text)


PAGES = {"settings.md": settings, "presets.md": presets, "commands.md": commands}

if __name__ == "__main__":
    for page, render in PAGES.items():
        (REFERENCE / page).write_text(render())
