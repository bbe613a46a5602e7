"""Pictures of mazes: what an answer gets right and wrong shows, with and without colour."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from envs import View
from envs.maze.grid import CHARACTERS, FREE, GOAL, PAD, PATH, START, WALL
from envs.maze.rendering import WRONG, Kind, cell_kinds, cell_pixels, render_rgb, render_text
from envs.maze.rule import judge, label

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
EYES = {
    "colour": np.eye(3),
    "grey": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
    "deuteranopia": np.array(DEUTERANOPIA),
    "protanopia": np.array(PROTANOPIA),
}

MAZE = ["S   ", " #  ", "  # ", "   G"]
LABEL = ["S   ", "o#  ", "o # ", "oooG"]
OTHER = ["Sooo", " # o", "  #o", "   G"]
LONGER_MAZE = ["S   ", "### ", "G   ", "    "]
LONGER_LABEL = ["Sooo", "###o", "Gooo", "    "]
LONGER = ["Sooo", "###o", "G  o", "oooo"]


def tokens(rows: list[str], size: int = 4) -> np.ndarray:
    canvas = np.full((size, size), PAD, np.uint8)
    for r, row in enumerate(rows):
        canvas[r, : len(row)] = [CHARACTERS.index(character) for character in row]
    return canvas.reshape(-1)


def plain(text: str) -> list[str]:
    return re.sub(r"\033\[[0-9;]*m", "", text).split("\n")


def seen(image: np.ndarray, eye: str) -> np.ndarray:
    """The image as someone with that kind of colour vision sees it, in sRGB 0..255."""
    value = image / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ EYES[eye].T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def cell_of(image: np.ndarray, row: int, column: int, size: int) -> np.ndarray:
    """The pixels of one cell."""
    c = cell_pixels(size)
    margin = (len(image) - size * c) // 2
    return image[margin + row * c :, margin + column * c :][:c, :c]


def solvable(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A random maze (L,) with a path, and its label."""
    rng = np.random.default_rng(seed)
    while True:
        maze = np.where(rng.random(size * size) < 0.3, WALL, FREE).astype(np.uint8)
        maze[rng.choice(size * size, 2, replace=False)] = START, GOAL
        solution, length = label(maze[None], (size, size))
        if length[0] > size:
            return maze, solution[0]


EVERY_KIND = ["S   #", " #   ", "    #", "#   G"]  # and a fifth row of padding


