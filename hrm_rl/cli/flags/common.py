"""Flags to typed commands. A command is a class of settings: tyro writes its help, this module reads its
flags into a dictionary, and pydantic checks them, so that every mistake is one line that names the flag."""

from __future__ import annotations

import inspect
import shutil
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import tyro
from pydantic import BaseModel, Field, ValidationError

from hrm_rl.config import PathText, Positive
from hrm_rl.utils.console import program
from hrm_rl.utils.errors import UserError, first_problem, nearest
from hrm_rl.weights import shipped

Command = TypeVar("Command", bound=BaseModel)

CHECKPOINT = (
    "Run folder (its best checkpoint is taken, else the last), one checkpoint's folder, or a folder made by "
    "the commands export or convert; a URI such as s3://BUCKET/runs/NAME too; or the name of a shipped "
    f"model: {', '.join(shipped())}."
)
ALSO_MODEL = tyro.conf.arg(aliases=("--model",))
"""Another name of --checkpoint, for the models that have one of their own."""
CheckpointFlag = Annotated[PathText, Field(description=CHECKPOINT), ALSO_MODEL]
WeightsFlag = Annotated[
    Literal["raw", "ema"] | None,
    Field(description="The trained weights or their moving average; as the run evaluated if not given."),
]
DeviceFlag = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    Field(description="Where the network runs; auto takes a GPU if there is one."),
]
ThreadsFlag = Annotated[
    Positive | None,
    Field(description="CPU threads; torch's choice if not given."),
]


@dataclass(frozen=True)
class Flag:
    """One setting of a command."""

    path: tuple[str, ...]
    """Fields that lead to it, from the command down."""
    name: str
    """As it is typed, without dashes: `optim.lr`."""
    type: Any
    """Without `None`."""
    optional: bool
    """Whether it may be `None`."""
    aliases: tuple[str, ...] = ()
    """Other names of it."""

    @property
    def names(self) -> dict[str, bool]:
        """All its names; for a switch, with what each sets it to."""
        section, dot, last = self.name.rpartition(".")
        off = {f"{section}{dot}no-{last}": False} if self.type is bool else {}
        return dict.fromkeys((self.name, *self.aliases), True) | off

    @property
    def takes_many(self) -> bool:
        return get_origin(self.type) in (tuple, dict)

    def value(self, words: Sequence[str]) -> Any:
        """What the words after the flag mean, for pydantic to check. Raises UserError for too few or many."""
        if "" in words:
            raise UserError(f"--{self.name} needs a value and got an empty one (is a variable not set?)")
        if self.optional and list(words) == ["None"]:
            return None
        if get_origin(self.type) is dict:
            if len(words) % 2:
                raise UserError(f"--{self.name} takes pairs `name value`: '{words[-1]}' has no value")
            return {name: _scalar(word) for name, word in zip(words[::2], words[1::2], strict=True)}
        if get_origin(self.type) is tuple:
            expected = get_args(self.type)
            if Ellipsis not in expected and len(words) != len(expected):
                raise UserError(f"--{self.name} takes {len(expected)} values, not {len(words)}")
            return tuple(words)
        if not words:
            raise UserError(f"--{self.name} needs a value")
        return words[0]


def flags_of(command: type[BaseModel], path: tuple[str, ...] = (), prefix: str = "") -> Iterator[Flag]:
    """All flags of a command. A group marked with OmitArgPrefixes or `arg(name="")` adds no prefix."""
    for field_name, field in command.model_fields.items():
        kind, optional = _without_none(field.annotation)
        given = [name for mark in field.metadata if (name := getattr(mark, "name", None)) is not None]
        name = given[0] if given else field_name.replace("_", "-")
        others = [a for mark in field.metadata for a in getattr(mark, "aliases", None) or ()]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            omitted = name == "" or tyro.conf.OmitArgPrefixes in field.metadata
            yield from flags_of(kind, (*path, field_name), prefix if omitted else f"{prefix}{name}.")
        else:
            aliases = tuple(alias.removeprefix("--") for alias in others)
            yield Flag((*path, field_name), prefix + name, kind, optional, aliases)


