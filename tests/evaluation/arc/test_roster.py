"""Identifiers of a task and of the field's folders, and which puzzles of a folder are asked about."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from envs import DataError
from envs.arc.task import ArcTask
from hrm_rl.evaluation.arc.choice import published
from hrm_rl.evaluation.arc.questions import questions_of
from hrm_rl.evaluation.arc.roster import Roster

TASK = ArcTask("mini", augmentations=3)
NAMES = [TASK.name_of(identifier) for identifier in range(TASK.identifiers)]


def seen(roster: Roster, place: int) -> list[tuple[int, str]]:
    return [(identifier, form.name) for identifier, form in roster.forms(place)]


def test_names_in_the_tasks_own_order_mean_what_its_numbers_do() -> None:
    own, named = Roster(TASK), Roster(TASK, NAMES)
    for place in range(len(TASK.puzzles)):
        assert seen(own, place) == seen(named, place)
    assert [own.find(n) for n in range(-1, len(NAMES) + 2)] == [
        named.find(n) for n in range(-1, len(NAMES) + 2)
    ]
    assert own.find(0) is None
    assert own.most == named.most == 4


@pytest.mark.parametrize("separator", ["|||", "_"])
def test_another_order_in_either_projects_writing_is_read_with_strangers_among_it(separator: str) -> None:
    order = np.random.default_rng(0).permutation(np.arange(1, len(NAMES)))
    names = ["<blank>", "strange", f"strange{separator}t1{separator}0123456789"]
    names += [NAMES[n].replace("|||", separator) for n in order.tolist()]
    roster = Roster(TASK, names)
    assert [roster.find(n) for n in range(3)] == [None] * 3
    for place in range(len(TASK.puzzles)):
        forms = roster.forms(place)
        assert {form.name for _, form in forms} == {form.name for form in TASK.augmentations_of(place)}
        assert names[forms[0][0]] == TASK.puzzles[place].name, "itself first"
    grids = published(roster)
    assert [names[n] for n in grids.identifier.tolist()] == [
        TASK.puzzle_of(n)[0].name for n in TASK.tests().identifier.tolist()
    ]
    questions, _ = questions_of(roster, grids)
    assert [one.puzzle for one in questions] == [
        one.puzzle for one in questions_of(Roster(TASK), TASK.tests())[0]
    ]


def test_the_names_lie_beside_the_splits_and_may_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    file = tmp_path / "identifiers.json"
    names = [NAMES[0], *reversed(NAMES[1:])]
    file.write_text(json.dumps(names))
    for path in (tmp_path, tmp_path / "test"):
        assert (
            seen(Roster.of(TASK, None, str(path)), 0) == seen(Roster(TASK, names), 0) != seen(Roster(TASK), 0)
        )
    file.write_text('["<blank>"]')
    assert seen(Roster.of(TASK, str(tmp_path)), 0) == seen(Roster(TASK), 0)
    for content in ("[1]", "{", '{"0": "x"}'):
        file.write_text(content)
        with pytest.raises(DataError, match=r"identifiers\.json"):
            Roster.of(TASK, str(tmp_path))
