"""Write docs/reference/bad_inputs.md: `PYTHONPATH=. python docs/render_bad_inputs.py`.

The mistakes are those of tests/helpers/bad_inputs/; tests/faults/test_bad_inputs.py holds the page to this
rendering. It takes half a minute.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from tests.helpers.bad_inputs import AREAS
from tests.helpers.bad_inputs.kinds import BadInput, outcome
from tests.helpers.bad_inputs.place import DESCRIPTION, make_place

PAGE = Path(__file__).parent / "reference" / "bad_inputs.md"


def rendered(line: Callable[[BadInput], str]) -> str:
    """The whole page. line: what a bad input is told."""
    return "\n\n".join([_head(), *(_table(area, cases, line) for area, cases in AREAS.items())]) + "\n"


def _head() -> str:
    count = sum(map(len, AREAS.values()))
    return f"""\
<!-- Written by docs/render_bad_inputs.py from what the commands say; edit the code and run it. -->
# Bad inputs

{count} mistakes, and the line that each gets. Every one ends with exit status 2 and this one line on standard
error, and leaves no file or folder behind; a test types them all. They are typed in
the folder `/home/you`, which has:

{DESCRIPTION}

The machine has 8 CPUs and no GPU."""


def _table(area: str, cases: tuple[BadInput, ...], line: Callable[[BadInput], str]) -> str:
    return "\n".join([f"## {area}", "", "| typed | answer |", "|---|---|", *(row(c, line(c)) for c in cases)])


def row(case: BadInput, said: str) -> str:
    """A bad input and what it is told, as a row of its table."""
    about = f" ({case.about})" if case.about else ""
    return f"| {_code(case.typed)}{_cell(about)} | {_code(said)} |"


def _code(text: str) -> str:
    """`text`, whatever is in it."""
    text = _cell(" ".join(text.splitlines()))
    ticks = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def answers(folder: Path) -> Iterator[tuple[BadInput, str]]:
    """Each bad input with what it is told, tried in `folder`."""
    place = make_place(folder / "place")
    for case in [case for cases in AREAS.values() for case in cases]:
        found = outcome(case, place, folder / "work")
        if found.wrong:
            raise SystemExit(f"{case.typed} ({case.about}): {found.wrong}")
        yield case, found.stderr.strip()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        said = {id(case): text for case, text in answers(Path(temporary))}
    PAGE.write_text(rendered(lambda case: said[id(case)]))
