"""`hrm-rl evaluate` on a run of ARC: its table and JSON, its files, and what it refuses."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest

from envs.arc.folders import to_json
from envs.arc.task import ArcTask
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.data.builder import write_collection
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
    assert {name: row["test_grids"] for name, row in arc["by_task"].items()} == {
        puzzle.name: len(puzzle.test) for puzzle in TASK.puzzles
    }
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
    evaluate_command.main(["--checkpoint", run, run, "--no-blank", "--max-segments", "1", "--puzzles", "4"])
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


def test_a_folder_with_all_forms_is_asked_about_its_plain_grids_with_its_own_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = tmp_path / "public"
    for place, puzzle in enumerate(TASK.puzzles[:4]):
        subset = public / ("training" if place < 2 else "evaluation")
        subset.mkdir(parents=True, exist_ok=True)
        (subset / f"{puzzle.name}.json").write_text(json.dumps(to_json(puzzle)))
    task = ArcTask(str(public), size=10, augmentations=2)
    collection = task.collection(0)
    assert collection is not None
    folder = tmp_path / "folder"
    write_collection(collection, task, folder, lambda what, done, total: None)
    options = {"dataset": str(public), "augmentations": 2}
    run = trained(
        tmp_path / "runs" / "f",
        env={"task": "arc", "size": 10, "options": options},
        data={"path": str(folder), "eval_puzzles": 4, "exclude_twins": False},
        curriculum={"stages": ("all=1",)},
    )
    grids = sum(len(puzzle.test) for puzzle in TASK.puzzles[2:4])
    for puzzles in (("--data", str(folder)), ("--test-grids",)):
        found = evaluated(capsys, "--checkpoint", run, "--max-segments", "1", *puzzles)
        assert found["all"]["puzzles"] == found["arc"]["test_grids"] == grids
        assert [row["forms"] for row in found["arc"]["rows"]] == [0, 3, 1, 3]
        assert "demonstrations" in " ".join(found["arc"]["notes"])


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
    grids = TASK.tests()
    lines = [f"{TASK.write_text(grids.inputs[0])},{TASK.write_text(grids.solution[0])}"]
    (tmp_path / "p.csv").write_text("\n".join(["question,answer", *lines]))
    nameless = (*here, "--data", str(tmp_path / "p.csv"))
    assert refused(*nameless, "--vote", "2").startswith("--vote needs puzzles with an identity")
    assert refused(*nameless, *page).startswith("--page needs puzzles with an identity")
