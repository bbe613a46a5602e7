"""What scripts/analyze.py measures, against values that can be worked out by hand, and
the report that it writes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from hrm_rl.agents.act.solver import Solver
from hrm_rl.analysis import measures, report
from hrm_rl.analysis.figure import Exhibit
from hrm_rl.analysis.study import Study, conduct
from hrm_rl.cli import analyze as analyze_command
from hrm_rl.data.streams import build_task
from hrm_rl.models import build_model
from hrm_rl.training.pictures import Pictures
from hrm_rl.utils.errors import UserError
from tests.cli.test_solve import TASKS, saved
from tests.helpers.tiny import (
    assert_same,
    learner_tensors,
    make_decisive,
    solver_of,
    tiny_config,
    tiny_learner,
    write_csv,
)
from tests.helpers.tiny import puzzles as sudokus

MODELS = {
    "hrm": {},
    "trm": {"name": "trm", "h_cycles": 3},
    "transformer": {"name": "transformer"},
    "mlp": {"name": "trm", "mixer": "mlp", "pos_encodings": "none"},
    "prefix": {"puzzle_emb_ndim": 16, "puzzle_emb_len": 2},
}


def study(name: str = "hrm", task_name: str = "sudoku", budget: int = 4, count: int = 12) -> Study:
    config = tiny_config(model=MODELS[name], **TASKS[task_name])
    task = build_task(config)
    model = build_model(config.model, task.vocab_size, task.coordinates())
    make_decisive(model)
    batch = task.generate(task.levels[0], count, np.random.default_rng(0))
    return conduct(name, Solver.of(config, model, task), config, batch, budget, batch_size=5)


def test_brier_score_and_auc_have_their_known_values() -> None:
    happened = np.array([True, True, False, False])
    assert measures.brier(np.array([1.0, 1.0, 0.0, 0.0]), happened) == 0
    assert measures.brier(np.full(4, 0.5), happened) == 0.25
    assert measures.brier(np.array([0.8, 0.6, 0.4, 0.1]), happened) == pytest.approx(0.0925)
    assert measures.auc(np.array([0.9, 0.8, 0.2, 0.1]), happened) == 1
    assert measures.auc(np.array([0.1, 0.2, 0.8, 0.9]), happened) == 0
    assert measures.auc(np.full(4, 0.3), happened) == 0.5
    assert measures.auc(np.array([0.9, 0.4, 0.5, 0.1]), happened) == 0.75
    assert np.isnan(measures.auc(np.ones(3), np.ones(3, np.bool_)))


def test_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    score, happened = rng.integers(0, 6, 60) / 5, rng.random(60) < 0.4
    pairs = score[happened][:, None] - score[~happened][None]
    assert measures.auc(score, happened) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_reliability_puts_every_prediction_in_one_bin() -> None:
    said = np.array([0.0, 0.05, 0.15, 0.95, 1.0])
    found = measures.reliability(said, np.array([False, True, True, True, True]))
    assert found.count.tolist() == [2, 1, 2]
    assert found.predicted == pytest.approx([0.025, 0.15, 0.975])
    assert found.observed == pytest.approx([0.5, 1, 1])
    assert found.error == pytest.approx((2 * 0.475 + 0.85 + 2 * 0.025) / 5)


def test_regret_of_sequences_made_by_hand() -> None:
    right = np.array(  # a row is a puzzle; transposed below
        [
            [1, 1, 1, 1],  # halts after 3: two segments wasted
            [0, 0, 1, 1],  # halts after 3: none
            [0, 1, 0, 0],  # halts after 3: lost
            [0, 0, 0, 1],  # halts after 3: too early
            [0, 0, 0, 0],  # never right
            [1, 0, 1, 0],  # lost and found again: wasted 2
        ],
        np.bool_,
    ).T
    what = measures.regret(right, np.full(6, 3))
    assert what.first_right.tolist() == [1, 3, 2, 4, 0, 1]
    assert what.wasted.tolist() == [2, 0, -1, -1, -1, 2]
    assert what.lost.tolist() == [False, False, True, False, False, False]
    assert what.too_early.tolist() == [False, False, False, True, False, False]
    assert what.never.tolist() == [False, False, False, False, True, False]
    kinds = np.stack([what.wasted >= 0, what.lost, what.too_early, what.never])
    assert (kinds.sum(axis=0) == 1).all()  # every puzzle is in exactly one


@pytest.mark.parametrize(
    ("spectrum", "expected"),
    [([1, 0, 0], 1), ([1, 1, 1], 3), ([2, 1, 0], 9 / 5), ([4, 2, 1, 1], 64 / 22)],
)
def test_participation_ratio_of_known_spectra(spectrum: list[float], expected: float) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((len(spectrum),) * 2))[0]
    covariance = rotation @ np.diag(spectrum) @ rotation.T
    assert measures.participation_ratio(covariance) == pytest.approx(expected)


def test_covariance_in_parts_is_that_of_the_whole() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 4)) @ np.diag([1, 2, 3, 4]) + 7
    found = measures.Covariance(4)
    for part in np.split(vectors, [3, 20]):
        found.add(part)
    np.testing.assert_allclose(found.value(), np.cov(vectors.T, bias=True))


def test_principal_components_keep_distances_and_find_a_line() -> None:
    line = np.outer(np.arange(5.0), [3, 4, 0, 0])  # 5 apart
    points, shares = measures.principal_components(line, 2)
    assert shares == pytest.approx([1, 0], abs=1e-9)
    assert np.diff(points[:, 0]) == pytest.approx([5, 5, 5, 5])
    cloud = np.random.default_rng(0).standard_normal((6, 9))
    points, shares = measures.principal_components(cloud, 6)
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(
        np.linalg.norm(points[0] - points[1:], axis=1), np.linalg.norm(cloud[0] - cloud[1:], axis=1)
    )


def test_the_effective_number_counts_places() -> None:
    weights = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    assert measures.effective_number(weights) == pytest.approx([1, 2, 4])


@pytest.mark.parametrize("name", MODELS)
def test_a_study_has_a_change_for_every_update_and_does_not_depend_on_the_batch(name: str) -> None:
    found = study(name)
    config = found.config.model
    each = config.l_cycles if name == "transformer" else config.l_cycles + 1
    assert found.change.shape == (4, config.h_cycles * each, 12)
    assert (found.change > 0).all()
    assert set(found.participation) == ({"h"} if name == "transformer" else {"h", "l"})
    for ratio in found.participation.values():
        assert ((ratio >= 1) & (ratio <= config.hidden_size)).all()
    in_h = sum(place.level == "h" for place in found.places)
    positions = 16 + config.prefix_positions
    assert [path.shape for path in found.paths] == [(4 * in_h, positions * config.hidden_size)] * 4
    assert bool(found.attention) == (name != "mlp")
    for updates in found.attention.values():
        assert [place for place, _ in updates] == found.places


def same_exhibits(studies: list[Study]) -> dict[str, Exhibit]:
    return {exhibit.name: exhibit for exhibit in report.exhibits(studies)}


@pytest.mark.parametrize(
    ("name", "task"), [("hrm", "sudoku"), ("mlp", "maze"), ("transformer", "sudoku"), ("trm", "mirror")]
)
def test_every_model_mixer_and_task_gives_every_figure_or_says_why_not(name: str, task: str) -> None:
    found = same_exhibits([study(name, task)])
    missing = {key for key, exhibit in found.items() if exhibit.figure is None}
    assert missing == {"training"} | ({"attention"} if name == "mlp" else set()) | (
        {"errors_by_rule"} if task == "mirror" else set()
    )
    for key, exhibit in found.items():
        assert len(exhibit.reading) > 30, key
        if exhibit.figure is not None:
            assert "Computed from" in exhibit.basis, key
            assert exhibit.rows, key
            assert {len(row) for row in exhibit.rows} == {len(exhibit.header)}, key
            labels = [(axis.get_xlabel(), axis.get_ylabel()) for axis in exhibit.figure.axes]
            assert any(x or y for x, y in labels), key


def test_a_run_is_reported_in_one_html_file_with_a_picture_and_a_table_beside(
    run_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "report"
    assert analyze_command.main(["--checkpoint", str(run_dir), "--out", str(out)]) == 0
    page = (out / "report.html").read_text()
    pictures = sorted(path.stem for path in out.glob("*.png"))
    assert len(pictures) == 11
    assert pictures == sorted(path.stem for path in out.glob("*.csv"))
    assert page.count("data:image/png;base64,") == 11
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)  # nothing outside
    rows = list(csv.DictReader((out / "accuracy.csv").open()))
    assert {row["puzzles"] for row in rows} == {"all", "easy", "hard"}
    assert len([row for row in rows if row["puzzles"] == "all"]) == 6  # twice the budget of training
    logged = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    last = next(r for r in reversed(logged) if "eval/accuracy_after_segment/3" in r)
    third = next(row for row in rows if row["puzzles"] == "all" and row["segments"] == "3")
    assert float(third["exact"]) == pytest.approx(last["eval/accuracy_after_segment/3"], abs=1e-5)


def test_runs_are_compared_by_overlaying_them(run_dir: Path, tmp_path: Path) -> None:
    other = saved(tmp_path / "other", None, model=MODELS["transformer"])
    out = tmp_path / "report"
    args = ["--compare", str(run_dir), other, "--out", str(out), "--puzzles", "6", "--max-segments", "3"]
    assert analyze_command.main(args) == 0
    rows = list(csv.DictReader((out / "accuracy.csv").open()))
    assert {row["puzzles"] for row in rows} == {"r", "other"}
    assert not (out / "attention.png").exists()


def test_puzzles_of_a_file_are_thought_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "p.csv", sudokus(7, "medium"))
    model, seen = saved(tmp_path / "m", None), []
    monkeypatch.setattr(report, "write_report", lambda out, studies, *rest: seen.append(studies) or out)
    assert (
        analyze_command.main(["--checkpoint", model, "--data", str(path), "--out", str(tmp_path / "o")]) == 0
    )
    ((found,),) = seen
    assert (found.puzzles.inputs == sudokus(7, "medium").inputs).all()
    assert found.budget == 2 * found.trained_budget


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("", "--checkpoint runs/NAME"),
        ("--checkpoint RUN", "--out DIR"),
        ("--checkpoint RUN --compare RUN RUN --out x", "not both"),
        ("--compare RUN --out x", "at least two"),
        ("--compare RUN MAZE --out x", "one of maze 6x6"),
        ("--checkpoint gone --out x", "gone holds no sound checkpoint"),
        ("--checkpoint RUN --out FILE", "must be a folder"),
        ("--checkpoint RUN --out x --level hrad", "did you mean 'hard'"),
        ("--checkpoint RUN --out x --data FILE", "is empty"),
        ("--checkpoint RUN --out x --puzzles 0", "--puzzles"),
        ("--checkpoint RUN --out /proc/x --puzzles 2 --max-segments 1", "cannot write to /proc/x"),
    ],
)
def test_mistakes_are_one_line(args: str, part: str, run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    maze = saved(tmp_path / "maze", None, **TASKS["maze"])
    given = [
        {"RUN": str(run_dir), "MAZE": maze, "FILE": str(tmp_path / "empty.csv")}.get(word, word)
        for word in args.split()
    ]
    with pytest.raises(UserError) as error:
        analyze_command.main(given)
    assert "\n" not in str(error.value)
    assert part in str(error.value)


def test_figures_of_a_run_in_training_take_a_small_share_of_its_time_and_change_nothing() -> None:
    learner = tiny_learner()
    live = Pictures()
    assert not live.due(last=True)  # a run of a moment has none
    live.drawn_at -= 20
    assert live.due(last=True)
    assert not live.due(last=False)
    live.drawn_at -= 100
    assert live.due(last=False)
    before, stream = learner_tensors(learner), torch.get_rng_state()
    names = ("accuracy", "halting", "calibration", "regret", "convergence")
    images = live.figures(solver_of(learner), sudokus(6), learner.config)
    assert set(images) == {f"eval/figures/{name}" for name in names}
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in images.values())
    assert not live.due(last=False)
    assert learner.model.training
    assert_same(before, learner_tensors(learner))
    assert torch.equal(stream, torch.get_rng_state())