def parse(default: Command, args: Sequence[str], name: str) -> Command:
    """`default` with the flags of `args` over it, for the command called `name`. `--help` prints the class's
    docstring and all flags, and exits. Raises UserError."""
    kind = type(default)
    if {"-h", "--help"} & set(args):
        tyro.cli(kind, default=default, args=["--help"], description=_description(kind), prog=program(name))
    flags = list(flags_of(kind))
    values = default.model_dump()
    for flag, value in _given(args, flags):
        section = values
        for part in flag.path[:-1]:
            section = section[part]
        section[flag.path[-1]] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(first_problem(error, lambda where: _typed(where, flags))) from None


def _description(command: type[BaseModel]) -> str:
    """A command's docstring in paragraphs as wide as the terminal."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(textwrap.fill(text, shutil.get_terminal_size().columns) for text in paragraphs)


def flag_value(args: Sequence[str], name: str) -> str | None:
    """The value given for flag `name` (as in `--preset x` or `--preset=x`), the last one if there are more.
    `--run_name` is `--run-name`. For the few flags that decide the defaults of all others."""
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


def _given(args: Sequence[str], flags: Sequence[Flag]) -> Iterator[tuple[Flag, Any]]:
    """The settings that are typed, with their values. Raises UserError."""
    known = {name: (flag, on) for flag in flags for name, on in flag.names.items()}
    i = 0
    while i < len(args):
        typed, equals, rest = args[i].partition("=")
        name = typed.removeprefix("--").replace("_", "-")
        if not typed.startswith("--"):
            raise UserError(_stray(args[i], args[i - 1] if i else "", known))
        if name not in known:
            near = nearest(typed, [f"--{name}" for name in known])
            raise UserError(f"unknown flag {typed}{near} (--help lists all flags)")
        flag, on = known[name]
        i += 1
        if flag.type is bool:
            if equals:
                raise UserError(f"{typed} takes no value: write {' or '.join(f'--{n}' for n in flag.names)}")
            yield flag, on
            continue
        words = [rest] if equals else []
        while i < len(args) and not args[i].startswith("--") and (flag.takes_many or not words):
            words.append(args[i])
            i += 1
        yield flag, flag.value(words)


def _stray(word: str, before: str, known: Mapping[str, tuple[Flag, bool]]) -> str:
    """What is wrong with a word that stands where a flag should. before: the one before it."""
    wrong = f"'{word}' is not expected here"
    if word.startswith("-") and word[1:2].isalpha():
        return f"{wrong}: flags begin with two dashes{nearest('-' + word, [f'--{name}' for name in known])}"
    name, equals, _ = word.partition("=")
    if equals and (near := nearest(f"--{name}", [f"--{name}" for name in known])):
        return f"{wrong}: settings are flags{near}"
    last = before.partition("=")[0].removeprefix("--").replace("_", "-")
    if before.startswith("--") and last in known:
        return f"{wrong}: {before} is given alone, as {' or '.join(f'--{n}' for n in known[last][0].names)}"
    return f"{wrong}: a value stands behind its flag, one for each (--help lists all flags)"


def _typed(where: Sequence[int | str], flags: Sequence[Flag]) -> str:
    """The flag that sets the value at this place, or the section that the place is."""
    parts = tuple(str(part) for part in where)
    for flag in flags:
        if parts[: len(flag.path)] == flag.path:
            return "--" + ".".join([flag.name, *parts[len(flag.path) :]])
    inside = [flag for flag in flags if parts and flag.path[: len(parts)] == parts]
    section = inside[0].name.rpartition(".")[0] if inside else ""
    return f"--{section}" if section else ""


def _without_none(kind: Any) -> tuple[Any, bool]:
    """A field's type without `None`, and whether it had it."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    left = [part for part in get_args(kind) if part is not type(None)]
    return (left[0] if len(left) == 1 else kind), len(left) < len(get_args(kind))


def _scalar(word: str) -> int | float | bool | str:
    """A word as the first of whole number, number, truth value and text that it can be."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return {"True": True, "False": False}.get(word, word)
