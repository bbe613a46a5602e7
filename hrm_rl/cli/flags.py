"""Flags to typed settings: preset, then file, then flags. tyro does the parsing and the help; this module
adds the order of precedence and turns every mistake into one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn, TypeVar

import tyro
from pydantic import BaseModel

from hrm_rl.utils.errors import UserError, nearest

Command = TypeVar("Command", bound=BaseModel)


def flag_value(args: Sequence[str], name: str) -> str | None:
    """The value given for flag `name` (as in `--preset x` or `--preset=x`), the last one if there
    are several; `--run_name` is `--run-name`, as it is to tyro. For the few flags that decide
    what the defaults of all others are."""
    value = None
    for i, arg in enumerate(args):
        flag, equals, rest = arg.partition("=")
        if flag.replace("_", "-") != f"--{name}":
            continue
        if equals:
            value = rest
        elif i + 1 < len(args):
            value = args[i + 1]
    return value


def parse(default: Command, args: Sequence[str], description: str, prog: str) -> Command:
    """`default` with the flags of `args` over it. `--help` prints and exits. Raises UserError."""
    printed = io.StringIO()
    wide = {} if {"-h", "--help"} & set(args) else {"COLUMNS": "10000"}  # errors are not to be wrapped
    try:
        with contextlib.redirect_stderr(printed), _environment(wide):
            command, unknown = tyro.cli(
                type(default),
                default=default,
                args=list(args),
                description=description,
                prog=prog,
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(_one_line(printed.getvalue())) from None
    if unknown:
        flags = [f"--{name.replace('_', '-')}" for name in _field_paths(type(default))]
        flag = unknown[0].partition("=")[0]
        if not flag.startswith("--"):
            raise UserError(f"'{flag}' is not expected here (a yes-or-no setting is --flag or --no-flag)")
        raise UserError(f"unknown flag {flag}{nearest(flag, flags)} (--help lists all flags)")
    return command


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _field_paths(model: type[BaseModel], prefix: str = "") -> list[str]:
    paths = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            paths += _field_paths(kind, f"{prefix}{name}.")
        else:
            paths.append(prefix + name)
    return paths


def _one_line(box: str) -> str:
    """The first paragraph inside tyro's box, without pydantic's wrapping."""
    lines = [re.sub(r"^[│╭╰]\s?|\s?[│╮╯]$", "", line).rstrip() for line in box.splitlines()]
    paragraph: list[str] = []
    for line in lines:
        if set(line) & set("─-") and not set(line) - set("─- ╮╯") and paragraph:
            break
        if not line.startswith("─") and line:
            paragraph.append(line.strip())
    text = " ".join(paragraph)
    text = re.sub(r"\s*\[type=.*?input_type=\w+\]|\s*For further information visit \S+", "", text)
    text = re.sub(
        r"Error parsing ([\w.-]+): \d+ validation errors? for \w+ (?:([\w.]+) )?(?=Value|Input|[A-Z])",
        _flag,
        text,
    )
    text = re.sub(
        r"Error parsing ([\w.-]+): no type matching \{None\}\|(\w+) could .*? from \[(.*?)\].*",
        r"\1: \3 is not of type \2",
        text,
    )
    return text.replace("Value error, ", "") or "the command line cannot be understood; see --help"


def _flag(match: re.Match[str]) -> str:
    """`--section.field: ` from tyro's name of the section (the command's class, at top
    level) and the field."""
    section, field = match.groups()
    parts = [part for part in ("" if section[0].isupper() else section, field) if part]
    return f"--{'.'.join(parts).replace('_', '-')}: " if parts else ""


def run_script(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """Run a script's `main(args)`; a UserError becomes one line on standard error and exit status 2."""
    try:
        sys.exit(main(sys.argv[1:]) or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
