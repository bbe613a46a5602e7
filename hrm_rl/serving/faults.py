"""Errors as clients see them: a status, a code and one line, always of the same shape and with the id of the
request, which is in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from hrm_rl.serving.schemas import CellPlace, Fault, FaultResponse
from hrm_rl.utils.errors import in_words, one_line

CODES = {
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported",
    421: "misdirected",
    422: "invalid",
    429: "busy",
    500: "internal",
    503: "stopping",
    504: "timeout",
}
LONGEST = 500
"""Characters of a message."""


class ServiceError(Exception):
    """What ends a request with an error that the client is told of."""

    def __init__(
        self,
        status: int,
        message: str,
        cell: CellPlace | None = None,
        puzzle: int | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.cell = cell
        self.puzzle = puzzle
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> FaultResponse:
        """What the client gets."""
        message = printable(one_line(self, LONGEST))
        return FaultResponse(
            error=Fault(
                code=CODES[self.status], message=message, id=request_id, cell=self.cell, puzzle=self.puzzle
            )
        )

    def response(self, request_id: str) -> Response:
        """The same as an answer by HTTP."""
        content = self.body(request_id).model_dump_json(exclude_none=True)
        return Response(content, self.status, self.headers, media_type="application/json")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


def internal(request_id: str) -> ServiceError:
    """What a client hears of an error of ours."""
    return ServiceError(500, f"something went wrong here; the log has it under {request_id}")


def printable(text: str) -> str:
    """Text that can be encoded, whatever came in a request."""
    return text.encode("utf-8", "backslashreplace").decode()


def of_status(status: int, detail: str) -> ServiceError:
    """The error for what the framework refuses with this status."""
    if status == 404:
        return ServiceError(404, "there is nothing at this address; /docs lists what there is")
    if status == 405:
        return ServiceError(405, "this address does not take this method; /docs lists what there is")
    if status in CODES and status != 500:
        return ServiceError(status, detail)
    return ServiceError(422, "the body is no JSON that this server can read")


def of_validation(error: RequestValidationError) -> ServiceError:
    """422 for the first thing that is wrong with a request."""
    first = error.errors()[0]
    kind, where = first["type"], _place(first["loc"])
    if kind == "json_invalid":
        reason = first.get("ctx", {}).get("error", "it cannot be read")
        return ServiceError(422, f"the body is no JSON: {reason} (character {first['loc'][-1]})")
    if kind == "missing" and not where:
        return ServiceError(422, "the request has no body; send JSON")
    reason = {"extra_forbidden": "there is no such field", "missing": "is missing"}.get(kind)
    reason = reason or in_words(kind, first["msg"])
    number = next((part for part in first["loc"] if isinstance(part, int)), None)
    listed = "puzzles" in first["loc"]
    message = f"{where}: {reason}" if where else reason
    return ServiceError(422, message, puzzle=number if listed else None)


def _place(where: Sequence[int | str]) -> str:
    """`puzzles[3]`, from what leads to a value; the names of alternatives that were tried are left out."""
    text = ""
    for part in where[1:]:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not text:
            text = str(part)[:100]
    return text
