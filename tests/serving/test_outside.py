"""What a service lets be seen from outside: numbers, a log, headers, the files of the page."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys

import httpx
import pytest

from tests.helpers.asgi import error_of, run, served
from tests.helpers.fake_backend import NINE, FakeBackend
from tests.helpers.paths import ROOT

BODY = {"puzzle": (PUZZLE := "12343412214343.1")}
IMPOSSIBLE = ".....5.8....6.1.43..........1.5........1.6...3.......553.....61........4........."
"""It takes all guesses that a proof may take."""


def test_metrics_count_requests_stages_slots_and_segments() -> None:
    async def main() -> str:
        backend = FakeBackend()
        async with served(backend) as client:
            await client.post("/v1/solve", json=BODY)
            await client.post("/v1/solve", json={})
            await client.get("/invented/by/a/client")
            backend.in_use = 3
            return (await client.get("/metrics")).text

    text = run(main())
    for line in (
        'hrm_rl_requests_total{method="POST",route="/v1/solve",status="200"} 1.0',
        'hrm_rl_requests_total{method="POST",route="/v1/solve",status="422"} 1.0',
        'hrm_rl_requests_total{method="GET",route="none",status="404"} 1.0',
        'hrm_rl_latency_seconds_count{stage="queue"} 1.0',
        'hrm_rl_latency_seconds_sum{stage="think"} 0.5',
        'hrm_rl_latency_seconds_count{stage="proof"} 1.0',
        'hrm_rl_latency_seconds_count{stage="total"} 2.0',
        'hrm_rl_segments_sum{model="four"} 2.0',
        'hrm_rl_puzzles_total{model="four",solved="true"} 1.0',
        "hrm_rl_slots 4.0",
        "hrm_rl_slots_in_use 3.0",
        "hrm_rl_puzzles_admitted 0.0",
    ):
        assert line in text
    assert "invented" not in text


@pytest.mark.parametrize(
    ("host", "loopback", "status"),
    [
        ("127.0.0.1:8000", True, 200),
        ("LOCALHOST", True, 200),
        ("[::1]:8000", True, 200),
        ("rebound.example", True, 421),
        ("127.0.0.1.rebound.example:8000", True, 421),
        ("", True, 421),
        ("rebound.example", False, 200),
    ],
)
def test_a_server_of_one_machine_answers_to_its_own_names_alone(
    host: str, loopback: bool, status: int
) -> None:
    async def main() -> httpx.Response:
        async with served(FakeBackend(), loopback=loopback) as client:
            return await client.get("/v1/models", headers={"Host": host})

    answer = run(main())
    assert answer.status_code == status
    if status == 421:
        error_of(answer, 421, "misdirected")


def test_the_log_has_a_line_for_each_request_without_the_puzzle(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with served(FakeBackend()) as client:
            await client.post("/v1/solve", json=BODY)
            await client.get("/v1/x%0d%0a")

    with caplog.at_level(logging.INFO, "hrm_rl.serving"):
        run(main())
    lines = [record.message for record in caplog.records if record.name == "hrm_rl.serving"]
    assert not any("\n" in line for line in lines)
    assert PUZZLE not in "".join(lines)
    first = json.loads(lines[0])
    assert (first["status"], first["model"], first["think_seconds"]) == (200, "four", 0.5)
    assert {"id", "seconds", "queue_seconds", "proof_seconds"} <= first.keys()


def test_an_error_of_ours_tells_its_id_only(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        backend = FakeBackend()
        backend.jobs = None  # type: ignore[assignment]
        async with served(backend) as client:
            error = error_of(await client.post("/v1/solve", json=BODY), 500, "internal")
            assert error["id"] in error["message"]
            assert "AttributeError" not in str(error)
            assert error["id"] in caplog.text
            assert "AttributeError" in caplog.text

    run(main())


def test_browsers_are_told_to_be_careful() -> None:
    async def main() -> None:
        async with served(FakeBackend()) as client:
            for path in ("/docs", "/static/docs.css", "/v1/models", "/nothing"):
                headers = (await client.get(path)).headers
                policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
                assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
                assert policy["script-src"] == policy["connect-src"] == "'self'"
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["referrer-policy"] == "no-referrer"
                assert not [name for name in headers if name.startswith("access-control")]
            assert (await client.get("/v1/models")).headers["cache-control"] == "no-store"

    run(main())


def test_files_of_the_page_are_asked_for_again_but_sent_once() -> None:
    async def main() -> None:
        async with served(FakeBackend()) as client:
            first = await client.get("/static/docs.css")
            assert first.headers["content-type"].startswith("text/css")
            assert first.headers["cache-control"] == "no-cache"
            again = await client.get("/static/docs.css", headers={"if-none-match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")

    run(main())


def test_the_page_of_the_api_names_every_address_and_no_other_host() -> None:
    async def main() -> None:
        async with served(FakeBackend()) as client:
            document = (await client.get("/openapi.json")).json()
            page = (await client.get("/docs")).text
            for path in document["paths"]:
                assert path in page
            for name in document["components"]["schemas"]:
                assert f'id="{name}"' in page
            assert "SegmentEvent" in page
            assert "http:" not in page
            assert "https:" not in page
            assert "<script" not in page
            assert "style=" not in page

    run(main())


def test_the_application_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys, hrm_rl.serving.app, hrm_rl.serving.client; print({'torch', 'ray'} & sys.modules.keys())"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment, check=True
    )
    assert said.stdout.strip() == "set()"


def test_puzzles_that_are_hard_to_prove_hold_nobody_else_up() -> None:
    async def main() -> None:
        async with served(FakeBackend([NINE])) as client:
            body = {"puzzles": [IMPOSSIBLE] * 2}
            asked = asyncio.ensure_future(client.post("/v1/solve", json=body))
            answered = 0
            while not asked.done():
                assert (await client.get("/healthz")).status_code == 200
                answered += 1
                await asyncio.sleep(0.001)
            assert "too hard to prove" in error_of(await asked, 422, "invalid")["message"]
            assert answered > 5  # in the tenth of a second of the first proof

    run(main())
