"""Puzzles with an identity, tasks that only a label judges, and how clients are told of both."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm_rl.config import Config
from hrm_rl.models import build_model
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.engine import LocalBackend
from hrm_rl.serving.jobs import Job, JobResult
from hrm_rl.serving.served import served_model
from tests.helpers.asgi import run, served
from tests.helpers.drawn import FlipTask, TintTask
from tests.helpers.fake_backend import FakeBackend, fake_model

TINT, FLIP = TintTask(6), FlipTask(8)
PUZZLE = TINT.generate("small", 1, np.random.default_rng(0))


def tint_model() -> Any:
    return fake_model("tint", TINT, identifiers=3)


def ask(*requests: tuple[str, str, Any]) -> list[Any]:
    """What a service with both tasks answers; a GET where there is no body."""
    backend = FakeBackend([tint_model(), fake_model("flip", FLIP)])

    async def main() -> list[Any]:
        async with served(backend) as client:
            return [
                await client.request(method, path, json=body) if body else await client.request(method, path)
                for method, path, body in requests
            ]

    answers = run(main())
    return [*answers, backend.jobs]


def test_tasks_say_how_they_are_drawn_and_which_identities_there_are() -> None:
    tasks, models, _ = ask(("GET", "/v1/tasks", None), ("GET", "/v1/models", None))
    tint, flip = tasks.json()["tasks"]
    assert (tint["drawn_as"], tint["label_decides"]) == ("colours", True)
    assert tint["identities"] == [
        {"identifier": 1, "name": "one more"},
        {"identifier": 2, "name": "one less"},
    ]
    assert (flip["drawn_as"], flip["label_decides"], flip["identities"]) == ("string", False, [])
    assert [model["identifiers"] for model in models.json()["models"]] == [3, 1]


def test_a_random_puzzle_brings_its_identity_and_a_request_takes_one() -> None:
    path = "/v1/puzzles/random?task=tint-6x6&level=small&seed=4"
    made = ask(("GET", path, None))[0].json()
    assert made["identifier"] in (1, 2)
    body = {"puzzle": made["tokens"], "identifier": made["identifier"], "model": "tint"}
    answered, jobs = ask(("POST", "/v1/solve", body))
    assert jobs[0].identifier == made["identifier"]
    assert answered.json()["results"][0]["identifier"] == made["identifier"]


def test_only_a_label_could_judge_so_the_verdict_is_null() -> None:
    body = {"puzzle": PUZZLE.inputs[0].tolist(), "model": "tint"}
    solved, streamed, metrics, _ = ask(
        ("POST", "/v1/solve", body), ("POST", "/v1/solve/stream", body), ("GET", "/metrics", None)
    )
    assert solved.json()["results"][0]["solved"] is None
    assert streamed.text.count('"solved":null') == 3  # two segments and the result
    assert 'hrm_rl_puzzles_total{model="tint",solved="unknown"} 2.0' in metrics.text


def test_a_text_may_name_its_identity_and_a_number_goes_before_it() -> None:
    *_, jobs = ask(
        ("POST", "/v1/solve", {"puzzles": ["one less\n12\n34", "12/34"], "model": "tint"}),
        ("POST", "/v1/solve", {"puzzle": "one less\n12\n34", "model": "tint", "identifier": 1}),
    )
    assert [job.identifier for job in jobs] == [2, 0, 1]


def test_a_text_is_read_without_a_thought() -> None:
    asked = {"task": "tint-6x6", "puzzle": "one less\n12\n34"}
    told, wrong, unknown, jobs = ask(
        ("POST", "/v1/puzzles/read", asked),
        ("POST", "/v1/puzzles/read", asked | {"puzzle": "12\n3"}),
        ("POST", "/v1/puzzles/read", asked | {"task": "tint"}),
    )
    assert told.json() == {"task": "tint-6x6", "tokens": TINT.encode("12/34").tolist(), "identifier": 2}
    assert wrong.status_code == unknown.status_code == 422
    assert "rows of digits" in wrong.json()["error"]["message"]
    assert "did you mean 'tint-6x6'?" in unknown.json()["error"]["message"]
    assert jobs == []


@pytest.mark.parametrize(
    ("model", "puzzle", "identifier", "why"),
    [
        ("tint", PUZZLE.inputs[0].tolist(), 3, "identifier 3 is unknown to tint; it has 0 to 2"),
        ("flip", [1, 2, 3, 3, 2, 1, 1, 1], 1, "identifier 1 is unknown to flip; it has 0 alone"),
    ],
)
def test_an_identity_that_the_model_does_not_have_is_refused(
    model: str, puzzle: list[int], identifier: int, why: str
) -> None:
    refused, jobs = ask(("POST", "/v1/solve", {"model": model, "puzzle": puzzle, "identifier": identifier}))
    assert (refused.status_code, refused.json()["error"]["message"]) == (422, why)
    assert jobs == []


def test_the_begin_of_a_stream_says_what_is_to_be_found() -> None:
    told, _ = ask(("POST", "/v1/solve/stream", {"model": "flip", "puzzle": "0x1x0"}))
    assert '"unknown":[0,2,4]' in told.text


def test_the_engine_thinks_with_the_identity_and_gives_no_verdict() -> None:
    config = Config.model_validate(
        {
            "model": {"hidden_size": 16, "num_heads": 2, "puzzle_emb_ndim": 16},
            "halting": {"halt_max_steps": 2},
        }
    )
    model = build_model(config.model, TINT.vocab_size, TINT.coordinates(), identifiers=3)
    model.puzzle_emb.weight[1:] = 5.0 * np.pi
    loaded = LoadedModel("tint", Path("tint"), model, TINT, config, 0, "raw", None)
    assert served_model(loaded).identifiers == 3
    assert served_model(loaded).search_budget is None

    async def main() -> list[tuple[np.ndarray, JobResult]]:
        backend = LocalBackend([loaded])
        await backend.start()
        found = []
        try:
            for identifier in (0, 1, 2):
                job = Job("tint", PUZZLE.inputs[0], "fixed", 2, detailed=True, identifier=identifier)
                news = [news async for news in backend.stream(job)]
                assert isinstance(news[-1], JobResult)
                assert [one.solved for one in news] == [None] * 3
                found.append((news[0].probabilities, news[-1]))
        finally:
            await backend.close()
        return found

    blank, one, two = (chances for chances, _ in asyncio.run(main()))
    np.testing.assert_array_equal(one, two)
    assert (one != blank).any()
