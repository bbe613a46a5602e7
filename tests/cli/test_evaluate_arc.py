"""`hrm-rl evaluate` on a run of ARC: its table and JSON, its files, and what it refuses."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import pytest

from envs.arc.task import ArcTask
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.evaluation.arc.submission import read_submission
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.commands import evaluated, refusal
from tests.helpers.tiny import tiny_config

TASK = ArcTask("mini", size=10, augmentations=3)

refused = partial(refusal, evaluate_command.main)


def trained(folder: Path, **sections: dict[str, object]) -> str:
    """The folder of a run of two updates."""
    folder.mkdir(parents=True)
    options = {"dataset": "mini", "augmentations": 3}
    settings = {
        "env": {"task": "arc", "size": 10, "options": options},
        "data": {"eval_puzzles": 12, "exclude_twins": False},
        "train": {"max_updates": 2, "eval_every": 2},
        "model": {"puzzle_emb_ndim": 16},
        "curriculum": {"stages": ("small=1,medium=1",)},
    }
    config = tiny_config(**(settings | sections))
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    return str(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return trained(tmp_path_factory.mktemp("runs") / "arc")


def test_votes_are_scored_beside_the_single_pass_with_their_files(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("s.json", "p.html", "pictures", "p.csv")}
    found = evaluated(
        capsys,
        *("--checkpoint", run, "--test-grids", "--max-segments", "1", "--submission", str(files["s.json"])),
        *("--page", str(files["p.html"]), "--predictions", str(files["p.csv"])),
    )
    assert found["puzzles"] == "the published test grids"
    arc, grids = found["arc"], sum(len(puzzle.test) for puzzle in TASK.puzzles)
    assert (arc["tasks"], arc["test_grids"], arc["known"]) == (len(TASK.puzzles), grids, grids)
    assert arc["notes"] == [
        "the rules of these tasks were trained on, with other grids; the grids asked about never are"
    ]
    assert [row["name"] for row in arc["rows"]] == [
        "copy of the input",
        "4 forms, no identifier",
        "1 form",
        "4 forms",
    ]
    for row in arc["rows"]:
        assert list(row["pass_at"]) == ["1", "2", "5", "10", "100", "1000"]
        solved = [part["score"] for part in row["pass_at"].values()]
        assert solved == sorted(solved)
    assert [row["segments_mean"] for row in arc["rows"]] == [0, 4, 1, 4]
    beside = found["beside_the_single_pass"]["vote of 4"]
    assert beside["passes_mean"] == beside["segments_mean"] == 4
    submission = read_submission(files["s.json"], {p.name: len(p.test) for p in TASK.puzzles})
    assert len(submission) == len(TASK.puzzles)
    page = files["p.html"].read_text()
    assert all(f'<section id="{puzzle.name}">' in page for puzzle in TASK.puzzles)
    rows = list(csv.DictReader(files["p.csv"].read_text().splitlines()))
    assert len(rows) == grids
    assert {"prediction", "vote_of_4_prediction", "vote_of_4_solved"} <= set(rows[0])


def test_held_out_grids_are_printed_against_the_baseline_and_without_identifiers(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_command.main(["--checkpoint", run, "--vote", "2", "--max-segments", "1"]) == 0
    shown = capsys.readouterr().out
    for part in ("ARC: ", "pass@1000", "copy of the input", "2 forms, no identifier", "whole tasks", "95 %"):
        assert part in shown
    evaluate_command.main(["--checkpoint", run, run, "--no-blank", "--max-segments", "1"])
    shown = capsys.readouterr().out
    assert shown.count("copy of the input") == 4, "two tables a model"
    assert "no identifier" not in shown


def test_a_model_without_embeddings_says_that_identifiers_tell_it_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluated(
        capsys, "--checkpoint", trained(tmp_path / "r", model={}), "--max-segments", "1", "--puzzles", "6"
    )
    assert "the model has no puzzle embeddings: identifiers tell it nothing" in found["arc"]["notes"]
    assert [row["identifier"] for row in found["arc"]["rows"]] == [False, True, True]


def test_flags_that_say_nothing_are_refused(run: str, tmp_path: Path) -> None:
    here = ("--checkpoint", run)
    assert "--vote 5: the model knows 4 forms of each ARC puzzle" in refused(*here, "--vote", "5")
    assert "at most --vote 4" in refused(*here, "--vote", "5")
    assert refused(*here, "--retry", "2").startswith("--retry needs a rule that tells right answers")
    assert "leave out --level" in refused(*here, "--test-grids", "--level", "small")
    assert "must end in .json" in refused(*here, "--submission", "s.txt")
    assert "there is no folder" in refused(*here, "--page", str(tmp_path / "none" / "p.html"))
    (tmp_path / "file").touch()
    assert "it must be a folder" in refused(*here, "--pictures", str(tmp_path / "file"))
    page = ("--page", str(tmp_path / "p.html"))
    for others in (("--sweep",), ("--checkpoint", run, run)):
        assert refused(*here, *page, *others).startswith("--page writes the votes of one model")
    assert "belongs to the task arc, not to sudoku" in refused("--model", "sudoku4", *page)
