"""The page without a server: a folder, a host of files, a browser; and Python, which it has to equal."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import http.server
import json
import lzma
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the page is not tested")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: nothing can be exported")

from playwright.sync_api import Browser, Page, expect

from envs.errors import DataError
from envs.maze import MazeTask
from envs.puzzle import Tokens
from envs.sudoku import SudokuTask
from envs.task import PuzzleTask
from hrm_rl.cli import main as hrm_rl
from hrm_rl.export import formats
from hrm_rl.runs.loading import LoadedModel, load_model
from hrm_rl.serving import LocalBackend
from hrm_rl.serving.jobs import Job, JobSegment, Mode
from hrm_rl.serving.onnx_page import folder, runtime
from hrm_rl.utils.errors import UserError
from tests.helpers.browser import visit
from tests.helpers.exported import saved

pytestmark = pytest.mark.slow
HARD = "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"
"""A puzzle with 17 clues, at which this project's solver has to guess 50 times."""
NO_CARD = "No available adapters"
"""What Chromium says of a machine without a graphics card."""
SEGMENTS = 12
SHOWN = ("segment", "start", "answer", "board", "assumed", "solved", "decision", "contradicted")


@dataclass(frozen=True)
class Hosted:
    """An exported page behind a host of files."""

    folder: Path
    models: dict[str, LoadedModel]
    """Those of the page, in float32, which is what was exported."""
    address: str


