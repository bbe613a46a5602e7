"""`--search` of evaluate, solve and analyze: what they tell, and what they refuse."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from hrm_rl.cli import analyze as analyze_command
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.cli import solve as solve_command
from hrm_rl.runs.pretrained import About
from tests.cli.test_solve import TASKS, saved
from tests.helpers.commands import evaluated, refusal
from tests.helpers.searchers import HALF_TRAINED, half_trained

FEW = ("--level", "hard", "--puzzles", "20", "--seed", "3", "--search")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that knows 4x4 Sudoku by half. It is taken to be trained to search, so that it doubts."""
    path = tmp_path_factory.mktemp("models") / "half"
    values = HALF_TRAINED.model_dump(mode="json")
    values["search"] |= {"share": 0.5, "budget": 20, "assume_share": 0.2, "temperature": 2.0}
    values["halting"] |= {"q_target": "lambda"}
    half_trained().model.save_pretrained(path, About(origin="a test", config=values).model_dump())
    return str(path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "plain"
    about = About(origin="a test", config=HALF_TRAINED.model_dump(mode="json"))
    half_trained().model.save_pretrained(path, about.model_dump())
    return str(path)


def test_evaluate_reports_search_in_json(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluated(capsys, "--checkpoint", folder, *FEW)
    assert found["halting"] == "search"
    assert (found["budget"], found["chains"], found["doubts"]) == (20, 1, True)
    searched = found["all"]["search"]
    assert [point["segments"] for point in searched["solved_within"]] == [1, 2, 4, 8, 16, 20]
    assert searched["solved_within"][-1]["solved"] == found["all"]["solved"]
    assert searched["abstained"] == pytest.approx(1 - found["all"]["solved"])
    assert searched["wrong"] == 0
    assert searched["starts"] == pytest.approx(
        1 + sum(searched[why] for why in ("contradictions", "doubts_right", "doubts_wrong", "given_up"))
    )
    assert found["levels"]["hard"]["search"] == searched
    assert evaluated(capsys, "--checkpoint", folder, *FEW)["all"] == found["all"], "the seed decides"


def test_flags_of_search_change_the_search(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    def search(*args: str) -> dict[str, float]:
        found = evaluated(capsys, "--checkpoint", folder, *FEW, *args)
        return found["all"]["search"] | {key: found[key] for key in ("budget", "chains", "doubts")}

    usual = search()
    assert search("--max-segments", "2x")["budget"] == 40
    assert search("--max-segments", "7")["budget"] == 7
    assert search("--chains", "3")["starts"] >= 3
    sure = search("--no-doubt")
    assert not sure["doubts"]
    assert sure["doubts_right"] == sure["doubts_wrong"] == 0
    assert search("--assume-share", "1")["contradictions"] > usual["contradictions"]
    assert search("--temperature", "50") != usual


def test_a_model_that_was_not_trained_to_search_searches_without_doubt(
    plain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluated(capsys, "--checkpoint", plain, *FEW)
    assert (found["budget"], found["doubts"]) == (16 * HALF_TRAINED.halting.halt_max_steps, False)
    assert found["all"]["search"]["doubts_wrong"] == 0


def test_evaluate_shows_tables_and_writes_predictions(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.csv"
    args = ("--checkpoint", folder, "--puzzles", "20", "--seed", "3", "--search", "--by", "clues")
    evaluate_command.main([*args, "--predictions", str(path)])
    out = capsys.readouterr().out
    for part in ("search with doubt, at most 20 segments", "solved within", "dictions", "20 segments"):
        assert part in out, part
    assert "exact after segment" not in out
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 20
    assert all(row["handed_in"] == row["solved"] for row in rows)
    assert all(int(row["starts"]) >= 1 for row in rows)
    evaluate_command.main([*args, "--checkpoint", folder, folder])
    assert "solved - A" in capsys.readouterr().out


@pytest.mark.parametrize("chains", [1, 2])
def test_solve_shows_assumptions_and_starts_over(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], chains: int
) -> None:
    png, gif = tmp_path / "a.png", tmp_path / "a.gif"
    pictures = ("--png", str(png), "--gif", str(gif))
    outs = []
    for seed in range(4):
        args = ("--checkpoint", folder, "--search", "--random", "hard", "--seed", str(seed))
        more = ("--chains", str(chains), *(pictures if seed == 0 else ()))
        assert solve_command.main([*args, *more]) == 0
        outs.append(capsys.readouterr().out)
        assert ("handed in after" in outs[-1]) != ("abstained after" in outs[-1])
    with Image.open(gif) as animation:
        assert 1 < animation.n_frames <= outs[0].count("q_halt") + 1, "equal frames become one"
    assert Image.open(png).size[0] > 400
    out = "\n".join(outs)
    for part in ("~ assumed", "assumes 2 cells", "starts over", "start 2", "hands in", " assumed, "):
        assert part in out, part
    assert ("chain 2" in out) == (chains == 2)


def test_solve_refuses_a_puzzle_without_one_solution_before_it_searches(folder: str) -> None:
    refused = partial(refusal, solve_command.main, "--checkpoint", folder, "--search", "--puzzle")
    assert "several solutions" in refused("1" + "." * 14 + "1")
    assert "has no solution" in refused("123....4........")


def test_analyze_adds_two_figures_of_search(folder: str, tmp_path: Path) -> None:
    args = ("--checkpoint", folder, "--puzzles", "12", "--level", "hard", "--search", "--max-segments", "20")
    assert analyze_command.main([*args, "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "search with doubt, at most 20 segments" in page
    rows = list(csv.DictReader((tmp_path / "search_anytime.csv").open()))
    shares = [float(row["solved"]) for row in rows if row["how"] == "search"]
    assert shares == sorted(shares)
    assert {row["how"] for row in rows} == {"search", "plain"}
    assert (tmp_path / "search_starts.png").exists()


MISTAKES = [
    ("--chains 2", "--chains belongs to --search"),
    ("--no-doubt", "--no-doubt belongs to --search"),
    ("--temperature 1", "--temperature belongs to --search"),
    ("--search --chains 9 --max-segments 8", "share a budget of 8"),
    ("--search --assume-share 2", "--assume-share"),
]


@pytest.mark.parametrize(
    ("args", "part"),
    [
        *MISTAKES,
        ("--search --vote 3", "--search takes no --vote"),
        ("--search --sweep", "--search takes no --sweep"),
        ("--search --halting fixed", "--search takes no --halting"),
        ("--search --max-segments x", "must be a number of segments"),
    ],
)
def test_mistakes_of_evaluate_are_one_line(args: str, part: str, plain: str) -> None:
    line = refusal(evaluate_command.main, "--checkpoint", plain, "--puzzles", "4", *args.split())
    assert part in line


@pytest.mark.parametrize(("args", "part"), [*MISTAKES, ("--search --think-on", "takes no --think-on")])
def test_mistakes_of_solve_are_one_line(args: str, part: str, plain: str) -> None:
    line = refusal(solve_command.main, "--checkpoint", plain, "--random", "hard", *args.split())
    assert part in line


@pytest.mark.parametrize(("args", "part"), MISTAKES)
def test_mistakes_of_analyze_are_one_line(args: str, part: str, plain: str, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path))
    assert part in refusal(analyze_command.main, "--checkpoint", plain, *out, *args.split())


def test_a_task_that_cannot_be_searched_is_one_line(tmp_path: Path) -> None:
    mirror = saved(tmp_path / "mirror", False, **TASKS["mirror"])
    for main, more in (
        (evaluate_command.main, ()),
        (solve_command.main, ("--random", "only")),
        (analyze_command.main, ("--out", str(tmp_path / "report"))),
    ):
        assert "cannot be searched" in refusal(main, "--checkpoint", mirror, "--search", *more)


def test_mazes_are_searched_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maze = saved(tmp_path / "maze", None, **TASKS["maze"])
    found = evaluated(capsys, "--checkpoint", maze, "--level", "easy", "--puzzles", "6", "--search")
    assert found["all"]["puzzles"] == 6
    assert found["all"]["search"]["wrong"] == 0
    assert found["all"]["search"]["starts"] >= 1
