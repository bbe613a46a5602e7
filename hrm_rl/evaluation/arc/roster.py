"""Which identifier stands for which form of which puzzle: as the task numbers them, or as a data-set folder
does that a model was trained on, also one that sapientinc/HRM or TinyRecursiveModels built."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from envs import DataError
from envs.arc.augmentation import IDENTITY, Augmentation
from envs.arc.task import ArcTask

NAMES = "identifiers.json"
_FORM = re.compile(r"(.+?)(?:\|\|\||_)t([0-7])(?:\|\|\||_)(0\d{9})")
"""A form's name as TinyRecursiveModels (|||) and sapientinc/HRM (_) write it."""

Form = tuple[int, Augmentation]
"""An identifier and what it stands for."""


class Roster:
    """The forms of a task's puzzles that have an identifier."""

    def __init__(self, task: ArcTask, names: Sequence[str] | None = None) -> None:
        """names: what each identifier stands for, from 0; None where the task's own numbers hold."""
        self.task = task
        self._places = {puzzle.name: place for place, puzzle in enumerate(task.puzzles)}
        self._named: Mapping[int, tuple[int, Augmentation]] | None = None
        self._forms: dict[int, list[Form]] = {}
        if names is not None:
            self._named = dict(self._read(names))
            for identifier, (place, form) in self._named.items():
                self._forms.setdefault(place, []).append((identifier, form))
            for forms in self._forms.values():
                forms.sort(key=lambda one: (one[1] != IDENTITY, one[0]))

    @staticmethod
    def of(task: ArcTask, *paths: str | None) -> Roster:
        """That of the first of some folders that says what its identifiers stand for, else the task's own.
        Raises DataError."""
        for path in paths:
            if path is not None and (file := _names_file(Path(path))) is not None:
                names = _read_names(file)
                if len(names) > 1:
                    return Roster(task, names)
        return Roster(task)

    def find(self, identifier: int) -> tuple[int, Augmentation] | None:
        """The place of its puzzle in `task.puzzles` and its form; None where it stands for none of them."""
        if self._named is not None:
            return self._named.get(identifier)
        if not 0 < identifier < self.task.identifiers:
            return None
        puzzle, form = self.task.puzzle_of(identifier)
        return self._places[puzzle.name], form

    def forms(self, place: int) -> Sequence[Form]:
        """Those of a puzzle, itself first."""
        if self._named is not None:
            return self._forms.get(place, ())
        forms = self.task.augmentations_of(place)
        return [(self.task.identifier_of(place, number), form) for number, form in enumerate(forms)]

    @property
    def most(self) -> int:
        """Forms of the puzzle that has most."""
        if self._named is None:
            return 1 + self.task.augmentations
        return max(map(len, self._forms.values()), default=1)

    def _read(self, names: Sequence[str]) -> list[tuple[int, tuple[int, Augmentation]]]:
        found = []
        for identifier, name in enumerate(names):
            written = _FORM.fullmatch(name)
            form = IDENTITY if written is None else Augmentation(int(written[2]), tuple(map(int, written[3])))
            place = self._places.get(name if written is None else written[1])
            if place is not None:
                found.append((identifier, (place, form)))
        return found


def _names_file(path: Path) -> Path | None:
    """identifiers.json of a data-set folder or of one of its splits, if there is one."""
    if not path.is_dir():
        return None
    return next((file for file in (path / NAMES, path.parent / NAMES) if file.is_file()), None)


def _read_names(file: Path) -> list[str]:
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{file}: must be a list of names, one an identifier")
    return names
