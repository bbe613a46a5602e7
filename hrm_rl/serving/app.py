"""The application: the addresses that there are, in front of any backend.

It keeps no state but what Service has, opens no files, and knows neither Ray nor torch.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hrm_rl import __version__
from hrm_rl.serving.faults import ClientGone, ServiceError, internal, of_status, of_validation
from hrm_rl.serving.gate import NOTE, Gate
from hrm_rl.serving.jobs import Backend, BackendError, refuse_one_name
from hrm_rl.serving.metrics import CONTENT_TYPE
from hrm_rl.serving.pages import PageFiles, reference
from hrm_rl.serving.puzzles import model_info, random_puzzle, read_puzzle, task_infos
from hrm_rl.serving.running import Note, Service
from hrm_rl.serving.schemas import (
    LARGEST_INTEGER,
    BeginEvent,
    FaultResponse,
    HealthResponse,
    ModelList,
    RandomPuzzle,
    ReadRequest,
    ReadResponse,
    ResultEvent,
    SegmentEvent,
    SolveRequest,
    SolveResponse,
    TaskList,
    ThinkRequest,
)
from hrm_rl.serving.settings import ServingSettings

log = logging.getLogger("hrm_rl.serving")

DESCRIPTION = "Models that think about puzzles segment by segment, for as long as they want to."
EVENTS = (
    "Server-sent events: `begin` (BeginEvent), `segment` (SegmentEvent) after each segment, then `result` "
    "(ResultEvent) or `error` (FaultResponse). Their data is one line of JSON; comments are signs of life."
)
SEED_BELOW = 2**31


def _faults(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": FaultResponse, "description": _FAULTS[status]} for status in statuses}


_FAULTS = {
    401: "No token, or a wrong one.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not JSON by its header.",
    421: "The server is for its own machine, and was asked by another name.",
    422: "The request or the puzzle is wrong.",
    429: "Too many puzzles wait; the header Retry-After says in how many seconds to ask again.",
    500: "An error of the server.",
    503: "The server is stopping, or not ready yet.",
    504: "The time limit of the server is over.",
}
ASKED = _faults(401, 500, 503)
THINKING = READING = _faults(*_FAULTS)


def create_app(backend: Backend, settings: ServingSettings) -> FastAPI:
    """The application. It starts the backend when it starts, and closes it at its end; `app.state.service`
    is its Service, which is told to stop. Raises UserError where two models have one name."""
    refuse_one_name(backend.models)
    service = Service(backend, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = FastAPI(
        title="hrm-rl",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    app.add_middleware(Gate, service=service)
    _answer_errors(app)
    _think(app, service)
    _tell(app, service)
    _watch(app, service)
    _show(app)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI, with the events of a stream among its objects."""
    document = FastAPI.openapi(app)
    for event in (BeginEvent, SegmentEvent, ResultEvent):
        document["components"]["schemas"][event.__name__] = event.model_json_schema()
    return document


def _note(request: Request) -> Note:
    note: Note = request.scope[NOTE]
    return note


def _json(model: BaseModel, **how: Any) -> Response:
    return Response(model.model_dump_json(**how), media_type="application/json")


