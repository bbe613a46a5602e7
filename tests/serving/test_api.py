"""What the API answers, with a backend that knows the solutions."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from envs import make_task
from tests.helpers.asgi import events_of, run, served
from tests.helpers.fake_backend import FOUR, MAZE, NINE, FakeBackend

PUZZLE, SOLUTION = "12343412214343.1", "1234341221434321"
WRONG = "1234341221434.11"
"""It breaks the rule already."""
MAZE_TEXT = "S   G\n #   \n #   \n     \n    #\n"


def ask(method: str, path: str, backend: FakeBackend | None = None, **how: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        settings = how.pop("settings", {})
        async with served(backend or FakeBackend(), **settings) as client:
            return await client.request(method, path, **how)

    return run(main())


def solve(body: Any, backend: FakeBackend | None = None) -> httpx.Response:
    return ask("POST", "/v1/solve", backend, json=body)


def fault(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of a response, whose shape and id are right."""
    assert response.status_code == status, response.text
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error["code"] == code
    assert error["id"] == response.headers["x-request-id"]
    assert error["message"]
    assert "\n" not in error["message"]
    return error


def test_a_puzzle_is_solved_and_all_of_it_is_told() -> None:
    told = solve({"puzzle": PUZZLE, "seed": 7}, backend := FakeBackend()).json()
    (result,) = told.pop("results")
    assert told == {"model": "four", "version": "0123456789ab", "task": "sudoku-4x4"}
    assert result == {
        "answer": SOLUTION,
        "tokens": [int(digit) + 1 for digit in SOLUTION],
        "inputs": [1 if digit == "." else int(digit) + 1 for digit in PUZZLE],
        "identifier": 0,
        "solved": True,
        "decision": "halt",
        "segments": 2,
        "starts": 0,
        "q": [[-1.0, 0.5], [None, None]],  # JSON has no NaN
        "queued": 0.25,
        "seconds": 0.5,
    }
    (job,) = backend.jobs
    assert (job.mode, job.segments, job.seed, job.detailed) == ("adaptive", 4, 7, False)


@pytest.mark.parametrize(
    ("puzzle", "model"),
    [
        (PUZZLE, "four"),
        ("1 2|3 4\n3 4|1 2\n---+---\n2 1|4 3\n4 3|. 1\n", "four"),
        ([int(digit) + 1 for digit in SOLUTION], "four"),
        (MAZE_TEXT, "maze"),
        ("S   G #    #           ##", "maze"),
        ("53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79", "nine"),
    ],
)
def test_the_first_model_that_takes_a_puzzle_gets_it(puzzle: Any, model: str) -> None:
    assert solve({"puzzle": puzzle}).json()["model"] == model


def test_several_puzzles_are_answered_in_their_order() -> None:
    puzzles = make_task("sudoku", size=4).generate("easy", 3, np.random.default_rng(0))
    texts = ["".join(".1234"[token - 1] for token in inputs) for inputs in puzzles.inputs]
    told = solve({"puzzles": texts}).json()
    assert [result["tokens"] for result in told["results"]] == puzzles.solution.tolist()


@pytest.mark.parametrize(
    ("body", "mode", "segments"),
    [
        ({}, "adaptive", 4),
        ({"mode": "fixed", "segments": 9}, "fixed", 9),
        ({"mode": "search"}, "search", 12),
        ({"model": "nine", "puzzle": [1] * 81, "allow_unproven": True}, "search", 12),
    ],
)
def test_modes_and_budgets_are_the_models_own_if_nothing_is_said(
    body: dict[str, Any], mode: str, segments: int
) -> None:
    assert solve({"puzzle": PUZZLE, **body}, backend := FakeBackend()).status_code == 200
    assert (backend.jobs[0].mode, backend.jobs[0].segments) == (mode, segments)


