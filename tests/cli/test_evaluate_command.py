"""What scripts/evaluate.py offers beside a table by level (tests/cli/test_scripts.py),
and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from envs import make_task
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.cli.flags.stopping import stopping_in_words
from hrm_rl.evaluation.summaries import MOST_GROUPS, split
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.commands import evaluated, refusal
from tests.helpers.tiny import puzzles, tiny_config, write_csv


def trained(folder: Path, **sections: dict[str, object]) -> str:
    """The folder of a run of a few updates."""
    folder.mkdir(parents=True)
    settings = {"train": {"max_updates": 4, "eval_every": 4}, "curriculum": {"stages": ("easy=1,hard=1",)}}
    config = tiny_config(**(settings | sections))
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    return str(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return trained(tmp_path_factory.mktemp("runs") / "r")


refused = partial(refusal, evaluate_command.main)


FEW = ("--level", "hard", "--puzzles", "20", "--seed", "3")


def test_threshold_least_segments_and_budget_decide_the_cost(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def segments(*args: str) -> float:
        return evaluated(capsys, "--checkpoint", run, *FEW, *args)["all"]["segments_mean"]

    assert segments("--halt-threshold", "-1000") == 1
    assert segments("--halt-threshold", "-1000", "--min-segments", "2") == 2
    assert segments("--halt-threshold", "1000") == 3, "the budget of training"
    assert segments("--halt-threshold", "1000", "--max-segments", "2x") == 6
    assert segments("--halting", "fixed", "--max-segments", "4") == 4
    assert 2 <= segments("--halting", "agree", "--max-segments", "4x") <= 12
    assert segments("--halting", "agree", "--max-segments", "4x", "--patience", "12") == 12
    for rule, never in (("fixed_point", "1e-9"), ("entropy", "1e-9")):
        assert segments("--halting", rule, "--halt-threshold", "100") == 1
        assert segments("--halting", rule, "--halt-threshold", never) == 3


def test_a_larger_budget_than_trainings_is_reported_at_each_of_its_multiples(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "by_budget" not in evaluated(capsys, "--checkpoint", run, *FEW)
    args = ("--checkpoint", run, *FEW, "--max-segments", "64x")
    found = evaluated(capsys, *args)
    rows = {row["times"]: row for row in found["by_budget"] if row["times"]}
    assert list(rows) == [1, 2, 4, 8, 16, 32, 64]
    assert rows[64]["budget"] == found["budget"] == 192
    for name in ("solved", "exact_accuracy", "segments_mean"):
        assert rows[64][name] == pytest.approx(found["all"][name])
    evaluate_command.main(list(args))
    shown = capsys.readouterr().out
    for part in ("64x", "rest solved", "exact after segment 1, 2, 4, 8, ..."):
        assert part in shown


def test_each_group_says_what_a_larger_budget_brings_it(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--puzzles", "20", "--seed", "3")  # easy and hard: of 8 and of 6 clues
    args = ("--checkpoint", run, *few, "--by", "clues", "--max-segments", "4x")
    found = evaluated(capsys, *args)
    assert len(found["clues"]) > 1
    for row in found["clues"].values():
        assert list(row["solved_within"]) == ["1", "2", "3", "4", "6", "8", "12"]
        assert row["solved_within"]["12"] == pytest.approx(row["solved"])
    share = {name: row["puzzles"] / found["all"]["puzzles"] for name, row in found["clues"].items()}
    mean = sum(share[name] * row["solved_within"]["3"] for name, row in found["clues"].items())
    assert mean == pytest.approx(found["all"]["solved_within"]["3"])
    evaluate_command.main(list(args))
    assert "solved, by clues" in capsys.readouterr().out
    assert "solved_within" not in evaluated(capsys, *args[:-2])["all"]


def test_rollouts_are_reported_beside_the_single_pass(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    alone = evaluated(capsys, "--checkpoint", run, *FEW)
    args = ("--checkpoint", run, *FEW, "--rollouts", "5", "--rollout-noise", "0.5")
    found = evaluated(capsys, *args)
    assert found["all"] == alone["all"], "never mixed with the single pass"
    extra = found["beside_the_single_pass"]
    assert set(extra) == {"4 rollouts by q_halt", "5 rollouts by q_halt"}
    assert extra["5 rollouts by q_halt"]["passes_mean"] == 5
    (by_rule,) = evaluated(capsys, *args[:-4], "--rollouts", "2", "--choose", "rule", *args[-2:])[
        "beside_the_single_pass"
    ].values()
    assert by_rule["passes_mean"] == pytest.approx(2 - found["all"]["solved"])


def test_rollouts_of_a_model_trained_with_noise_need_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path / "noisy", model={"init_std": 1.0})
    found = evaluated(capsys, "--checkpoint", run, *FEW, "--rollouts", "2", "--choose", "change")
    assert list(found["beside_the_single_pass"]) == ["2 rollouts by change"]


@pytest.mark.parametrize("args", [(), ("--sweep",)], ids=str)
def test_the_figure_of_cost_is_written(
    args: tuple[str, ...], run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cost.png"
    evaluated(capsys, "--checkpoint", run, *FEW, "--png", str(path), *args)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_intervals_hold_the_figures(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluated(capsys, "--checkpoint", run)
    for row in (found["all"], *found["levels"].values()):
        for name, (low, high) in row["intervals"].items():
            assert low <= row[name] <= high
    evaluate_command.main(["--checkpoint", run])
    assert "95 % bootstrap interval: exact" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["clues", "guesses"])
def test_puzzles_are_split_by_a_trait(by: str, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluated(capsys, "--checkpoint", run, "--by", by, *FEW)
    assert sum(row["puzzles"] for row in found[by].values()) == found["all"]["puzzles"]
    if by == "clues":
        assert set(found[by]) == {"6"}
    evaluate_command.main(["--checkpoint", run, "--by", by, *FEW])
    assert by in capsys.readouterr().out


def test_guesses_are_put_together_into_the_same_ranges_whatever_the_puzzles() -> None:
    task = make_task("sudoku")
    batch = task.generate("extreme", 500, np.random.default_rng(0))
    groups, guesses = split("guesses", task, batch), task.guesses(batch.inputs)
    assert groups.names == ("0", "1-3", "4-9", "10-25", "26+")
    for index, (least, after) in enumerate(pairwise((0, 1, 4, 10, 26, 10_000))):
        np.testing.assert_array_equal(groups.of == index, (least <= guesses) & (guesses < after))
    assert (np.bincount(groups.of)[:4] > 0).all()


def test_many_values_are_put_together_into_ranges_of_about_as_many_puzzles() -> None:
    task = make_task("maze", size=10)
    batch = task.generate("medium", 500, np.random.default_rng(0))
    groups = split("length", task, batch)
    lengths = task.path_lengths(batch.inputs)
    assert 5 <= len(groups.names) <= MOST_GROUPS
    for index, name in enumerate(groups.names):
        first, _, last = name.partition("-")
        rows = groups.of == index
        assert rows.any()
        assert lengths[rows].min() == int(first)
        assert lengths[rows].max() == int(last or first)
    assert np.bincount(groups.of).min() > 500 / MOST_GROUPS / 4


def test_votes_and_retries_are_reported_beside_the_single_pass(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = evaluated(capsys, "--checkpoint", run, *FEW)
    found = evaluated(capsys, "--checkpoint", run, *FEW, "--vote", "3", "--retry", "2")
    assert found["all"] == alone["all"], "never mixed with the single pass"
    extra = found["beside_the_single_pass"]
    assert set(extra) == {"vote of 3", "1 retry", "2 retries"}
    assert extra["vote of 3"]["passes_mean"] == 3
    assert extra["1 retry"]["passes_mean"] == pytest.approx(2 - found["all"]["solved"])
    assert (
        extra["2 retries"]["segments_mean"]
        > extra["1 retry"]["segments_mean"]
        > alone["all"]["segments_mean"]
    )
    evaluate_command.main(["--checkpoint", run, *FEW, "--retry", "1"])
    shown = capsys.readouterr().out
    assert "single pass" in shown
    assert "1 retry" in shown


def test_the_sweep_gives_what_each_rule_gives(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("--checkpoint", run, *FEW)
    curve = evaluated(capsys, *args, "--sweep", "--thresholds", "-0.1", "0", "--budgets", "1x", "5")["curve"]
    assert {(p["halting"], p["budget"]) for p in curve} >= {
        ("fixed", 1), ("fixed", 2), ("agree", 3), ("agree", 5), ("fixed_point", 3), ("entropy", 5),
    }  # fmt: skip
    for point in curve:
        rule = ["--halting", point["halting"], "--max-segments", str(point["budget"])]
        if point["threshold"] is not None:
            rule += [f"--halt-threshold={point['threshold']}"]
        if point["budget"] in (2, 5) and point["threshold"] in (None, -0.1, 0, 0.3, 0.001):
            alone = evaluated(capsys, *args, *rule)["all"]
            for name in ("segments_mean", "exact_accuracy", "solved"):
                assert alone[name] == pytest.approx(point[name]), (rule, name)
    evaluate_command.main([*args, "--sweep"])
    shown = capsys.readouterr().out
    assert "threshold" in shown
    assert "fixed solves" in shown


def test_several_models_are_compared_on_the_same_puzzles(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = str(Path(run) / "checkpoints" / "update-00000004")
    found = evaluated(capsys, "--checkpoint", run, first, *FEW)
    assert len(found) == 2
    assert found[0]["all"] == found[1]["all"]
    assert found[1]["solved_minus_first"] == {"mean": 0.0, "interval": [0.0, 0.0]}
    evaluate_command.main(["--checkpoint", run, first])
    shown = capsys.readouterr()
    for part in ("A  ", "B  ", "solved - A", "solved, by level", "held out by the run"):
        assert part in shown.out
    assert "warning" not in shown.err
    other = trained(tmp_path / "other", data={"eval_puzzles": 16})
    evaluate_command.main(["--checkpoint", run, other])
    assert "made its training puzzles without knowing those" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_predictions_are_written(
    ending: str, run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, task = tmp_path / f"p.{ending}", make_task("sudoku", size=4)
    args = ("--checkpoint", run, *FEW, "--retry", "1", "--predictions", str(path))
    found = evaluated(capsys, *args)
    if ending == "npz":
        table = dict(np.load(path))
        solved = task.solved(table["question"], table["prediction"])
        np.testing.assert_array_equal(table["solved"], solved)
        assert table["q_halt"].dtype == np.float32
        assert table["1_retry_prediction"].shape == (20, 16)
    else:
        rows = list(csv.DictReader(path.open()))
        assert {row["level"] for row in rows} == {"hard"}
        assert set("".join(row["question"] for row in rows)) <= set(".1234")
        table = {
            name: np.array([float(row[name]) for row in rows]) for name in ("segments", "exact", "solved")
        }
        assert len(task.read(path)) == 20, "its questions and solutions can be judged again"
    assert len(table["solved"]) == found["all"]["puzzles"]
    assert table["segments"].mean() == pytest.approx(found["all"]["segments_mean"])
    assert table["exact"].mean() == pytest.approx(found["all"]["exact_accuracy"])


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("--halt-threshold high", "--halt-threshold"),
        ("--halt-threshold nan", "--halt-threshold: Input should be a finite number"),
        (
            "--halt-threshold 1 --halting fixed",
            "--halt-threshold belongs to --halting adaptive, fixed_point or",
        ),
        (
            "--halt-threshold 0 --halting entropy",
            "--halting entropy stops below --halt-threshold: it must be",
        ),
        ("--rollouts 1 --rollout-noise 1", "--rollouts: Input should be greater than or equal to 2"),
        ("--rollouts 4", "was trained without noise, so all would be the same: give --rollout-noise"),
        ("--choose rule", "--choose belongs to --rollouts"),
        ("--rollout-noise 1", "--rollout-noise belongs to --rollouts"),
        ("--sweep --rollouts 3", "leave out --rollouts"),
        ("--png p.jpg", "--png p.jpg: the name must end in .png"),
        ("--patience 3", "--patience belongs to --halting agree"),
        ("--patience 1 --halting agree", "--patience: Input should be greater than or equal to 2"),
        ("--vote 1", "--vote"),
        ("--max-segments 0", "--max-segments 0: it must be a number of segments"),
        ("--max-segments -3", "--max-segments"),
        ("--max-segments 2y", "--max-segments 2y: it must be a number of segments"),
        ("--sweep --budgets many", "--budgets many: it must be a number of segments"),
        ("--sweep --thresholds x", "--thresholds"),
        ("--sweep --vote 3", "leave out --vote"),
        ("--by length", "--by length: sudoku puzzles can be split by level, clues, guesses"),
        ("--predictions p.txt", "must end in .csv or .npz"),
        ("--predictions nowhere/p.csv", "there is no folder nowhere"),
    ],
)
def test_mistakes_are_one_line(args: str, part: str, run: str) -> None:
    assert part in refused("--checkpoint", run, "--level", "hard", "--puzzles", "4", *args.split())


def test_files_that_do_not_fit_are_one_line(run: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("")
    assert f"{path}: is empty" in refused("--checkpoint", run, "--data", str(path))
    path.write_text("puzzle,solution\n" + "1" * 81 + "," + "1" * 81 + "\n")
    message = refused("--checkpoint", run, "--data", str(path))
    assert "81 characters, not 16" in message
    assert "the model was trained on sudoku 4x4" in message


def test_models_of_another_task_or_size_are_one_line(run: str, tmp_path: Path) -> None:
    six = trained(
        tmp_path / "six", env={"task": "sudoku", "size": 6}, train={"max_updates": 1, "eval_every": 1}
    )
    message = refused("--checkpoint", run, six)
    assert (
        f"{run} is a model of sudoku 4x4, {six} one of sudoku 6x6: only models of one task can be" in message
    )
    six_path = write_csv(tmp_path / "four.csv", puzzles(3))
    assert "not 36" in refused("--checkpoint", six, "--data", str(six_path))


def test_weights_of_another_network_are_one_line(run: str, tmp_path: Path) -> None:
    one = tmp_path / "update-00000001"
    shutil.copytree(Path(run) / "checkpoints" / "update-00000004", one)
    state = json.loads((one / "state.json").read_text())
    state["config"]["model"]["hidden_size"] = 32
    (one / "state.json").write_text(json.dumps(state))
    message = refused("--checkpoint", str(one))
    assert "update-00000001" in message


def test_rules_are_told_in_words() -> None:
    said = stopping_in_words
    assert said(Stopping(8)) == "adaptive halting, at most 8 segments"
    rule = Stopping(8, threshold=0.5, min_segments=2)
    assert said(rule) == "adaptive halting, threshold 0.5, at least 2 segments, at most 8 segments"
    assert said(Stopping(8, "entropy", 0.03)) == (
        "halting where the answer's entropy is below 0.03, at most 8 segments"
    )
    assert said(Stopping(8, "agree", patience=3)) == "halting at 3 equal answers, at most 8 segments"