def _answer_errors(app: FastAPI) -> None:
    """Every error in the one shape."""

    def respond(request: Request, error: ServiceError) -> Response:
        note = _note(request)
        note.about["error"] = str(error)
        return error.response(note.id)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return respond(request, of_validation(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return respond(request, of_status(error.status_code, str(error.detail)))

    @app.exception_handler(ServiceError)
    async def ended(request: Request, error: ServiceError) -> Response:
        return respond(request, error)


def _think(app: FastAPI, service: Service) -> None:
    """Puzzles to be solved."""

    @app.post("/v1/solve", response_model=SolveResponse, responses=THINKING)
    async def solve(body: SolveRequest, request: Request) -> Response:
        """Solve a puzzle, or several."""
        note = _note(request)
        work = service.solve(body, body.all_puzzles, note, listed=body.puzzles is not None)
        try:
            return _json(await note.until(work))
        except BackendError as error:
            raise _failed(error, note) from None

    @app.post(
        "/v1/solve/stream",
        response_class=Response,
        responses=THINKING | {200: {"description": EVENTS, "content": {"text/event-stream": {}}}},
    )
    async def stream(body: ThinkRequest, request: Request) -> Response:
        """Solve a puzzle and tell of every segment as it is thought."""
        note = _note(request)
        model, prepared, job = await note.until(service.prepare(body, [body.puzzle], note))
        return EventStream(service, note, lambda emit: service.stream(model, prepared[0], job, note, emit))


class EventStream(StreamingResponse):
    """Events as they come; whatever goes wrong is the last of them."""

    def __init__(self, service: Service, note: Note, work: Any):
        """work: given a function that sends events, sends them all."""
        super().__init__((), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._service, self._note, self._work = service, note, work
        self._events = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        note = self._note

        async def write(text: str, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

        async def emit(name: str, data: BaseModel | None) -> None:
            if data is None:
                await write(f": {name}\n\n")
                return
            await write(f"event: {name}\ndata: {data.model_dump_json()}\nid: {self._events}\n\n")
            self._events += 1

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await note.until(self._work(emit))
        except ServiceError as error:
            await self._end(error, emit)
        except BackendError as error:
            await self._end(_failed(error, note), emit)
        except OSError:  # the connection broke while something was sent
            note.about["error"] = "the client went away"
            return
        except ClientGone:
            raise
        except Exception:
            log.exception("request %s failed", note.id)
            await self._end(internal(note.id), emit)
        await write("", more=False)

    async def _end(self, error: ServiceError, emit: Any) -> None:
        self._note.about["error"] = str(error)
        await emit("error", error.body(self._note.id))


def _failed(error: BackendError, note: Note) -> ServiceError:
    """What a client hears of it; the log has the rest."""
    log.error("request %s failed: %s", note.id, error, exc_info=error.__cause__)
    return internal(note.id)


def _tell(app: FastAPI, service: Service) -> None:
    """What there is to be solved, and by whom."""
    models = service.backend.models

    @app.get("/v1/models", response_model=ModelList, responses=ASKED)
    async def list_models() -> Response:
        """The models that are served; the first one is the default."""
        return _json(ModelList(models=[model_info(model) for model in models]))

    @app.get("/v1/tasks", response_model=TaskList, responses=ASKED)
    async def list_tasks(request: Request) -> Response:
        """The kinds of puzzles that they solve."""
        return _json(TaskList(tasks=await _note(request).until(service.in_thread(task_infos, models))))

    @app.get(
        "/v1/puzzles/random",
        response_model=RandomPuzzle,
        responses=_faults(401, 422, 429, 500, 503, 504),
    )
    async def random(
        request: Request,
        task: Annotated[str, Query(max_length=300, description="As /v1/tasks has it.")],
        level: Annotated[str, Query(max_length=300, description="One of the task's levels.")],
        seed: Annotated[
            int | None, Query(ge=0, le=LARGEST_INTEGER, description="The same one makes the same puzzle.")
        ] = None,
    ) -> Response:
        """A new puzzle, proven to have a solution."""
        note = _note(request)
        note.held.enter_context(service.admission(1))
        chosen = secrets.randbelow(SEED_BELOW) if seed is None else seed
        made = await note.until(service.in_thread(random_puzzle, models, task, level, chosen))
        return _json(made)

    @app.post("/v1/puzzles/read", response_model=ReadResponse, responses=READING)
    async def read(body: ReadRequest, request: Request) -> Response:
        """The tokens of a text that is a puzzle of a task; nobody thinks about it."""
        note = _note(request)
        note.held.enter_context(service.admission(1))
        return _json(await note.until(service.in_thread(read_puzzle, models, body.task, body.puzzle)))


def _watch(app: FastAPI, service: Service) -> None:
    """For those who run the server."""

    @app.get("/healthz", response_model=HealthResponse)
    async def health() -> Response:
        """Whether the process lives."""
        return _json(HealthResponse(status="alive"))

    @app.get("/readyz", response_model=HealthResponse, responses=_faults(503))
    async def readiness() -> Response:
        """Whether requests are taken: models are loaded, and the server is not stopping."""
        if service.stopping:
            raise ServiceError(503, "the server is stopping")
        if not service.ready:
            raise ServiceError(503, "the models are not loaded yet")
        return _json(HealthResponse(status="ready"))

    @app.get("/metrics", response_class=Response, responses=_faults(401))
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        service.metrics.slots_in_use.set(await service.backend.slots_in_use())
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)


def _show(app: FastAPI) -> None:
    """For browsers."""
    files = PageFiles()

    async def index(request: Request) -> Response:
        return files.index(request)

    async def static(request: Request) -> Response:
        return files.static(request)

    async def docs(request: Request) -> Response:
        return reference(app.openapi())

    app.add_route("/", index)
    app.add_route("/static/{name:path}", static)
    app.add_route("/docs", docs)
