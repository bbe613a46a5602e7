"""Which puzzles of ARC are asked about: whole tasks as they are published, not their other forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from envs import PuzzleBatch
from envs.folders.opening import open_puzzles
from hrm_rl.evaluation.arc.roster import Roster
from hrm_rl.utils.errors import UserError

CHUNK = 8192
"""Examples of a folder in memory at a time."""


def published(roster: Roster) -> PuzzleBatch:
    """The test grids of all evaluation puzzles, with the identifiers that the roster has for them. Raises
    UserError where there are none."""
    found, own = roster.task.tests(), Roster(roster.task)
    forms = [roster.forms(named[0])[:1] for n in found.identifier.tolist() if (named := own.find(n))]
    known = np.array([bool(form) for form in forms])
    if not known.any():
        raise UserError("no evaluation puzzle has an identifier in the model's data: leave out --test-grids")
    identifier = np.array([form[0][0] for form in forms if form], np.int64)
    return replace(found.take(known), identifier=identifier)


def plain(roster: Roster, folder: Path) -> PuzzleBatch:
    """The puzzles of a data-set folder that are as they are published, all if there are none: the field's
    folders have each test grid in all forms, and votes ask about those anyway. Raises DataError."""
    puzzles, kept = open_puzzles(roster.task, folder), []
    first = {forms[0][0] for place in range(len(roster.task.puzzles)) if (forms := roster.forms(place))}
    for start in range(0, len(puzzles), CHUNK):
        chunk = puzzles.take(slice(start, start + CHUNK))
        kept.append(chunk.take(np.isin(chunk.identifier, list(first))))
    found = PuzzleBatch.concatenate(kept)
    return found if len(found) else puzzles.take(slice(None))
