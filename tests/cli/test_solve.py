"""scripts/solve.py: a puzzle from anywhere, its boards segment by segment, and their pictures."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envs import DataError, PuzzleBatch, View, make_task
from hrm_rl.cli import solve as solve_command
from tests.helpers.commands import refusal
from tests.helpers.exported import saved

SUDOKU = "1.34341221434321"
NINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


TASKS = {
    "sudoku": {"env": {"task": "sudoku", "size": 4}},
    "maze": {"env": {"task": "maze", "size": 6}},
    "mirror": {"env": {"task": "tests.helpers.mirror:Mirror", "size": None}},
    "flip": {"env": {"task": "tests.helpers.drawn:FlipTask", "size": 40}},
    "tint": {"env": {"task": "tests.helpers.drawn:TintTask", "size": 6}},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    return {name: saved(root / name, False, **sections) for name, sections in TASKS.items()}


def solved(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert solve_command.main(args) == 0
    return capsys.readouterr().out


refused = partial(refusal, solve_command.main)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_shown_segment_by_segment_with_a_picture_and_an_animation(
    name: str, folders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = {"sudoku": "easy", "maze": "easy", "mirror": "only", "flip": "long", "tint": "small"}
    level = levels[name]
    png, gif = tmp_path / "new" / "p.png", tmp_path / "p.gif"
    out = solved(
        capsys, "--checkpoint", folders[name], "--random", level, "--png", str(png), "--gif", str(gif)
    )
    for part in ("question", "segment 1: continues", "segment 3: budget spent", "q_halt -1.00", "changed"):
        assert part in out, part
    assert "did not halt: budget spent after segment 3" in out
    assert Image.open(png).size[0] > 400
    with Image.open(gif) as animation:
        assert animation.n_frames == 4  # the question and three segments
        assert animation.info["loop"] == 0


def test_an_answer_that_only_a_label_could_judge_is_answered(
    folders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ("--checkpoint", folders["tint"], "--max-segments", "2")
    out = solved(capsys, *model, "--puzzle", "12/34", "--gif", str(tmp_path / "a.gif"))
    assert out.count("answered") == 3  # two segments, and the last line
    assert "wrong:" not in out
    assert "answered (only a label could tell whether it is right)" in out
    out = solved(capsys, *model, "--random", "small")
    assert "answered" not in out
    assert out.rstrip().endswith("not solved")


def test_it_stops_where_the_model_halts_unless_told_to_think_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved(tmp_path, True)
    out = solved(capsys, "--checkpoint", folder, "--puzzle", SUDOKU)
    assert "segment 1: halts" in out
    assert "segment 2" not in out
    out = solved(capsys, "--checkpoint", folder, "--puzzle", SUDOKU, "--think-on", "--max-segments", "5")
    assert "segment 5: thinks on after halting" in out
    assert "halted after segment 1" in out


def test_a_model_without_a_continue_value_shows_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved(tmp_path, None, halting={"q_target": "halt_only"})
    args = ("--checkpoint", folder, "--puzzle", SUDOKU, "--png", str(tmp_path / "a.png"))
    assert "q_continue" not in solved(capsys, *args)


@pytest.mark.parametrize(
    "text",
    [
        SUDOKU,
        f"{SUDOKU}\n.2..............\n",
        "1.34\n3412\n2143\n4321\n",
        "1 . | 3 4\n3 4 | 1 2\n----+----\n2 1 | 4 3\n4 3 | 2 1\n",
        f"question,answer\n{SUDOKU.replace('.', '0')},1234341221434321\n",
    ],
)
def test_a_puzzle_is_read_from_text_file_and_standard_input_alike(
    text: str,
    folders: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "p.txt"
    path.write_text(text)
    model = ("--checkpoint", folders["sudoku"], "--max-segments", "1")
    expected = solved(capsys, *model, "--puzzle", SUDOKU)
    assert solved(capsys, *model, "--file", str(path)) == expected
    for flags in ((), ("--file", "-")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert solved(capsys, *model, *flags) == expected


def test_the_puzzle_of_a_file_is_chosen_by_number(
    folders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mazes = ["######\n#S  G#\n######\n", "####\n#SG#\n####\n"]
    path = tmp_path / "mazes.txt"
    path.write_text("\n".join(mazes))
    model = ("--checkpoint", folders["maze"], "--max-segments", "1")
    for number, maze in enumerate(mazes, start=1):
        expected = solved(capsys, *model, "--puzzle", maze)
        assert solved(capsys, *model, "--file", str(path), "--number", str(number)) == expected
    assert "holds 2 puzzles" in refused(*model, "--file", str(path), "--number", "3")


@pytest.mark.parametrize(
    ("name", "args", "part"),
    [
        ("sudoku", ("--puzzle", "1..4"), "4 characters, not 16 (the model was trained on sudoku 4x4)"),
        ("sudoku", ("--puzzle", "1y34341221434321"), "character 2 is 'y', not one of '1234.0_*Xx?-'"),
        ("sudoku", ("--puzzle", "1" + "." * 14 + "1"), "several solutions"),
        ("sudoku", ("--puzzle", "11" + "." * 14), "row 1, column 1 and row 1, column 2 are equal"),
        ("sudoku", ("--puzzle", "123....4........"), "has no solution"),
        ("sudoku", ("--file", "gone.txt"), "gone.txt: no such file"),
        ("sudoku", ("--random", "hrad"), "did you mean 'hard'"),
        ("sudoku", ("--random", "hard", "--puzzle", SUDOKU), "not both"),
        ("sudoku", ("--random", "hard", "--gif", "x.png"), "ends in .gif"),
        ("sudoku", ("--random", "hard", "--png", "/proc/x/a.png"), "cannot write"),
        ("sudoku", ("--random", "hard", "--weights", "ema"), "raw weights only"),
        ("maze", ("--puzzle", "S#G\n   \n###\n#"), "row 4"),
        ("maze", ("--puzzle", "S#G\n###\n###"), "G cannot be reached from S"),
        ("maze", ("--puzzle", "S G\nG  \n###"), "2 G"),
        ("maze", ("--puzzle", "S      G"), "make no square"),
        ("mirror", ("--puzzle", "abc"), "3 characters, not 6"),
    ],
)
def test_what_cannot_be_asked_of_the_model_is_said_in_one_line(
    name: str, args: tuple[str, ...], part: str, folders: dict[str, str]
) -> None:
    assert part in refused("--checkpoint", folders[name], *args)


def test_an_empty_file_is_said_to_be_so(folders: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    assert "empty.txt: is empty" in refused("--checkpoint", folders["sudoku"], "--file", str(path))


@pytest.mark.parametrize("name", ["sudoku", "maze"])
def test_a_puzzle_typed_is_the_puzzle_written(name: str) -> None:
    task = make_task(name, size=6)
    for level in task.levels[:3]:
        batch = task.generate(level, 5, np.random.default_rng(0))
        for row in range(5):
            found = task.parse(task.write_text(batch.inputs[row]).replace("_", "."))
            assert (found.inputs[0] == batch.inputs[row]).all()
            assert (found.solution[0] == batch.solution[row]).all()
            assert found.level[0] == batch.level[row]


def test_text_that_no_task_understands_is_a_data_error() -> None:
    for name in ("sudoku", "maze"):
        for text in ("", "\n", "ü", "0" * 17, "#" * 16, "S" * 16, "5" * 16):
            with pytest.raises(DataError):
                make_task(name, size=6).parse(text)


@pytest.mark.parametrize("name", ["sudoku", "maze"])
def test_an_answer_is_right_exactly_if_it_breaks_no_rule(name: str) -> None:
    task = make_task(name, size=6)
    rng = np.random.default_rng(0)
    batch = PuzzleBatch.concatenate([task.generate(level, 100, rng) for level in task.levels[:3]])
    answer = batch.solution.copy()
    for row in range(len(batch)):  # from no mistake to many
        cells = rng.integers(0, task.length, row % 4)
        answer[row, cells] = rng.integers(0, task.vocab_size, len(cells))
    broken, solved_ = task.broken(batch.inputs, answer), task.solved(batch.inputs, answer)
    assert broken.shape == (len(batch), len(task.rules))
    assert (broken.any(axis=1) == ~solved_).all()
    assert solved_.any()
    assert broken.any(axis=0).sum() >= 3


@pytest.mark.parametrize("name", ["sudoku", "maze", "mirror"])
def test_changed_cells_of_a_board_are_marked_and_no_others(name: str) -> None:
    """tests/envs/test_drawing.py has strings and grids of colours."""
    task = make_task(TASKS[name]["env"]["task"], **({"size": 6} if name != "mirror" else {}))
    batch = task.generate(task.levels[0], 1, np.random.default_rng(1))
    answer, before = batch.solution[0], batch.solution[0].copy()
    cell = int(np.flatnonzero(task.unknown(batch.inputs)[0])[1])
    before[cell] = 1 if answer[cell] != 1 else 2
    plain = task.render_rgb(View(batch.inputs[0], answer, answer))
    assert (task.render_rgb(View(batch.inputs[0], answer, answer, answer)) == plain).all()
    marked = (task.render_rgb(View(batch.inputs[0], answer, answer, before)) != plain).any(axis=2)
    rows, columns = task.grid_shape
    across, down = plain.shape[1] / columns, plain.shape[0] / rows
    where = np.argwhere(marked)
    assert len(where)
    assert (np.ptp(where, axis=0) < (down, across)).all()
    assert (
        np.abs(where.mean(axis=0) - ((cell // columns + 0.5) * down, (cell % columns + 0.5) * across)).max()
        < 8
    )
    if name != "mirror":
        text = task.render_text(View(batch.inputs[0], answer, answer))
        changed = task.render_text(View(batch.inputs[0], answer, answer, before))
        assert changed.count("*") == text.count("*") + 1


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("--puzzle", SUDOKU), "sudoku4"),
        (("--puzzle", "1.34\n3412\n2143\n4321"), "sudoku4"),
        (("--puzzle", NINE), "sudoku9"),
        (("--puzzle", "S #\n ##\n  G"), "maze6"),
        (("--random", "very-easy"), "sudoku9"),
    ],
)
def test_without_a_model_the_shipped_one_for_the_puzzle_is_taken_and_named(
    args: tuple[str, ...], name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = solved(capsys, *args, "--search", "--max-segments", "64")
    assert out.startswith(f"{name}, shipped for such puzzles (update ")
    assert ": solved; it never started over" in out
    if args[0] == "--puzzle":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(args[1].encode())))
        assert solved(capsys, "--search", "--max-segments", "64") == out


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "1134341221434321",
            "row 1, column 1 and row 1, column 2 are equal (read as sudoku 4x4;",
        ),
        ("123", "3 characters, not 16 (read as sudoku 4x4; --model names another model)"),
        ("S  \n###\n   ", "no G (read as maze 6x6;"),
    ],
)
def test_without_a_model_a_broken_puzzle_is_told_what_it_was_read_as(text: str, part: str) -> None:
    assert part in refused("--puzzle", text)