@pytest.mark.parametrize(
    ("body", "message", "cell"),
    [
        ({"puzzle": "." * 16}, "the puzzle has several solutions: row 3, column 2 can be 3 or 4", (3, 2)),
        ({"puzzle": "11" + "." * 14}, "no solution: row 1, column 1 and row 1, column 2 are equal", (1, 2)),
        ({"puzzle": "123....4" + "." * 8}, "no solution: row 1, column 4 can be no digit", (1, 4)),
        ({"puzzle": "S#G\n## \n   "}, "G cannot be reached from S: row 1, column 3", (1, 3)),
        ({"puzzle": "S S\n   \n  G"}, "the maze has 2 S: row 1, column 1 and row 1, column 3", None),
        (
            {"puzzle": [1] * 15 + [9], "model": "four"},
            "row 4, column 4 is token 9; it must be below 6",
            (4, 4),
        ),
        ({"puzzle": "12", "model": "four"}, "2 characters, not 16 (the task is sudoku-4x4)", None),
        ({"puzzle": "12 3x\nS"}, "", None),
        ({"puzzle": ""}, "", None),
        ({"puzzle": PUZZLE, "model": "fuor"}, "unknown model 'fuor'; did you mean 'four'?", None),
        ({"puzzle": PUZZLE, "mode": "guess"}, "mode: Input should be 'adaptive', 'fixed' or 'search'", None),
        ({"puzzle": PUZZLE, "segments": 1025}, "segments: 1025 is more than this server allows, 1024", None),
        ({"puzzle": PUZZLE, "segments": 0}, "segments: Input should be greater than or equal to 1", None),
        ({"puzzle": PUZZLE, "segments": "2"}, "segments: Input should be a valid integer", None),
        ({"puzzle": PUZZLE, "seed": True}, "seed: Input should be a valid integer", None),
        ({"puzzle": PUZZLE, "sed": 1}, "sed: there is no such field", None),
        ({"puzzle": [1, 2, 300]}, "puzzle[2]: Input should be less than or equal to 255", None),
        ({"puzzle": 3}, "puzzle: a puzzle is a text, or a list of tokens", None),
        ({}, "give a puzzle or a list of puzzles", None),
        ({"puzzle": PUZZLE, "puzzles": [PUZZLE]}, "give a puzzle or a list of puzzles", None),
        ({"puzzles": []}, "puzzles: List should have at least 1 item", None),
        ([], "Input should be", None),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_names_the_cell(
    body: Any, message: str, cell: tuple[int, int] | None
) -> None:
    error = fault(solve(body, backend := FakeBackend()), 422, "invalid")
    assert message in error["message"]
    if cell is not None:
        assert error["cell"] == {"row": cell[0], "column": cell[1]}
    assert not backend.jobs


def test_the_puzzle_of_a_list_that_is_wrong_is_named() -> None:
    error = fault(solve({"puzzles": [PUZZLE, WRONG]}), 422, "invalid")
    assert error["puzzle"] == 1
    assert error["cell"] == {"row": 4, "column": 3}
    assert fault(solve({"puzzles": [PUZZLE, 3]}), 422, "invalid")["puzzle"] == 1


def test_who_wants_to_may_ask_about_what_cannot_be_solved() -> None:
    told = solve({"puzzle": WRONG, "allow_unproven": True}).json()
    assert told["results"][0]["solved"] is False
    fault(solve({"puzzle": WRONG + ".", "allow_unproven": True}), 422, "invalid")


def stream(body: Any, backend: FakeBackend | None = None) -> list[tuple[str, dict[str, Any]]]:
    response = ask("POST", "/v1/solve/stream", backend, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_of(response.text)


def test_a_stream_tells_of_every_segment() -> None:
    (begin, one, two, result) = stream({"puzzle": PUZZLE}, backend := FakeBackend())
    assert backend.jobs[0].detailed
    assert begin[0] == "begin"
    assert begin[1]["solution"] == [int(digit) + 1 for digit in SOLUTION]
    assert (begin[1]["mode"], begin[1]["segments"], begin[1]["task"]) == ("adaptive", 4, "sudoku-4x4")
    assert (one[0], two[0]) == ("segment", "segment")
    assert one[1]["answer"] == one[1]["board"] == begin[1]["inputs"]
    assert one[1]["violations"] == [14]  # left blank
    assert one[1]["wrong"] == [14]
    assert (one[1]["changed"], two[1]["changed"]) == ([], [14])
    assert (two[1]["violations"], two[1]["wrong"]) == ([], [])
    assert (two[1]["q_halt"], two[1]["q_continue"]) == (-1.0, None)
    assert one[1]["probabilities"][0] == [0.167] * 6
    assert result[0] == "result"
    assert (result[1]["answer"], result[1]["model"]) == (SOLUTION, "four")


def test_of_a_maze_with_many_ways_no_cell_is_called_wrong() -> None:
    events = stream({"puzzle": MAZE_TEXT})
    assert events[0][1]["solution"] is not None
    assert [data["wrong"] for name, data in events if name == "segment"] == [None, None]


def test_an_error_in_the_middle_of_a_stream_is_its_last_event(caplog: pytest.LogCaptureFixture) -> None:
    backend = FakeBackend()
    backend.error = RuntimeError("secret")
    events = stream({"puzzle": PUZZLE}, backend)
    assert [name for name, _ in events] == ["begin", "segment", "error"]
    error = events[-1][1]["error"]
    assert error["code"] == "internal"
    assert "secret" not in str(error)
    assert error["id"] == events[0][1]["id"]
    assert error["id"] in caplog.text
    assert "secret" in caplog.text
    assert "secret" not in fault(solve({"puzzle": PUZZLE}, backend), 500, "internal")["message"]


def test_an_error_of_ours_in_the_middle_of_a_stream_is_its_last_event(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backend = FakeBackend()
    monkeypatch.setattr(backend, "_segment", lambda *_: dict[str, str]()["secret"])
    *_, (name, data) = stream({"puzzle": PUZZLE}, backend)
    assert (name, data["error"]["code"]) == ("error", "internal")
    assert "secret" not in str(data)
    assert data["error"]["id"] in caplog.text
    assert "KeyError" in caplog.text


def test_models_and_tasks_are_told() -> None:
    models = ask("GET", "/v1/models").json()["models"]
    assert [model["name"] for model in models] == ["four", "maze", "nine"]
    assert models[2]["default_mode"] == "search"
    tasks = {info["task"]: info for info in ask("GET", "/v1/tasks").json()["tasks"]}
    assert tasks["sudoku-9x9"]["box"] == [3, 3]
    assert tasks["maze-5x5"]["levels"] == ["very-easy", "easy", "medium"]  # hard ones need a cache
    assert tasks["maze-5x5"]["characters"] == MAZE.task.characters
    two = FakeBackend([FOUR, NINE, FOUR.__class__(**{**FOUR.__dict__, "name": "other"})])
    assert ask("GET", "/v1/tasks", two).json()["tasks"][0]["models"] == ["four", "other"]


@pytest.mark.parametrize(("task", "level"), [("sudoku-9x9", "extreme"), ("maze-5x5", "medium")])
def test_a_random_puzzle_comes_with_its_proof(task: str, level: str) -> None:
    path = f"/v1/puzzles/random?task={task}&level={level}"
    made = ask("GET", path).json()
    assert ask("GET", f"{path}&seed={made['seed']}").json() == made
    model = next(m for m in (NINE, MAZE) if m.task.name in task)
    tokens, solution = (np.array([made[name]], np.uint8) for name in ("tokens", "solution"))
    assert model.task.solved(tokens, solution).all()
    assert np.array_equal(model.task.parse(made["puzzle"]).inputs, tokens)
    assert made["solutions"] == (1 if "sudoku" in task else None)
    assert (made["length"] is None) == ("sudoku" in task)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("task=sudoku-9x9&level=hrad", "unknown level 'hrad'; did you mean 'hard'?"),
        ("task=maze-5x5&level=hard", "unknown level 'hard'"),
        ("task=sudoku9&level=hard", "unknown task 'sudoku9'"),
        ("level=hard", "task: is missing"),
        ("task=sudoku-9x9&level=hard&seed=-1", "seed: Input should be greater"),
        ("task=sudoku-9x9&level=hard&seed=x", "seed: Input should be a valid integer"),
    ],
)
def test_a_random_puzzle_that_cannot_be_is_refused(query: str, message: str) -> None:
    assert message in fault(ask("GET", f"/v1/puzzles/random?{query}"), 422, "invalid")["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/static/nothing.js", 404, "not_found"),
        ("GET", "/static/../app.py", 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", 404, "not_found"),
        ("GET", "/v1/solve", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/v1/solve", 415, "unsupported"),
    ],
)
def test_errors_have_one_shape(method: str, path: str, status: int, code: str) -> None:
    fault(ask(method, path), status, code)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"puzzle":',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"null",
        b'"\\ud800"',
    ],
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    response = ask(
        "POST", "/v1/solve", content=content, headers={"content-type": "application/json; charset=utf-8"}
    )
    fault(response, 422, "invalid")


def test_text_that_cannot_be_encoded_is_refused() -> None:
    for name in ("puzzle", "model", "\\ud800"):
        content = b'{"puzzle": "1", "%s": "\\ud800"}' % name.encode()
        headers = {"content-type": "application/json"}
        fault(ask("POST", "/v1/solve", content=content, headers=headers), 422, "invalid")
