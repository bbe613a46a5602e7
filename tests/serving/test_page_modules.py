"""The page's modules that need no server, called one by one inside the browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from envs.maze import MazeTask
from envs.sudoku import SudokuTask
from envs.sudoku.solver import conflicting_cells
from envs.task import PuzzleTask
from tests.helpers.browser import FOUR, visit

NINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
FRAMED = "┌───┬───┐\n│4 .│. .│\n│1 .│. 4│\n├───┼───┤\n│. .│. .│\n│. .│2 1│\n└───┴───┘"
MAZE = "S #\n# G"


@pytest.fixture(scope="module")
def page(chromium: Browser, scripted_service: str) -> Iterator[Page]:
    """One for all tests here: they only call functions."""
    with visit(chromium, scripted_service) as seen:
        yield seen.open()
        assert seen.unexpected() == []


def call(page: Page, module: str, expression: str, *values: Any) -> Any:
    """The value of an expression of JavaScript over a module `m`, the page's tasks `t` and values `v`."""
    return page.evaluate(
        f"""async v => {{ const m = await import("/static/{module}.js");
        const t = (await (await fetch("/v1/tasks")).json()).tasks; return {expression}; }}""",
        list(values),
    )


def read(page: Page, text: str, task: int = 0) -> str:
    """The puzzle that text.js finds in a text, in short; or the sentence that it refuses with."""
    return call(
        page,
        "text",
        "(() => { try { const {task, board, more} = m.parse(v[0], t, t[v[1]]); "
        "return `${m.compact(task, board)} +${more}` } catch (error) { return error.message } })()",
        text,
        task,
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FOUR, f"{FOUR} +0"),
        ("\n".join(FOUR[i : i + 4] for i in range(0, 16, 4)), f"{FOUR} +0"),
        (FOUR.replace(".", "0"), f"{FOUR} +0"),
        (FOUR.replace(".", "_"), f"{FOUR} +0"),
        (FOUR.replace(".", "x") + "  # from a newspaper", f"{FOUR} +0"),
        (FRAMED, f"{FOUR} +0"),
        ("4 0 0 0\r\n1 0 0 4\r\n0 0 0 0\r\n0 0 2 1\r\n", f"{FOUR} +0"),
        ("[[4,0,0,0],\n [1,0,0,4],\n [0,0,0,0],\n [0,0,2,1]]", f"{FOUR} +0"),
        ("4\t\t\t\n1\t\t\t4\n\t\t\t\n\t\t2\t1", f"{FOUR} +0"),
        ("4,,,\n1,,,4\n,,,\n,,2,1", f"{FOUR} +0"),
        ("４...１..４......２１", f"{FOUR} +0"),  # noqa: RUF001
        (NINE, f"{NINE} +0"),
        (f"puzzle,solution\n{NINE},{'1' * 81}\n{NINE},{'1' * 81}", f"{NINE} +1"),
        ("Grid 01\n" + "\n".join(NINE[i : i + 9] for i in range(0, 81, 9)), f"{NINE} +0"),
        ("---------\n" + "\n".join(NINE[i : i + 9].replace(".", "-") for i in range(0, 81, 9)), f"{NINE} +0"),
        ("-" * 16, f"{'.' * 16} +0"),
        ("....\n....\n....\n....", f"{'.' * 16} +0"),
        (f"{FOUR}\n{FOUR}\n{FOUR}", f"{FOUR} +2"),
        (MAZE, "S.#/#.G +0"),
        ("S #\n\n# G", "S.# +1"),  # it has no goal, which the page says when it is to think
        ("", "There is no text to read a puzzle from."),
        ("hello", "The text has 5 cells; a board has 16 or 81."),
        (FOUR.replace("2", "8"), "Row 4, column 3 is 8; a 4x4 board has digits 1 to 4."),
        ("4...\n1..4\n...\n..21", "Row 3 has 3 cells; it needs 4."),
        ("S?#\n# G", "Row 1, column 2 is ?; a maze has '#', ' ', S and G."),
        ("#" * 8 + "SG", "The maze has 1x10 cells; the largest here has 6x6."),
    ],
)
def test_texts_that_people_paste(page: Page, text: str, found: str) -> None:
    assert read(page, text) == found


def test_links_bring_every_board_back(page: Page) -> None:
    for task, tokens in ((0, [1, 5, 2, 4] * 4), (2, [3, 2, 1, 0, 0, 0, 4, 2, 2, *[0] * 27])):
        assert call(page, "text", "m.expand(t[v[0]], m.compact(t[v[0]], v[1]))", task, tokens) == tokens


def verdicts(task: PuzzleTask, seed: int, page: Page, index: int) -> tuple[list[bool], list[bool]]:
    """What the rule here and the rule of the page say to answers, some right, most a little wrong."""
    rng = np.random.default_rng(seed)
    puzzles = task.generate("medium", 60, rng)
    answers = puzzles.solution.copy()
    for row in range(20, 60):
        cells = rng.integers(task.length, size=1 + row % 3)
        answers[row, cells] = rng.integers(2, task.vocab_size, size=len(cells))
    ours = task.solved(puzzles.inputs, answers).tolist()
    theirs = call(
        page,
        "rules",
        "v[1].map((puzzle, i) => m.solves(t[v[0]], puzzle, v[2][i]))",
        index,
        puzzles.inputs.tolist(),
        answers.tolist(),
    )
    return ours, theirs


@pytest.mark.parametrize(("task", "index"), [(SudokuTask(4), 0), (SudokuTask(9), 1), (MazeTask(6), 2)])
def test_the_rules_of_the_page_are_those_of_the_tasks(page: Page, task: PuzzleTask, index: int) -> None:
    ours, theirs = verdicts(task, 7, page, index)
    assert theirs == ours
    assert 15 < sum(ours) < 45


def test_clashes_of_the_page_are_those_of_the_solver(page: Page) -> None:
    boards = np.random.default_rng(3).integers(1, 11, size=(30, 81)).astype(np.uint8)
    boards[np.random.default_rng(4).random(boards.shape) < 0.7] = 1
    found = call(
        page,
        "rules",
        "v[0].map((board) => [...m.clashes(t[1], board)].sort((a, b) => a - b))",
        boards.tolist(),
    )
    assert found == [np.flatnonzero(row).tolist() for row in conflicting_cells(boards)]


def test_a_gif_keeps_every_pixel_that_its_palette_can(page: Page) -> None:
    """Noise of 256 colours is the hardest to compress: every code width and a full table are met."""
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, size=(256, 3))
    frames = palette[rng.integers(256, size=(3, 90, 131))]
    frames[1] = frames[0]
    frames[1, 20:40, 50:60] = palette[7]
    rgba = np.concatenate([frames, np.full((*frames.shape[:3], 1), 255)], axis=-1).astype(np.uint8)
    found = call(
        page,
        "gif",
        "[...await m.encodeGif(v[0].map((data) => ({delay: 250, picture: "
        "{width: 131, height: 90, data: new Uint8ClampedArray(data)}})))]",
        [frame.ravel().tolist() for frame in rgba],
    )
    image = Image.open(io.BytesIO(bytes(found)))
    assert image.n_frames == 3  # type: ignore[attr-defined]
    for i in range(3):
        image.seek(i)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), frames[i])
        assert image.info["duration"] == 250
