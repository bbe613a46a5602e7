"""Applications asked in this process: whole answers, and requests that are watched message by message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from hrm_rl.serving.app import create_app
from hrm_rl.serving.jobs import Backend
from hrm_rl.serving.settings import ServingSettings

T = TypeVar("T")
SECONDS = 60.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of a test's coroutine, which may take a minute."""
    return asyncio.run(asyncio.wait_for(work, SECONDS))


class AppClient(httpx.AsyncClient):
    """A client of an application in this process."""

    def __init__(self, app: FastAPI):
        super().__init__(transport=httpx.ASGITransport(app), base_url="http://test")
        self.app = app


@asynccontextmanager
async def served(backend: Backend, **settings: Any) -> AsyncIterator[AppClient]:
    """A client of an application that has started."""
    app = create_app(backend, ServingSettings(**settings))
    async with app.router.lifespan_context(app), AppClient(app) as client:
        yield client


class Exchange:
    """One request to an application, message by message."""

    def __init__(
        self,
        app: FastAPI,
        path: str,
        body: Any = None,
        parts: Sequence[bytes] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ):
        """body: sent as JSON.  parts: in its place, bytes of a body that is not yet at its end."""
        given = [("content-type", "application/json"), *headers]
        self._coming: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        if parts is None:
            self.send_part(json.dumps(body).encode(), more=False)
        for part in parts or ():
            self.send_part(part, more=True)
        self._going: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given],
            "client": ("test", 1),
            "server": ("test", 80),
        }
        self.task = asyncio.ensure_future(app(scope, self._coming.get, self._going.put))

    def send_part(self, body: bytes, more: bool) -> None:
        self._coming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        self._coming.put_nowait({"type": "http.disconnect"})

    async def message(self) -> MutableMapping[str, Any]:
        """The next one that the application sends."""
        return await self._going.get()

    async def status(self) -> int:
        message = await self.message()
        assert message["type"] == "http.response.start"
        return int(message["status"])

    async def rest(self) -> str:
        """The body that is left."""
        await self.task
        parts = []
        while not self._going.empty():
            parts.append(self._going.get_nowait()["body"])
        return b"".join(parts).decode()


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and data of server-sent events; checks their numbers."""
    found: list[tuple[str, dict[str, Any]]] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            assert int(fields["id"]) == len(found)
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def error_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of a response, which has this status and code, and the id of its header."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert error["id"] == response.headers["x-request-id"]
    assert isinstance(error, dict)
    return error
