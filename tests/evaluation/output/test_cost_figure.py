"""The figure of solved against segments: its curves are the reports', and several models are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.depth import by_depth, depths
from hrm_rl.evaluation.output.cost_figure import (
    CostCurve,
    cost_figure,
    curves_of,
    curves_of_sweep,
    write_figure,
)
from hrm_rl.evaluation.report import Report
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.evaluation.summaries import split
from hrm_rl.evaluation.tradeoff import Point
from hrm_rl.evaluation.votes import Asker, retry, vote
from hrm_rl.utils.errors import UserError
from tests.helpers.thinkers import TASK, many, network


def test_curves_of_a_report_begin_with_the_single_pass() -> None:
    solver, batch, rule = network(), many(20), Stopping(12)
    result = evaluate(solver, batch, rule, depths=depths(12, trained=3))
    asker = Asker(solver, rule)
    extra = {f"vote of {k}": passes for k, passes in vote(asker, batch, result, 6, seed=0).items()}
    extra |= {"1 retry": retry(asker, batch, result, 1, seed=0)[0]}
    rows = by_depth(result, trained=3)
    groups = split("level", TASK, batch)
    report = Report({}, result, TASK, groups, 1.0, extra=extra, depths=rows, trained_budget=3)
    depth, votes, retries = curves_of(report)
    assert [curve.name for curve in (depth, votes, retries)] == ["depth", "vote", "retry"]
    assert depth.segments == [row.segments_mean for row in rows]
    mean = result.segments.mean()
    assert votes.segments == [mean, extra["vote of 4"].segments.mean(), extra["vote of 6"].segments.mean()]
    assert retries.segments == [mean, extra["1 retry"].segments.mean()]
    assert votes.solved[0] == retries.solved[0] == result.solved.mean()


def test_curves_of_a_sweep_are_what_no_cheaper_point_of_the_rule_solves() -> None:
    def point(halting: str, segments: float, solved: float) -> Point:
        return Point(halting, 8, None, segments, 0.5, solved, 0.5, 0.5)

    points = [
        point("fixed", 1.0, 0.1), point("fixed", 8.0, 0.8), point("entropy", 6.0, 0.6),
        point("entropy", 5.0, 0.6), point("entropy", 3.0, 0.2), point("entropy", 4.0, 0.1),
    ]  # fmt: skip
    found = {curve.name: (curve.segments, curve.solved) for curve in curves_of_sweep(points)}
    assert found == {"fixed": ([1.0, 8.0], [0.1, 0.8]), "entropy": ([3.0, 5.0], [0.2, 0.6])}


def test_the_figure_shows_every_curve_by_name_and_its_intervals() -> None:
    curves = [
        CostCurve("depth", [1, 2, 4], [0.1, 0.2, 0.4], [(0.0, 0.2), (0.1, 0.3), (0.3, 0.5)]),
        CostCurve("search", [4, 9], [0.4, 0.9]),
    ]
    (axis,) = cost_figure(curves).axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["depth", "search"]
    np.testing.assert_allclose(axis.lines[1].get_xydata(), [[4, 40], [9, 90]])
    assert len(axis.collections) == 1
    np.testing.assert_allclose(axis.collections[0].get_segments()[2], [[4, 30], [4, 50]])


def test_several_models_have_letters_and_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    one, path = [CostCurve("depth", [1, 2], [0.1, 0.2])], tmp_path / "f.png"
    write_figure(path, [one])
    single = path.read_bytes()
    assert single.startswith(b"\x89PNG")
    write_figure(path, [one, one])
    assert path.read_bytes() != single
    with pytest.raises(UserError, match="cannot write"):
        write_figure(tmp_path / "nowhere" / "f.png", [one])
