"""Part start of the benchmark: what it makes of the lines of runs. Nothing here starts one."""

from __future__ import annotations

import pytest

from hrm_rl.benchmarks.start import MARKS, judged, phases
from hrm_rl.utils.errors import UserError

LINES = [
    (0.9, "starting Ray"),
    (2.5, "r: hrm on sudoku 4x4"),
    (2.5, "  parameters   107.4k (float32)"),
    (3.0, "starting 2 workers"),
    (5.5, "starting 2 workers: 2.5 s so far"),
    (7.5, "2 workers up: making puzzles and network"),
    (9.0, "update 1/40  loss 1.5  9 puzzles/s  1 s left"),
    (14.0, "update 40: held-out exact accuracy 1.0%"),
    (14.5, "finished at update 40 of 40 after 5 s"),
    (15.0, ""),
]


def test_phases_are_read_from_the_lines_of_a_run() -> None:
    found = phases(LINES)
    assert found == {
        **{"plan": 2.5, "ray": 3.0, "workers_up": 7.5, "first_update": 9.0, "evaluated": 14.0},
        **{"finished": 14.5, "prompt": 15.0, "silent": 2.5},
    }
    assert phases([*LINES[:-1], (19.0, "")])["silent"] == 4.5, "the end of the process belongs to it"
    assert set(MARKS) <= set(found)
    with pytest.raises(UserError, match="part start: a run did not come to its end: error: no room"):
        phases([(1.0, "error: no room"), (1.2, "")])


def test_aims_are_those_of_the_kind_of_run() -> None:
    slow = phases(LINES) | {"silent": 3.1}
    aims = {aim.what: aim.reached for aim in judged({0: phases(LINES), 2: slow})["aims"]}
    assert aims == {
        "no Ray: seconds to the first update": False,
        "no Ray: seconds from the last evaluation to the end": True,
        "no Ray: seconds of silence at most": True,
        "2 Ray workers: seconds to the first update": True,
        "2 Ray workers: seconds from the last evaluation to the end": True,
        "2 Ray workers: seconds of silence at most": False,
    }
