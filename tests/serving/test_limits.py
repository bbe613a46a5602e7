"""What a service refuses, ends early and keeps safe: tokens, bodies, queues, time, clients, stops."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest

from envs.errors import UserError
from hrm_rl.serving.app import create_app
from hrm_rl.serving.settings import ServingSettings, token_from_environment
from tests.helpers.asgi import Exchange, error_of, events_of, run, served
from tests.helpers.fake_backend import FOUR, FakeBackend

PUZZLE = "12343412214343.1"
BODY = {"puzzle": PUZZLE}
TOKEN = {"token": "s3cret-token"}


# Tokens


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("s3cret-token", 401),
        ("Bearer", 401),
        ("Bearer s3cret-toke", 401),
        ("Basic s3cret-token", 401),
        ("Bearer s3cret-tokén", 401),
        ("Bearer s3cret-token", 200),
        ("bearer s3cret-token", 200),
    ],
)
def test_a_token_is_wanted_where_one_is_set(header: str | None, status: int) -> None:
    async def main() -> None:
        headers = [] if header is None else [(b"authorization", header.encode())]
        async with served(FakeBackend(), **TOKEN) as client:
            for path in ("/v1/models", "/metrics", "/docs", "/openapi.json"):
                response = await client.get(path, headers=headers)
                if status == 401:
                    error_of(response, 401, "unauthorized")
                    assert response.headers["www-authenticate"] == "Bearer"
                else:
                    assert response.status_code == 200
            for path in ("/healthz", "/readyz", "/static/docs.css"):
                assert (await client.get(path, headers=headers)).status_code == 200

    run(main())


def test_a_request_without_the_token_is_refused_before_its_body_is_read() -> None:
    async def main() -> None:
        async with served(FakeBackend(), **TOKEN) as client:
            exchange = Exchange(client.app, "/v1/solve", parts=[b"{"])
            assert await exchange.status() == 401

    run(main())


def test_tokens_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HRM_RL_TOKEN", raising=False)
    assert token_from_environment() is None
    monkeypatch.setenv("HRM_RL_TOKEN", "s3cret")
    token = token_from_environment()
    assert token is not None
    assert "s3cret" not in repr(ServingSettings(token=token))
    for value in ("", "two words", "é"):
        monkeypatch.setenv("HRM_RL_TOKEN", value)
        with pytest.raises(UserError, match="HRM_RL_TOKEN"):
            token_from_environment()


# Bodies


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_refused_as_soon_as_it_is_too_long(announced: bool) -> None:
    async def main() -> None:
        async with served(FakeBackend(), max_body_bytes=100) as client:
            headers = [("content-length", "101")] if announced else []
            parts = [] if announced else [b" " * 60, b" " * 41]
            exchange = Exchange(client.app, "/v1/solve", parts=parts, headers=headers)
            assert await exchange.status() == 413  # though more was to come
            assert json.loads(await exchange.rest())["error"]["code"] == "too_large"
            whole = json.dumps(BODY).encode().ljust(100)
            as_json = {"content-type": "application/json"}
            assert (await client.post("/v1/solve", content=whole, headers=as_json)).status_code == 200

    run(main())


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def main() -> None:
        async with served(FakeBackend(), time_limit=0.05) as client:
            exchange = Exchange(client.app, "/v1/solve", parts=[b"{"])
            assert await exchange.status() == 408
            assert json.loads(await exchange.rest())["error"]["code"] == "timeout"

    run(main())


def test_forms_and_texts_are_no_requests() -> None:
    """A page of somebody else can send those without asking the browser."""

    async def main() -> None:
        async with served(FakeBackend()) as client:
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
                headers = {"content-type": kind}
                response = await client.post("/v1/solve", content=json.dumps(BODY), headers=headers)
                error_of(response, 415, "unsupported")
                assert "access-control-allow-origin" not in response.headers

    run(main())


# Queues


def test_there_are_at_most_so_many_puzzles_in_a_request() -> None:
    async def main() -> None:
        async with served(FakeBackend(), max_puzzles=3) as client:
            for count, status in ((3, 200), (4, 422)):
                response = await client.post("/v1/solve", json={"puzzles": [PUZZLE] * count})
                assert response.status_code == status
        async with served(FakeBackend(slots=2), queue=1) as client:
            response = await client.post("/v1/solve", json={"puzzles": [PUZZLE] * 4})
            assert "give 3 at most" in error_of(response, 422, "invalid")["message"]

    run(main())


def test_who_finds_the_queue_full_is_told_when_to_come_again() -> None:
    async def main() -> None:
        backend = FakeBackend(slots=2)
        backend.go_on.clear()
        async with served(backend, queue=1) as client:
            first = asyncio.ensure_future(client.post("/v1/solve", json={"puzzles": [PUZZLE] * 3}))
            while backend.in_use < 3:
                await asyncio.sleep(0.01)
            for path in ("/v1/solve", "/v1/solve/stream"):
                response = await client.post(path, json=BODY)
                assert "3 puzzles" in error_of(response, 429, "busy")["message"]
                assert int(response.headers["retry-after"]) >= 1
            query = "task=sudoku-4x4&level=easy"
            error_of(await client.get(f"/v1/puzzles/random?{query}"), 429, "busy")
            backend.go_on.set()
            assert (await first).status_code == 200
            assert (await client.post("/v1/solve", json=BODY)).status_code == 200

    run(main())


# Time, and clients that leave


def test_a_request_takes_no_longer_than_it_may_and_frees_its_slots() -> None:
    async def main() -> None:
        backend = FakeBackend()
        backend.go_on.clear()
        async with served(backend, time_limit=0.2) as client:
            response = await client.post("/v1/solve", json={"puzzles": [PUZZLE] * 2})
            assert "0.2 s" in error_of(response, 504, "timeout")["message"]
            assert backend.in_use == 0
            response = await client.post("/v1/solve/stream", json=BODY)
            assert [name for name, _ in events_of(response.text)] == ["begin", "segment", "error"]
            assert events_of(response.text)[-1][1]["error"]["code"] == "timeout"
            assert backend.in_use == 0

    run(main())


@pytest.mark.parametrize("path", ["/v1/solve", "/v1/solve/stream"])
def test_a_client_that_goes_away_frees_its_slot(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        backend = FakeBackend(slots=1)
        backend.go_on.clear()
        with caplog.at_level(logging.INFO, "hrm_rl.serving"):
            async with served(backend, queue=0) as client:
                exchange = Exchange(client.app, path, BODY)
                while not backend.in_use:
                    await asyncio.sleep(0.01)
                exchange.disconnect()
                await exchange.task
                assert backend.in_use == 0
                backend.go_on.set()
                assert (await client.post("/v1/solve", json=BODY)).status_code == 200

    run(main())
    lines = [json.loads(record.message) for record in caplog.records if record.name == "hrm_rl.serving"]
    assert [line["status"] for line in lines] == [499, 200]


def test_a_stream_without_news_gives_signs_of_life() -> None:
    async def main() -> None:
        backend = FakeBackend()
        backend.go_on.clear()
        async with served(backend, ping_seconds=0.05) as client:
            exchange = Exchange(client.app, "/v1/solve/stream", BODY)
            seen = b""
            while seen.count(b": ping\n\n") < 2:
                seen += (await exchange.message()).get("body", b"")
            backend.go_on.set()
            assert [name for name, _ in events_of(seen.decode() + await exchange.rest())][-1] == "result"

    run(main())


# Stops


def test_a_service_that_stops_finishes_what_runs_and_takes_no_more() -> None:
    async def main() -> None:
        backend = FakeBackend()
        backend.go_on.clear()
        async with served(backend) as client:
            service = client.app.state.service
            exchange = Exchange(client.app, "/v1/solve/stream", BODY)
            while not backend.in_use:
                await asyncio.sleep(0.01)
            draining = asyncio.ensure_future(service.drained(30.0))
            await asyncio.sleep(0.05)
            error_of(await client.get("/readyz"), 503, "stopping")
            error_of(await client.post("/v1/solve", json=BODY), 503, "stopping")
            assert (await client.get("/healthz")).status_code == 200
            assert not draining.done()
            backend.go_on.set()
            assert await draining == 0
            assert exchange.task.done()
        assert backend.closed

    run(main())


def test_what_runs_longer_than_the_grace_is_told_of_the_stop() -> None:
    async def main() -> None:
        backend = FakeBackend()
        backend.go_on.clear()
        async with served(backend) as client:
            exchange = Exchange(client.app, "/v1/solve/stream", BODY)
            while not backend.in_use:
                await asyncio.sleep(0.01)
            assert await client.app.state.service.drained(0.1) == 1
            assert await exchange.status() == 200
            name, data = events_of(await exchange.rest())[-1]
            assert (name, data["error"]["code"]) == ("error", "stopping")
            assert backend.in_use == 0

    run(main())


def test_a_service_is_ready_when_its_backend_is() -> None:
    app = create_app(FakeBackend(), ServingSettings())

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            error_of(await client.get("/readyz"), 503, "stopping")

    run(main())


def test_two_models_of_one_name_cannot_be_told_apart() -> None:
    with pytest.raises(UserError, match="two models are called four"):
        create_app(FakeBackend([FOUR, FOUR]), ServingSettings())