def every_kind() -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, tuple[int, int]]]:
    """Maze, answer, label on a canvas of 5x5, and a cell of each kind."""
    maze = tokens(EVERY_KIND, 5)
    solution = label(maze[None], (5, 5))[0][0]
    answer = maze.copy()
    cells = {
        "padding": (4, 2), "wall": (3, 0), "free": (1, 3), "S": (0, 0), "G": (3, 4),
        "answered": (1, 0), "off": (1, 4), "through a wall": (1, 1), "free answered as wall": (0, 1),
        "wall answered as free": (0, 4), "foreign": (0, 2), "free answered as S": (0, 3),
        "free answered as G": (2, 3), "wall answered as foreign": (2, 4),
    }  # fmt: skip
    for name, token in {
        "answered": PATH, "off": PATH, "through a wall": PATH, "free answered as wall": WALL,
        "wall answered as free": FREE, "foreign": 77, "free answered as S": START,
        "free answered as G": GOAL, "wall answered as foreign": PAD,
    }.items():  # fmt: skip
        answer[cells[name][0] * 5 + cells[name][1]] = token
    missed = int(np.flatnonzero((solution == PATH) & (answer == FREE))[0])
    cells["shortest"] = (missed // 5, missed % 5)
    return maze, answer, solution, cells


def test_a_maze_as_text():
    expected = ["+--------+", "|S       |", "|  ##    |", "|    ##  |", "|      G |", "+--------+"]
    assert plain(render_text(View(tokens(MAZE)), 4)) == expected
    assert plain(render_text(View(tokens(MAZE), None, tokens(LABEL)), 4)) == expected


def test_a_right_answer_as_text():
    assert plain(render_text(View(tokens(MAZE), tokens(LABEL), tokens(LABEL)), 4)) == [
        "+--------+", "|S       |", "|o ##    |", "|o   ##  |", "|o o o G |", "+--------+",
        "solved: a path of 7 cells, none is shorter",
    ]  # fmt: skip


def test_another_shortest_path_as_text_shows_the_label_as_dots():
    assert plain(render_text(View(tokens(MAZE), tokens(OTHER), tokens(LABEL)), 4)) == [
        "+--------+", "|S o o o |", "|. ##  o |", "|.   ##o |", "|. . . G |",
        "+--------+", "solved: a path of 7 cells, none is shorter",
    ]  # fmt: skip


def test_a_longer_path_as_text_is_wrong_where_it_leaves_every_shortest_one():
    assert plain(render_text(View(tokens(LONGER_MAZE), tokens(LONGER), tokens(LONGER_LABEL)), 4)) == [
        "+--------+", "|S o o o |", "|######o |", "|G . . o |", "|o!o!o!o!|", "+--------+",
        "not solved: a path of 11 cells, the shortest has 9",
    ]  # fmt: skip


def test_every_fault_of_an_answer_has_its_own_text():
    answer = tokens(["oSo#", " o G", " o  ", "o oo"])
    answer[15], answer[10] = FREE, 200
    lines = plain(render_text(View(tokens(MAZE), answer, tokens(LABEL)), 4))
    assert lines == [
        "+--------+", "|oSS!o #!|", "|. o#  G!|", "|. o ?#  |", "|o . o  G|", "+--------+",
        "not solved: no path from S to G (the shortest has 7 cells)",
    ]  # fmt: skip


def test_padding_is_left_out_of_the_text_and_nothing_answered_there_is_wrong():
    maze, answer = tokens(["S #", "  G"], 5), tokens(["S #", "ooG"], 5)
    answer[maze == PAD] = 99
    lines = plain(render_text(View(maze, answer, answer), 5))
    assert lines[:4] == ["+------+", "|S   ##|", "|o o G |", "+------+"]
    assert lines[4].startswith("solved")
    assert (render_rgb(View(maze, answer), 5) == render_rgb(View(maze, tokens(["S #", "ooG"], 5)), 5)).all()


def test_wrong_text_is_coloured_and_everything_else_is_not_orange():
    text = render_text(View(tokens(LONGER_MAZE), tokens(LONGER), tokens(LONGER_LABEL)), 4)
    assert re.findall(r"48;5;215m(..)\033", text) == ["o!"] * 4


@pytest.mark.parametrize("size", [5, 10, 30])
@pytest.mark.parametrize("seed", range(5))
def test_nothing_in_a_right_answer_is_wrong_whichever_path_it_takes(size, seed):
    maze, solution = solvable(size, seed)
    # The label of the maze seen in a mirror is a shortest path too, often another one.
    mirrored = maze.reshape(size, size)[:, ::-1].reshape(1, -1)
    other = label(mirrored, (size, size))[0].reshape(size, size)[:, ::-1].reshape(-1)
    for answer in (solution, other):
        assert judge(maze[None], answer[None], (size, size))[0].all()
        kinds = cell_kinds(View(maze, answer, solution), size)
        assert not np.isin(kinds, WRONG).any()
        assert ((kinds == Kind.ANSWERED) == (answer == PATH)).all()
        assert ((kinds == Kind.SHORTEST) == ((solution == PATH) & (answer != PATH))).all()


@pytest.mark.parametrize("seed", range(5))
def test_cells_are_wrong_without_a_solution_just_as_with_one(seed):
    maze, solution = solvable(10, seed)
    answer = np.random.default_rng(seed).integers(0, 256, 100).astype(np.uint8) % 7
    with_label, without = cell_kinds(View(maze, answer, solution), 10), cell_kinds(View(maze, answer), 10)
    assert (np.isin(with_label, WRONG) == np.isin(without, WRONG)).all()
    assert not (without == Kind.SHORTEST).any()


@pytest.mark.parametrize("size", [5, 6, 10, 20, 30, 40])
def test_images_of_a_size_are_equal_squares_and_the_same_each_time(size):
    maze, solution = solvable(size)
    answer = np.random.default_rng(1).integers(0, 6, size * size).astype(np.uint8)
    images = [render_rgb(View(maze, a, solution), size) for a in (None, solution, answer)]
    assert {image.shape for image in images} == {(size * cell_pixels(size) + 8,) * 2 + (3,)}
    assert all(image.dtype == np.uint8 for image in images)
    assert 270 <= len(images[0]) <= 370
    assert (render_rgb(View(maze, answer, solution), size) == images[2]).all()
    assert (images[0] == render_rgb(View(maze), size)).all()


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("size", [5, 30], ids=["large cells", "smallest cells"])
def test_cells_of_different_kinds_look_different_to_everyone(size, eye):
    maze, answer, solution, cells = every_kind()
    if size == 30:
        canvases = np.zeros((3, 30, 30), np.uint8)
        canvases[:, :5, :5] = np.reshape([maze, answer, solution], (3, 5, 5))
        maze, answer, solution = canvases.reshape(3, 900)
    image = seen(render_rgb(View(maze, answer, solution), size), eye)
    assert not np.isnan(image).any()
    kinds = cell_kinds(View(maze, answer, solution), size).reshape(size, size)
    assert {Kind(kinds[place]) for place in cells.values()} == set(Kind)
    for one, other in itertools.combinations(cells, 2):
        difference = np.abs(cell_of(image, *cells[one], size) - cell_of(image, *cells[other], size))
        # At least 8 % of the pixels differ by 40 of 255 levels in some channel.
        assert np.mean(difference.max(axis=2) > 40) > 0.08, (one, other)


@pytest.mark.parametrize("eye", EYES)
def test_a_changed_cell_still_tells_what_it_was(eye):
    maze = tokens(MAZE)
    answer = np.full_like(maze, 77)
    image = seen(render_rgb(View(maze, answer), 4), eye)
    cells = [cell_of(image, *place, 4) for place in ((0, 0), (0, 1), (1, 1), (3, 3))]  # S, free, wall, G
    for one, other in itertools.combinations(cells, 2):
        assert np.mean(np.abs(one - other).max(axis=2) > 20) > 0.08


@pytest.mark.parametrize("eye", EYES)
def test_the_frame_tells_question_right_and_wrong_answers_apart(eye):
    maze, solution = solvable(10)
    wrong = np.full_like(solution, FREE)
    top = [seen(render_rgb(View(maze, a, solution), 10), eye)[1] for a in (None, solution, wrong)]
    assert len(np.unique(top[0], axis=0)) == len(np.unique(top[1], axis=0)) == 1
    assert len(np.unique(top[2], axis=0)) == 2  # broken
    assert np.abs(top[0][0] - top[1][0]).max() > 60


def test_an_answer_changes_the_picture_only_in_its_cells_and_in_the_frame():
    maze, solution = solvable(10)
    answer = solution.copy()
    cell = int(np.flatnonzero(solution == FREE)[0])
    answer[cell] = WALL
    changed = (
        render_rgb(View(maze, answer, solution), 10) != render_rgb(View(maze, solution, solution), 10)
    ).any(axis=2)
    rows, columns = np.nonzero(changed[4:-4, 4:-4])
    assert set(rows // cell_pixels(10)) == {cell // 10}
    assert set(columns // cell_pixels(10)) == {cell % 10}


def test_the_answered_path_is_drawn_without_a_gap_from_s_to_g():
    maze, solution = tokens(LONGER_MAZE), tokens(LONGER_LABEL)
    image, c = render_rgb(View(maze, solution, solution), 4), cell_pixels(4)
    middle = 4 + c // 2
    for row in (0, 2):  # from beside S to the bend, and from the bend to beside G
        assert (image[middle + row * c, 4 + c : middle + 3 * c] == (0, 114, 178)).all()
    assert (image[middle : middle + 2 * c, middle + 3 * c] == (0, 114, 178)).all()


def test_any_token_can_be_drawn():
    maze, solution = solvable(6)
    for shift in range(7):
        answer = (np.arange(36) * 7 + shift * 36).astype(np.uint8)
        assert render_rgb(View(maze, answer, solution), 6).shape == render_rgb(View(maze), 6).shape
        assert plain(render_text(View(maze, answer, solution), 6))[-1].startswith("not solved")


def test_an_answer_of_another_size_is_refused():
    for render in (render_text, render_rgb):
        with pytest.raises(ValueError, match="answer has shape"):
            render(View(tokens(MAZE), tokens(LABEL)[:9]), 4)
