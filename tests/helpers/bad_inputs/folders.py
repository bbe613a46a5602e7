"""Bad inputs: data folders, and making them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.bad_inputs.kinds import BadInput, bad
from tests.helpers.bad_inputs.runs import cut

SET = Path("data/4x4")
ARC = '{"train": [{"input": [[0, 1]], "output": [[1, 0]]}], "test": []}'


def checked(about: str, make: Callable[[], object]) -> BadInput:
    return bad("dataset --check data/4x4", about, make=make)


def metadata(**changes: object) -> None:
    path = SET / "train" / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def array(part: str, change: Callable[[Any], Any]) -> None:
    path = SET / "train" / f"all__{part}.npy"
    np.save(path, change(np.load(path)))


def without(part: str) -> None:
    (SET / "train" / f"all__{part}.npy").unlink()


def objects() -> None:
    with (SET / "train" / "all__inputs.npy").open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def at(part: str, place: tuple[int, ...] | int, value: int) -> None:
    def change(found: Any) -> Any:
        found[place] = value
        return found

    array(part, change)


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


NEW = "dataset --task sudoku --size 4"

FOLDERS = (
    bad("dataset --check data/none"),
    bad("dataset --check notes.txt"),
    bad("dataset --check runs/r"),
    bad("dataset --check data"),
    bad(
        "dataset --check data/arc",
        "`data/arc` holds the JSON files of ARC",
        {"data/arc/train/0a1d4ef5.json": ARC},
    ),
    bad("dataset --check data/4x4 --task maze"),
    bad("dataset --check data/4x4 --size 9"),
    bad("dataset --check data/4x4 --task chess"),
    checked("`train` is an empty folder", lambda: emptied(SET / "train")),
    checked("`test` is an empty folder", lambda: emptied(SET / "test")),
    checked("`train/dataset.json` is half there", lambda: cut(SET / "train" / "dataset.json")),
    checked("`train/dataset.json` is a list", lambda: (SET / "train" / "dataset.json").write_text("[]")),
    checked("it has no `seq_len`", lambda: metadata(seq_len=None)),
    checked('its `vocab_size` is `"six"`', lambda: metadata(vocab_size="six")),
    checked("its `vocab_size` and `seq_len` fit no task", lambda: metadata(vocab_size=77, seq_len=50)),
    checked("its `pad_id` is 3", lambda: metadata(pad_id=3)),
    checked('its `sets` is `"all"`, not a list', lambda: metadata(sets="all")),
    checked("its `sets` names one that has no files", lambda: metadata(sets=["all", "more"])),
    checked("its `total_groups` is 9", lambda: metadata(total_groups=9)),
    checked("`train` has no inputs", lambda: without("inputs")),
    checked("`train` has no labels", lambda: without("labels")),
    checked("the inputs are half there", lambda: cut(SET / "train" / "all__inputs.npy")),
    checked("the inputs hold Python objects, which could run code", objects),
    checked("the inputs are of floats", lambda: array("inputs", lambda found: found.astype(np.float32))),
    checked(
        "the inputs are boards of 4 x 4, not rows of 16",
        lambda: array("inputs", lambda f: f.reshape(-1, 4, 4)),
    ),
    checked("there are fewer labels than inputs", lambda: array("labels", lambda found: found[:-1])),
    checked("the inputs hold a token 9", lambda: at("inputs", (2, 5), 9)),
    checked("an input is a digit, its label another one", lambda: array("labels", lambda found: found[::-1])),
    checked("`puzzle_indices` falls", lambda: at("puzzle_indices", 1, 7)),
    checked("`group_indices` begins at 1", lambda: at("group_indices", 0, 1)),
    checked("an identifier is -1", lambda: at("puzzle_identifiers", 0, -1)),
    bad("train --preset sudoku4-quick --num-workers 0 --data.path data/4x4"),
    bad("train --preset sudoku4-quick --num-workers 0 --data.path data --curriculum.stages all=1"),
    bad("train --preset sudoku4-quick --num-workers 0 --data.path data/4x4 --env.size 6"),
    bad("evaluate --checkpoint runs/maze --data data/4x4"),
    bad("dataset"),
    bad("dataset --task chess --level easy --out data/new"),
    bad(f"{NEW} --level easy"),
    bad(f"{NEW} --out data/new"),
    bad(f"{NEW} --level easy --csv puzzles.csv --out data/new"),
    bad(f"{NEW} --level easy --out data/4x4"),
    bad(f"{NEW} --level easy --out notes.txt"),
    bad(f"{NEW} --level easy --puzzles 4 --out notes.txt/new"),
    bad(f"{NEW} --level nightmare --out data/new"),
    bad(f"{NEW} --level easy=2,hard --out data/new"),
    bad(f"{NEW} --level easy --puzzles -5 --out data/new"),
    bad(f"{NEW} --csv puzzles.csv --puzzles 10 --out data/new"),
    bad(f"{NEW} --level easy --subsample 10 --out data/new"),
    bad(f"{NEW} --csv puzzles.csv --test-csv puzzles.csv --test-puzzles 0 --out data/new"),
    bad(f"{NEW} --level easy --test-csv puzzles.csv --out data/new"),
    bad(f"{NEW} --hub sudoku-extreme --out data/new"),
    bad("dataset --task sudoku --size 7 --level easy --out data/new"),
    bad("dataset --task sudoku --size 9 --options min_guesses many --level hard --out data/new"),
    bad("dataset --task maze --options rule shortest --level easy --out data/new"),
    bad("dataset --task maze --size 9 --options levels tiny:9:2 --level tiny --out data/new"),
    bad("dataset --task patterns --options pattern coppy --level n4 --out data/new"),
    bad("dataset --task patterns --options pattern repair kinds 9 --level n4 --out data/new"),
    bad("dataset --task patterns --options levels short:1-8 --level short --out data/new"),
)
