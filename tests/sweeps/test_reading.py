"""A sweep is read out of its folder alone, whatever state that is in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_rl.config import Config, load_config
from hrm_rl.sweeps.results.reading import CurvePoint, pareto_front, read_sweep
from hrm_rl.sweeps.results.report import write_best, write_report
from hrm_rl.utils.errors import UserError
from tests.helpers.small_sweeps import LR, add_trial, by_id, make_mixed_sweep, make_sweep

# What is read


def test_a_score_is_the_best_evaluation_and_its_cost_is_what_that_one_cost(tmp_path: Path) -> None:
    sweep = read_sweep(make_mixed_sweep(tmp_path / "s"))
    assert by_id(sweep, "t0000").best == CurvePoint(200, 0.9, 2.5)
    assert [trial.id for trial in sweep.ranked] == ["t0000", "t0001", "t0002", "t0003"]
    assert sweep.best is by_id(sweep, "t0000")
    assert sweep.notes == ()


def test_of_equal_evaluations_the_first_counts_and_less_can_be_better(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s", mode="min")
    add_trial(folder, "t0000", {LR: 1e-3}, [(1, 0.2, 1.0), (2, 0.2, 1.0), (3, 0.5, 1.0)])
    add_trial(folder, "t0001", {LR: 1e-3}, [(1, 0.1, 2.0)])
    sweep = read_sweep(folder)
    assert by_id(sweep, "t0000").best == CurvePoint(1, 0.2, 1.0)
    assert [trial.id for trial in sweep.ranked] == ["t0001", "t0000"]
    assert [trial.id for trial in sweep.front] == ["t0000", "t0001"]


POINTS = st.lists(st.tuples(st.integers(0, 5).map(float), st.integers(0, 5).map(float)), max_size=12)


@given(POINTS)
def test_members_of_the_pareto_front_are_not_dominated_and_all_others_are(
    points: list[tuple[float, float]],
) -> None:
    def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a != b and a[0] >= b[0] and a[1] <= b[1]

    front = {points[i] for i in pareto_front(points)}
    for i, point in enumerate(points):
        dominated = any(dominates(other, point) for other in points)
        assert (i in pareto_front(points)) == (not dominated)
        assert point in front or any(dominates(member, point) for member in front)


def test_population_based_training_scores_the_settings_in_force_at_the_best_evaluation(
    tmp_path: Path,
) -> None:
    folder = make_sweep(tmp_path / "s", parameters=[LR])
    history = [{"update": u, "params": {LR: lr}} for u, lr in ((0, 1e-3), (100, 2e-3), (200, 4e-3))]
    curve = [(100, 0.1, 3.0), (200, 0.9, 3.0), (300, 0.5, 3.0)]
    add_trial(folder, "t0000", {LR: 4e-3}, curve, history=history, **{"from": "t0001"})
    trial = read_sweep(folder).trials[0]
    assert [trial.params_at(update)[LR] for update in (1, 100, 101, 200, 300)] == [
        1e-3,
        1e-3,
        2e-3,
        2e-3,
        4e-3,
    ]
    assert trial.scored_params == {LR: 2e-3}
    assert trial.source == "t0001"
    write_best(read_sweep(folder))
    text = (folder / "best.yaml").read_text()
    assert load_config(folder / "best.yaml", Config()).optim.lr == 2e-3
    assert "changed while it trained" in text


# Broken and running


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no sweep.yaml"), ("a: [", "not YAML"), ("- 1", "no metric"), ("mode: max", "no metric")],
)
def test_a_folder_that_is_no_sweep_is_refused_in_one_line(
    content: str | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "sweep.yaml").write_text(content)
    with pytest.raises(UserError, match=said) as refused:
        write_report(tmp_path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "results.csv").exists()


def test_a_sweep_without_trials_is_reported_as_that(tmp_path: Path) -> None:
    text = write_report(make_sweep(tmp_path / "s"))
    assert "no trial has started yet" in text
    assert "no best.yaml: no trial has been evaluated" in text
    assert (tmp_path / "s" / "results.csv").read_text().count("\n") == 1


def test_damaged_files_of_trials_are_named_and_the_rest_is_reported(tmp_path: Path) -> None:
    folder = make_mixed_sweep(tmp_path / "s")
    (folder / "trials/t0000/trial.json").write_text('{"id": "t0')
    (folder / "trials/t0001/metrics.jsonl").write_bytes(b"\xff\xfe\x00")
    (folder / "trials/t0002/trial.json").write_text("[]")
    (folder / "trials/t0003/metrics.jsonl").unlink()
    (folder / "trials/t0004").mkdir()
    sweep = read_sweep(folder)
    assert [note.split(":")[0] for note in sweep.notes] == ["t0000", "t0001", "t0002", "t0004"]
    assert [trial.status for trial in sweep.trials] == ["unknown", "stopped", "unknown", "failed", "unknown"]
    assert by_id(sweep, "t0000").params[LR] == 1e-3  # out of config.yaml
    assert by_id(sweep, "t0000").best == CurvePoint(200, 0.9, 2.5)
    text = write_report(folder)
    assert all(note in text for note in sweep.notes)


def test_a_line_that_is_still_being_written_and_evaluations_without_a_number_are_left_out(
    tmp_path: Path,
) -> None:
    folder = make_sweep(tmp_path / "s")
    trial = add_trial(folder, "t0000", {LR: 1e-3}, [(1, None, 1.0), (2, 0.25, 1.0)], status="running")
    with (trial / "metrics.jsonl").open("a") as file:
        file.write('[]\n{"update": 3, "eval/solved": 0.')
    assert read_sweep(folder).trials[0].curve == (CurvePoint(2, 0.25, 1.0),)


def test_records_of_another_kind_than_they_should_be_do_no_harm(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s", num_samples="many", parameters=None, cost=3)
    add_trial(
        folder, "t0000", {LR: 1e-3}, [(1, 0.5, 1.0)], status="odd", seconds=None, updates="x", history=[3]
    )
    sweep = read_sweep(folder)
    assert (sweep.parameters, sweep.num_samples, sweep.cost) == ((LR,), 1, "eval/segments_mean")
    trial = sweep.trials[0]
    assert (trial.status, trial.seconds, trial.updates, trial.history) == ("unknown", 0.0, 1, ())


def test_a_curve_that_has_grown_is_read_again(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    trial = add_trial(folder, "t0000", {LR: 1e-3}, [(1, 0.5, 1.0)])
    assert len(read_sweep(folder).trials[0].curve) == 1
    with (trial / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"update": 2, "eval/solved": 0.75}) + "\n")
    assert read_sweep(folder).trials[0].curve[-1] == CurvePoint(2, 0.75, None)
