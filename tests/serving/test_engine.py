"""The engine that requests share: whoever comes and goes, a job fares as it would alone, offline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from envs import PuzzleBatch
from envs.search import Choice
from hrm_rl.agents.act.engine import answers
from hrm_rl.agents.act.stopping import Halting, Stopping, Thoughts
from hrm_rl.agents.search.search import Moves, Search, search
from hrm_rl.models.registry import version_of
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.engine import LocalBackend
from hrm_rl.serving.jobs import BackendError, Job, JobResult, JobSegment, Mode
from hrm_rl.serving.served import served_model
from tests.helpers.served import half_trained_model
from tests.helpers.thinkers import BUDGET
from tests.helpers.tiny import puzzles

T = TypeVar("T")
PUZZLES = PuzzleBatch.concatenate([puzzles(20, "easy"), puzzles(20, "hard")]).take(
    np.arange(40).reshape(2, 20).T.ravel()
)
"""Easy and hard ones in turn."""


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return half_trained_model()


@pytest.fixture(scope="module")
def searcher() -> LoadedModel:
    return half_trained_model("searcher", searches=True)


@asynccontextmanager
async def running(*models: LoadedModel, slots: int = 8) -> AsyncIterator[LocalBackend]:
    backend = LocalBackend(models, slots)
    await backend.start()
    try:
        yield backend
    finally:
        await backend.close()


def run(main: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(main, 60))


def jobs_of(name: str, mode: Mode, count: int = 40, segments: int = BUDGET, seed: int = 0) -> list[Job]:
    return [Job(name, inputs, mode, segments, seed) for inputs in PUZZLES.inputs[:count]]


def solved_by(model: LoadedModel, jobs: list[Job], slots: int = 8) -> list[JobResult]:
    async def main() -> list[JobResult]:
        async with running(model, slots=slots) as backend:
            return await backend.solve(jobs)

    return run(main())


@pytest.mark.parametrize("slots", [1, 7, 64])
@pytest.mark.parametrize("halting", ["adaptive", "fixed"])
def test_results_are_those_of_an_offline_evaluation_to_the_last_bit(
    model: LoadedModel, halting: Halting, slots: int
) -> None:
    offline = answers(model.solver, [PUZZLES], Stopping(BUDGET, halting), slots)
    expected = Thoughts.concatenate(list(offline))
    mode: Mode = "adaptive" if halting == "adaptive" else "fixed"
    found = solved_by(model, jobs_of("half", mode), slots)
    np.testing.assert_array_equal([result.answer for result in found], expected.answer)
    np.testing.assert_array_equal([result.segments for result in found], expected.segment)
    np.testing.assert_array_equal([result.q[-1] for result in found], expected.q)
    solved = model.task.solved(PUZZLES.inputs, expected.answer)
    np.testing.assert_array_equal([result.solved for result in found], solved)
    assert 0 < solved.sum() < 40
    assert all(len(result.q) == result.segments for result in found)
    halted = [result.decision == "halt" for result in found]
    assert any(halted) == (halting == "adaptive")


@pytest.mark.parametrize("slots", [1, 7, 64])
def test_a_search_is_that_of_a_queue_of_one_to_the_last_bit(searcher: LoadedModel, slots: int) -> None:
    how = Search.of(searcher.config, 7, seed=5)
    found = solved_by(searcher, jobs_of("searcher", "search", 12, 7, seed=5), slots)
    for n, result in enumerate(found):
        moves = Moves.concatenate(list(search(searcher.solver, [PUZZLES.take(slice(n, n + 1))], how)))
        np.testing.assert_array_equal(result.answer, moves.answer[-1])
        np.testing.assert_array_equal(result.q, moves.q)
        assert result.segments == moves.segment[-1]
        assert result.starts == moves.start[-1]
        assert (result.decision == "hand in") == result.solved == (moves.choice[-1] == Choice.HAND_IN)
    assert {result.decision for result in found} == {"hand in", "give up"}


def test_all_ways_of_thinking_and_several_models_run_side_by_side(
    model: LoadedModel, searcher: LoadedModel
) -> None:
    kinds = [
        *jobs_of("half", "adaptive", 9),
        *jobs_of("half", "fixed", 9, segments=3),
        *jobs_of("searcher", "search", 9, 24),
        *jobs_of("half", "search", 9, 11),
        *jobs_of("searcher", "adaptive", 9),
    ]
    order = np.random.default_rng(0).permutation(len(kinds))

    async def main() -> list[JobResult]:
        async with running(model, searcher, slots=6) as backend:
            return await backend.solve([kinds[i] for i in order])

    for i, result in zip(order, run(main()), strict=True):
        (alone,) = solved_by(searcher if kinds[i].model == "searcher" else model, [kinds[i]], 1)
        np.testing.assert_array_equal(result.answer, alone.answer)
        assert (result.q, result.decision) == (alone.q, alone.decision)


@pytest.mark.parametrize("mode", ["adaptive", "search"])
def test_a_stream_tells_every_segment_and_then_the_result(searcher: LoadedModel, mode: Mode) -> None:
    jobs = jobs_of("searcher", mode, 12, 24)

    async def one(backend: LocalBackend, job: Job) -> list[JobSegment | JobResult]:
        return [news async for news in backend.stream(replace(job, detailed=True))]

    async def main() -> list[list[JobSegment | JobResult]]:
        async with running(searcher, slots=5) as backend:
            return await asyncio.gather(*(one(backend, job) for job in jobs))

    plain = solved_by(searcher, jobs)
    starts = 0
    for told, result in zip(run(main()), plain, strict=True):
        *segments, last = told
        assert isinstance(last, JobResult)
        assert [seen.segment for seen in segments] == list(range(1, result.segments + 1))
        assert [seen.q for seen in segments] == last.q == result.q
        assert [seen.decision for seen in segments][-1] == result.decision
        np.testing.assert_array_equal(last.answer, result.answer)
        for seen in segments:
            assert isinstance(seen, JobSegment)
            assert seen.probabilities is not None
            np.testing.assert_allclose(seen.probabilities.sum(axis=1), 1, atol=1e-5)
            blank = searcher.task.unknown(seen.board[None])[0]
            np.testing.assert_array_equal(seen.probabilities.argmax(axis=1)[blank], seen.answer[blank])
            starts += seen.start > 0
    assert (starts > 0) == (mode == "search"), "so boards in another form were brought back"


def test_an_easy_puzzle_leaves_early_and_others_take_its_slot(model: LoadedModel) -> None:
    """With as many slots as long jobs, and one more, all short ones pass by."""

    async def main() -> list[str]:
        ended: list[str] = []

        async def one(name: str, job: Job) -> None:
            await backend.solve([job])
            ended.append(name)

        async with running(model, slots=3) as backend:
            long = [one("long", job) for job in jobs_of("half", "fixed", 2, 400)]
            short = [one("short", job) for job in jobs_of("half", "fixed", 20, 2)]
            await asyncio.gather(*long, *short)
        return ended

    assert run(main()) == ["short"] * 20 + ["long"] * 2


def test_who_goes_away_frees_the_slot(model: LoadedModel) -> None:
    endless = Job("half", PUZZLES.inputs[0], "fixed", 10**9, detailed=True)

    async def main() -> None:
        async with running(model, slots=2) as backend:
            stream = backend.stream(endless)
            await anext(stream)
            waiting = asyncio.create_task(backend.solve([replace(endless, detailed=False)]))
            while await backend.slots_in_use() < 2:
                await asyncio.sleep(0.001)
            queued = asyncio.create_task(backend.solve([endless]))
            await asyncio.sleep(0.01)
            await stream.aclose()  # type: ignore[attr-defined]
            for task in (waiting, queued):
                task.cancel()
            while await backend.slots_in_use():
                await asyncio.sleep(0.001)
            assert len(await backend.solve(jobs_of("half", "adaptive", 5))) == 5

    run(main())


def test_a_failure_ends_the_jobs_of_its_model_and_no_others(
    model: LoadedModel, searcher: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = model.solver
    broken = replace(model, name="broken", path=model.path / "broken")
    fails = {"now": True}
    task = broken.task

    class Moody(type(task)):  # type: ignore[misc]
        def solved(self, inputs: Any, answer: Any) -> Any:
            if fails["now"]:
                raise RuntimeError("no room on the device")
            return super().solved(inputs, answer)

    broken = replace(broken, task=Moody(size=4))

    async def main() -> None:
        async with running(broken, searcher, slots=4) as backend:
            bad = asyncio.create_task(backend.solve(jobs_of("broken", "adaptive", 6)))
            good = await backend.solve(jobs_of("searcher", "search", 6, 24))
            with pytest.raises(BackendError, match="RuntimeError: no room on the device"):
                await bad
            assert len(good) == 6
            fails["now"] = False
            assert len(await backend.solve(jobs_of("broken", "adaptive", 6))) == 6

    run(main())
    assert solver.model is broken.model


def test_what_runs_when_the_engine_is_closed_fails(model: LoadedModel) -> None:
    async def main() -> None:
        async with running(model, slots=1) as backend:
            jobs = [Job("half", PUZZLES.inputs[0], "fixed", 10**9)] * 2
            tasks = [asyncio.create_task(backend.solve([job])) for job in jobs]
            while not await backend.slots_in_use():
                await asyncio.sleep(0.001)
        for task in tasks:
            with pytest.raises(BackendError, match="the engine has stopped"):
                await task
        with pytest.raises(BackendError, match="the engine has stopped"):
            await backend.solve(jobs)

    run(main())


def test_an_engine_that_does_not_get_on_says_for_how_long(model: LoadedModel) -> None:
    async def main() -> None:
        backend = LocalBackend([model])
        assert backend.stalled() == 0
        running = asyncio.ensure_future(backend.solve(jobs_of("half", "fixed", 1)))
        await asyncio.sleep(0.1)  # nobody thinks yet
        assert 0.09 < backend.stalled() < 30
        await backend.start()
        await running
        assert backend.stalled() == 0
        await backend.close()

    run(main())


def test_what_is_known_of_a_model(model: LoadedModel, searcher: LoadedModel) -> None:
    plain, searching = served_model(model), served_model(searcher, "other")
    assert (plain.name, searching.name) == ("half", "other")
    assert (plain.default_mode, searching.default_mode) == ("adaptive", "search")
    assert (plain.default_segments("adaptive"), searching.default_segments("search")) == (BUDGET, 96)
    assert plain.version == searching.version == version_of(model.model), "the same weights"


def test_other_weights_are_another_version(model: LoadedModel) -> None:
    before = version_of(model.model)
    with torch.no_grad():
        model.model.q_head.bias[0] += 1
    try:
        assert version_of(model.model) != before
    finally:
        with torch.no_grad():
            model.model.q_head.bias[0] -= 1
    assert version_of(model.model) == before
