"""Every bad input of tests/helpers/bad_inputs ends in one line, which docs/reference/bad_inputs.md shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.helpers.bad_inputs import AREAS
from tests.helpers.bad_inputs.kinds import BadInput, Outcome, outcome
from tests.helpers.bad_inputs.place import make_place
from tests.helpers.paths import ROOT

_spec = importlib.util.spec_from_file_location("render_bad_inputs", ROOT / "docs" / "render_bad_inputs.py")
assert _spec is not None
assert _spec.loader is not None
page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(page)

CASES = [case for cases in AREAS.values() for case in cases]
LONGEST_LINE = 700


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("bad-inputs") / "place")


@pytest.fixture(scope="module")
def rows() -> list[str]:
    """The page line by line."""
    return page.PAGE.read_text().splitlines()


def name(case: BadInput) -> str:
    return f"{CASES.index(case)}-{case.typed.removeprefix('hrm-rl ')[:60]}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_it_ends_in_the_one_line_of_the_page(case: BadInput, place: Path, rows: list[str]) -> None:
    found = outcome(case, place, place.parent / "work")
    assert found.wrong is None
    assert len(found.stderr) < LONGEST_LINE
    row = page.row(case, found.stderr.strip())
    assert row in rows, "run PYTHONPATH=. python docs/render_bad_inputs.py"


def test_the_page_has_each_of_them_and_nothing_else(rows: list[str]) -> None:
    """Where the line of each is told apart, so that the rest of the page is what is rendered today."""
    lines = iter(row.rpartition(" | ")[2] for row in rows if row.startswith(("| `hrm-rl", "| ``")))
    again = page.rendered(lambda case: "LINE").splitlines()
    assert [row.replace("`LINE` |", next(lines)) if "`LINE`" in row else row for row in again] == rows


def test_there_are_more_than_two_hundred_and_none_twice() -> None:
    assert len({(case.typed, case.about) for case in CASES}) == len(CASES) > 210


def test_what_is_not_refused_in_one_line_is_noticed() -> None:
    assert Outcome(2, "error: no\n", frozenset()).wrong is None
    for status, said, left in ((0, "", set()), (2, "error: a\nb\n", set()), (2, "error: a\n", {"runs/q"})):
        assert Outcome(status, said, frozenset(left)).wrong is not None
