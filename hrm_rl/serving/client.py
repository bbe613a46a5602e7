"""A service from Python: `Client("http://127.0.0.1:8000").solve("53..7....6..195...")`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from hrm_rl.serving.jobs import Mode
from hrm_rl.serving.schemas import (
    BeginEvent,
    ModelInfo,
    ModelList,
    PuzzleResult,
    RandomPuzzle,
    ResultEvent,
    SegmentEvent,
    SolveResponse,
    TaskInfo,
    TaskList,
)
from hrm_rl.utils.errors import UserError, one_line

Puzzle = str | Sequence[int]
"""Text in any form that files may have, or tokens."""
StreamEvent = BeginEvent | SegmentEvent | ResultEvent
EVENTS: dict[str, type[StreamEvent]] = {
    "begin": BeginEvent,
    "segment": SegmentEvent,
    "result": ResultEvent,
}
Reply = TypeVar("Reply", bound=BaseModel)


class Client:
    """A service at an address. Whatever goes wrong is a UserError in one line."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 120.0):
        """token: what the service wants, if it does.  timeout: seconds without a word after which a request
        is given up."""
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            if httpx.URL(url).scheme not in ("http", "https") or not httpx.URL(url).host:
                raise UserError(f"'{url}' is no address of a service, such as http://127.0.0.1:8000")
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise UserError(f"cannot ask '{url}': {one_line(error, 200)}") from None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def models(self) -> list[ModelInfo]:
        """The models that are served; the first one is the default."""
        return self._get("/v1/models", ModelList).models

    def tasks(self) -> list[TaskInfo]:
        """The kinds of puzzles that they solve."""
        return self._get("/v1/tasks", TaskList).tasks

    def random(self, task: str, level: str, seed: int | None = None) -> RandomPuzzle:
        """A new puzzle of a level of a task, such as `sudoku-9x9`."""
        asked = {"task": task, "level": level} | ({} if seed is None else {"seed": seed})
        return self._get("/v1/puzzles/random", RandomPuzzle, asked)

    def solve(self, puzzle: Puzzle, **how: Any) -> PuzzleResult:
        """The answer to one puzzle. how: `model`, `mode`, `segments`, `seed`, `identifier`, `allow_unproven`,
        as in the API."""
        return self._post("/v1/solve", {"puzzle": _given(puzzle), **how}, SolveResponse).results[0]

    def solve_all(self, puzzles: Sequence[Puzzle], **how: Any) -> SolveResponse:
        """The answers to several puzzles, in their order, and who gave them."""
        return self._post("/v1/solve", {"puzzles": [_given(p) for p in puzzles], **how}, SolveResponse)

    def stream(
        self, puzzle: Puzzle, *, model: str | None = None, mode: Mode | None = None, **how: Any
    ) -> Iterator[StreamEvent]:
        """What a model thinks, segment by segment: a BeginEvent, SegmentEvents, a ResultEvent. Leaving it
        early ends the thinking."""
        asked = {"puzzle": _given(puzzle), "model": model, "mode": mode, **how}
        ended = False
        with self._told(), self._http.stream("POST", "/v1/solve/stream", json=asked) as response:
            if response.status_code != 200:
                response.read()
                raise self._refusal(response)
            for name, data in _events(response.iter_lines()):
                if name == "error":
                    raise UserError(f"{self.url}: {_fault(data) or 'the stream ended with an error'}")
                if name in EVENTS:
                    yield self._read(EVENTS[name], data)
                    ended = name == "result"
        if not ended:
            raise UserError(f"{self.url} ended the stream before the result; ask again")

    def _get(self, path: str, kind: type[Reply], asked: Mapping[str, Any] | None = None) -> Reply:
        with self._told():
            return self._answer(self._http.get(path, params=asked), kind)

    def _post(self, path: str, body: Mapping[str, Any], kind: type[Reply]) -> Reply:
        with self._told():
            return self._answer(self._http.post(path, json=body), kind)

    def _answer(self, response: httpx.Response, kind: type[Reply]) -> Reply:
        if response.status_code != 200:
            raise self._refusal(response)
        return self._read(kind, response.text)

    def _read(self, kind: type[Reply], text: str) -> Reply:
        try:
            return kind.model_validate_json(text)
        except ValidationError:
            raise UserError(
                f"{self.url} answers in another form: is it a service of this version of hrm-rl?"
            ) from None

    def _refusal(self, response: httpx.Response) -> UserError:
        """What the service said in place of an answer."""
        said = _fault(response.text)
        if response.status_code == 401:
            said = "it wants a token: set HRM_RL_TOKEN, or give it to Client(url, token)"
        return UserError(f"{self.url}: {said or f'status {response.status_code}; is it an hrm-rl service?'}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors on the way, in one line."""
        try:
            yield
        except httpx.TimeoutException:
            seconds = self._http.timeout.read
            raise UserError(
                f"{self.url} did not answer within {seconds:g} s; ask for less, or later"
            ) from None
        except httpx.ConnectError as error:
            raise UserError(
                f"cannot reach {self.url}: {one_line(error, 200)}; does `hrm-rl serve` run?"
            ) from None
        except httpx.HTTPError as error:
            raise UserError(f"{self.url}: the connection broke: {one_line(error, 200)}") from None
        except (TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"the request is no JSON: {one_line(error, 200)}") from None


def _given(puzzle: Puzzle) -> Any:
    return puzzle if isinstance(puzzle, str) else [int(token) for token in puzzle]


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Names and data of server-sent events."""
    name, data = "", ""
    for line in lines:
        if not line and name:
            yield name, data
            name, data = "", ""
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value


def _fault(text: str) -> str | None:
    """The message of an error in the service's shape, with the puzzle that it is about."""
    try:
        fault = json.loads(text)["error"]
        where = f"puzzle {fault['puzzle'] + 1}: " if fault.get("puzzle") is not None else ""
        lost = f" (request {fault['id']})" if fault["code"] == "internal" else ""
        return one_line(f"{where}{fault['message']}{lost}", 600)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
