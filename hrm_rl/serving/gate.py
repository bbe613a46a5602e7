"""What every request passes on its way in and out: its id, the token, the size of its body, headers that keep
browsers safe, a line in the log, a number in the metrics. Plain ASGI, so that bodies can be refused while
they come."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hrm_rl.serving.faults import ClientGone, ServiceError, internal
from hrm_rl.serving.running import Note, Service
from hrm_rl.serving.settings import LOOPBACK

log = logging.getLogger("hrm_rl.serving")

NOTE = "hrm_rl.note"
"""Where a scope has its Note."""
GIVEN_ID = "hrm_rl.request_id"
"""Where a scope has the id of its request, if a proxy answers under one of its own."""
API = "/v1/"
OPEN_ROUTES = ("/", "/healthz", "/readyz")
OPEN_FOLDER = "/static/"
"""What needs no token: the page, which asks for it, and what watches over servers."""
QUIET_ROUTES = ("/healthz", "/readyz", "/metrics")
"""Asked for all the time: the log has them at its finest only."""
GONE_STATUS = 499
"""In the log and the metrics: the client went away."""
LONGEST_PATH = 200
"""Characters of a path in the log."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": PAGE_POLICY,
}


class Gate:
    """The application inside, and the rules for getting in."""

    def __init__(self, app: ASGIApp, service: Service):
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self.service
        note = Note(scope["method"], scope["path"], receive, service.settings.time_limit, service.over)
        note.id = scope.get(GIVEN_ID, note.id)
        scope[NOTE] = note
        counted = scope["path"].startswith(API)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                note.status = message["status"]
                headers = MutableHeaders(scope=message)
                if GIVEN_ID not in scope:
                    headers["X-Request-ID"] = note.id
                headers.setdefault("Cache-Control", "no-store")
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        service.running += counted
        try:
            with note.held:
                try:
                    await self.app(scope, await self._let_in(scope, note), answer)
                except ServiceError as error:
                    note.about["error"] = str(error)
                    await error.response(note.id)(scope, receive, answer)
                except ClientGone:
                    note.status = GONE_STATUS
                except Exception:
                    log.exception("request %s failed", note.id)
                    if not note.status:
                        await internal(note.id).response(note.id)(scope, receive, answer)
        finally:
            service.running -= counted
            self._tell(scope, note)

    async def _let_in(self, scope: Scope, note: Note) -> Receive:
        """What the application reads the body from. Raises ServiceError (401, 408, 413, 415, 421,
        503) and ClientGone."""
        headers, path = Headers(scope=scope), scope["path"]
        if self.service.settings.loopback and _host_of(headers) not in LOOPBACK:
            raise ServiceError(421, "this server is for its own machine: ask it as 127.0.0.1 or localhost")
        self._check_token(headers, path)
        if not path.startswith(API):
            return note.receive
        if self.service.stopping or not self.service.ready:
            now = "is stopping" if self.service.stopping else "has not loaded its models yet"
            raise ServiceError(503, f"the server {now} and takes no new requests")
        if scope["method"] != "POST":
            return note.receive
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ServiceError(415, "send JSON, with the header Content-Type: application/json")
        return await self._whole_body(headers, note)

    def _check_token(self, headers: Headers, path: str) -> None:
        token = self.service.settings.token
        if token is None or path in OPEN_ROUTES or path.startswith(OPEN_FOLDER):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), token.get_secret_value().encode())
        if scheme.lower() != "bearer" or not right:
            raise ServiceError(
                401,
                "this server wants a token: send the header Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _whole_body(self, headers: Headers, note: Note) -> Receive:
        """The body, read as far as it may be long and within the time of the request."""
        most = self.service.settings.max_body_bytes
        too_large = ServiceError(413, f"the body is larger than this server takes, {most:,} bytes")
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > most:
            raise too_large
        body = bytearray()

        async def read() -> None:
            more = True
            while more:
                message = await note.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                body.extend(message.get("body", b""))
                more = message.get("more_body", False)
                if len(body) > most:
                    raise too_large

        try:
            await asyncio.wait_for(read(), note.time_limit)
        except asyncio.TimeoutError:
            raise ServiceError(408, f"the body did not arrive within {note.time_limit:g} s") from None
        waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def receive() -> Message:
            return waiting.pop() if waiting else await note.receive()

        return receive

    def _tell(self, scope: Scope, note: Note) -> None:
        """The log and the metrics."""
        seconds = time.monotonic() - note.began
        route = _route(scope)
        self.service.metrics.requests.labels(route, _known(note.method), note.status).inc()
        if note.path.startswith(API):
            self.service.metrics.latency.labels("total").observe(seconds)
        line: dict[str, Any] = {
            "id": note.id,
            "method": note.method,
            "path": note.path[:LONGEST_PATH],
            "status": note.status,
            "seconds": round(seconds, 4),
            **note.about,
        }
        quiet = note.path in QUIET_ROUTES or note.path.startswith(OPEN_FOLDER)
        level = logging.DEBUG if quiet and note.status < 400 else logging.INFO
        log.log(level, "%s", json.dumps(line, default=str))


def _host_of(headers: Headers) -> str:
    """The name that a request calls this server by, without the port."""
    host = headers.get("host", "")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()


def _route(scope: Scope) -> str:
    """An address as the metrics count it: the paths that clients invent are one."""
    path = scope["path"]
    if path.startswith(OPEN_FOLDER):
        return OPEN_FOLDER
    if path in ("/", "/docs", "/openapi.json"):
        return str(path)
    return getattr(scope.get("route"), "path", "none")


def _known(method: str) -> str:
    """A method as the metrics count it: those that clients invent are one."""
    return method if method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE") else "other"