class QuietHost(http.server.SimpleHTTPRequestHandler):
    """`python -m http.server`, without its log."""

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """A page with a shipped model, and with an untrained one that starts over often."""
    place = tmp_path_factory.mktemp("page")
    sizes = {"hidden_size": 16, "h_cycles": 1, "l_cycles": 1}
    saved(
        place / "untrained", None, model=sizes, halting={"halt_max_steps": 2, "q_target": "lambda"},
        train={"loss_on": "blanks"}, search={"share": 0.5, "budget": 24, "assume_every": 1},
    )  # fmt: skip
    names = {"sudoku9": "sudoku9", "untrained": str(place / "untrained")}
    assert hrm_rl.main(["export", "--page", str(place / "out"), "--model", *names.values()]) == 0
    models = {name: load_model(path) for name, path in names.items()}
    for loaded in models.values():
        loaded.model.compute_dtype = torch.float32
    handler = functools.partial(QuietHost, directory=str(place / "out"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Hosted(place / "out", models, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


@pytest.fixture
def page(hosted: Hosted, chromium: Browser) -> Iterator[Page]:
    """The page, opened; it must not complain, nor ask another host."""
    with visit(chromium, hosted.address) as seen:
        seen.expected = NO_CARD
        yield seen.open()
        assert seen.unexpected() == []


def call(page: Page, module: str, body: str, *values: Any) -> Any:
    """What a body of JavaScript returns, given one of the page's modules as `m` and values as `v`."""
    return page.evaluate(
        f"async v => {{ const m = await import(new URL('static/{module}.js', location.href)); {body} }}",
        list(values),
    )


def info(task: PuzzleTask) -> dict[str, Any]:
    """What the page's rules have to know of a task."""
    rows, columns = task.grid_shape
    return {"name": task.name, "rows": rows, "columns": columns, "box": task.box_shape}


def test_a_hard_puzzle_is_solved_by_files_alone(hosted: Hosted, chromium: Browser) -> None:
    asked: list[str] = []
    with visit(chromium, hosted.address) as seen:
        seen.expected = NO_CARD
        seen.page.on("request", lambda request: asked.append(request.url.removeprefix(hosted.address)))
        page = seen.open(f"#task=sudoku-9x9&puzzle={HARD}&lane=sudoku9,search,64&think=1")
        expect(page.locator("#lane-a .verdict")).to_contain_text("Solved in")
        shown = "".join(page.locator("#lane-a .cell .ink").all_text_contents())
        assert seen.unexpected() == []
    task = SudokuTask(9)
    assert task.solved(task.encode(HARD)[None], task.encode(shown)[None])[0]
    assert [name for name in asked if name.startswith("ort/")] == [
        "ort/ort.wasm.min.mjs", "ort/ort-wasm-simd-threaded.wasm.gz", "ort/ort-wasm-simd-threaded.mjs",
    ]  # fmt: skip
    assert not [name for name in asked if name.startswith("models/") and "sudoku9" not in name]


def test_a_random_puzzle_and_one_without_a_single_solution(page: Page) -> None:
    page.get_by_label("Level").select_option("extreme")
    page.get_by_role("button", name="Random").click()
    expect(page.locator("#note")).to_contain_text("exactly one solution")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Think", exact=True).click()
    expect(page.locator("#lane-a .message")).to_contain_text("several solutions")


def jobs_of(hosted: Hosted, name: str, each: int) -> list[Job]:
    """The first puzzles of each level, in every mode."""
    loaded = hosted.models[name]
    slug = f"sudoku-{loaded.task.grid_shape[0]}x{loaded.task.grid_shape[1]}"
    levels: dict[str, list[str]] = json.loads((hosted.folder / "puzzles" / f"{slug}.json").read_text())
    modes: tuple[Mode, ...] = ("adaptive", "fixed", "search")
    return [
        Job(name, loaded.task.encode(text), mode, 2 * SEGMENTS if mode == "search" else SEGMENTS, 0, True)
        for texts in levels.values()
        for text in texts[:each]
        for mode in modes
    ]


async def thought(hosted: Hosted, jobs: list[Job]) -> list[list[JobSegment]]:
    """What Python's engine comes to, segment by segment."""
    backend = LocalBackend(list(hosted.models.values()))
    await backend.start()
    found: list[list[JobSegment]] = []
    try:
        for job in jobs:
            found.append([])
            async for seen in backend.stream(job):
                if isinstance(seen, JobSegment):
                    found[-1].append(seen)
    finally:
        await backend.close()
    return found


def in_a_thread(hosted: Hosted, jobs: list[Job]) -> list[list[JobSegment]]:
    """The same: this thread has an event loop, playwright's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(thought(hosted, jobs))).result()


@pytest.mark.parametrize(("name", "each"), [("sudoku9", 1), ("untrained", 3)])
def test_answers_and_halting_are_pythons(hosted: Hosted, page: Page, name: str, each: int) -> None:
    jobs = jobs_of(hosted, name, each)
    asked = [
        {"puzzle": job.inputs.tolist(), "model": name, "mode": job.mode, "segments": job.segments}
        for job in jobs
    ]
    found = call(
        page,
        "backend",
        """const all = [];
        for (const request of v) {
          const events = [];
          for await (const event of m.think(request)) events.push(event);
          all.push(events);
        }
        return all;""",
        *asked,
    )
    task, over = hosted.models[name].task, 0
    for job, python, events in zip(jobs, in_a_thread(hosted, jobs), found, strict=True):
        segments = [event["data"] for event in events if event["event"] == "segment"]
        assert events[-1]["event"] == "result"
        result = events[-1]["data"]
        # Later starts draw from another stream of random numbers than Python's.
        first = [seen for seen in python if seen.start == 0]
        assert [{key: one[key] for key in SHOWN} for one in segments if one["start"] == 0] == [
            {key: np.asarray(getattr(seen, key)).tolist() for key in SHOWN} for seen in first
        ]
        for one, seen in zip(segments, first, strict=False):
            assert seen.probabilities is not None
            np.testing.assert_allclose(one["probabilities"], seen.probabilities, atol=2e-3)
            assert one["q_halt"] == pytest.approx(seen.q[0], abs=2e-3)
        for one in segments:
            judge_segment(task, job.inputs, one)
        over += result["starts"]
        assert result["solved"] == segments[-1]["solved"]
        assert result["segments"] == len(segments) <= job.segments
        if job.mode == "search":
            assert result["decision"] == ("hand in" if result["solved"] else "give up")
    assert over > 0 or name != "untrained"  # else other forms were not tried


def judge_segment(task: PuzzleTask, puzzle: Tokens, one: dict[str, Any]) -> None:
    """The page's verdict on an answer is Python's, and the board is the puzzle with more in it."""
    answer, board = np.array(one["answer"], np.uint8), np.array(one["board"], np.uint8)
    assert one["solved"] == bool(task.solved(puzzle[None], answer[None])[0])
    assert one["violations"] == np.flatnonzero(task.violations(puzzle[None], answer[None])[0]).tolist()
    given = ~task.unknown(puzzle[None])[0]
    assert (board[given] == puzzle[given]).all()
    assert len(one["probabilities"]) == task.length
    likeliest = np.array(one["probabilities"]).argmax(-1)
    sure = np.array(one["probabilities"]).max(-1) > 0.51
    unknown = task.unknown(board[None])[0]
    assert (likeliest == answer)[sure & unknown].all()  # turned back together


def partly_filled(task: PuzzleTask, count: int, rng: np.random.Generator) -> Tokens:
    """(N, L) puzzles with some of the solution, and often something else, written into them."""
    puzzles = task.generate("easy", count, rng)
    boards = puzzles.inputs.copy()
    unknown = task.unknown(boards)
    right = (
        unknown
        & (rng.random(boards.shape) < rng.random((count, 1)))
        & np.isin(puzzles.solution, task.assumable)
    )
    boards[right] = puzzles.solution[right]
    for row in range(0, count, 2):
        cell = rng.choice(np.flatnonzero(unknown[row]))
        boards[row, cell] = rng.choice(task.assumable)
    return boards


@pytest.mark.parametrize("task", [SudokuTask(9), SudokuTask(6), MazeTask(6)], ids=["nine", "six", "maze"])
def test_boards_contradict_themselves_as_in_python(page: Page, task: PuzzleTask) -> None:
    boards = partly_filled(task, 200, np.random.default_rng(5))
    expected = task.contradicts(boards).tolist()
    assert 20 < sum(expected) < 180
    found = call(
        page, "proof", "return v[1].map((board) => m.contradicts(v[0], board))", info(task), boards.tolist()
    )
    assert found == expected


@pytest.mark.parametrize("task", [SudokuTask(9), SudokuTask(6), MazeTask(6)], ids=["nine", "six", "maze"])
def test_other_forms_keep_the_rule_and_lead_back(page: Page, task: PuzzleTask) -> None:
    puzzles = task.generate("easy", 40, np.random.default_rng(3))
    forms = call(
        page,
        "forms",
        """return v[1].map((puzzle, i) => {
          const form = m.randomForm(v[0], puzzle, Math.random);
          const [inputs, answer] = [form.apply(puzzle), form.apply(v[2][i])];
          return [inputs, answer, form.undo(answer)];
        });""",
        info(task),
        puzzles.inputs.tolist(),
        puzzles.solution.tolist(),
    )
    inputs, answers, back = (np.array(part, np.uint8) for part in zip(*forms, strict=True))
    assert (back == puzzles.solution).all()
    assert task.solved(inputs, answers).all()
    assert (inputs != puzzles.inputs).any(axis=1).mean() > 0.5


def proven(task: PuzzleTask, puzzle: Tokens) -> tuple[Any, int | None]:
    """The solution, or why there is none and the cell at fault."""
    try:
        return task.prove(puzzle).tolist(), None
    except DataError as error:
        return str(error), error.cell


def test_a_puzzle_is_proven_or_refused_as_in_python(page: Page) -> None:
    task, rng = SudokuTask(9), np.random.default_rng(11)
    puzzles = task.generate("hard", 20, rng).inputs
    for row in range(0, 20, 2):  # a digit more or less
        cell = rng.choice(np.flatnonzero((puzzles[row] == 1) == bool(row % 4)))
        puzzles[row, cell] = 1 if puzzles[row, cell] > 1 else rng.integers(2, 11)
    found = call(
        page,
        "proof",
        """return v[1].map((puzzle) => {
          try { return [m.prove(v[0], puzzle).solution, null]; }
          catch (error) { return [error.message, error.cell]; }
        });""",
        info(task),
        puzzles.tolist(),
    )
    refused = 0
    for puzzle, (outcome, cell) in zip(puzzles, found, strict=True):
        expected, place = proven(task, puzzle)
        refused += place is not None
        if "several" in expected:  # which of them are found first is another matter
            assert "several solutions" in outcome
        else:
            assert outcome == expected
            assert place is None or place == (cell["row"] - 1) * 9 + cell["column"] - 1
    assert refused >= 5


def disagree(*args: Any) -> None:
    raise UserError("segment.onnx disagrees with the network")


def test_what_is_not_there_or_cannot_be_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "page"

    def said(*args: str) -> str:
        assert hrm_rl.main(["export", "--page", str(place), *args]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "--push does not go with --page" in said("--push", "me/it")
    assert "given twice" in said("--model", "sudoku4", "sudoku4")
    with monkeypatch.context() as patch:
        patch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else True)
        assert "onnxscript" in said("--model", "sudoku4")
    with monkeypatch.context() as patch:
        patch.setattr(folder, "make_formats", disagree)
        assert "disagrees with the network" in said("--model", "sudoku4")
    assert list(tmp_path.iterdir()) == []
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    assert str(place) in said("--model", "sudoku4")
    assert [path.name for path in tmp_path.rglob("*")] == ["page", "mine.txt"]


def test_the_runtime_is_that_of_the_npm_package() -> None:
    versions = json.loads((runtime.FOLDER / runtime.VERSIONS).read_text())
    for name, digest in versions["sha256"].items():
        packed = runtime.FOLDER / f"{name}.xz"
        content = (
            lzma.decompress(packed.read_bytes()) if packed.exists() else (runtime.FOLDER / name).read_bytes()
        )
        assert hashlib.sha256(content).hexdigest() == digest, name
    assert "MIT License" in (runtime.FOLDER / runtime.LICENCE).read_text()
