"""What browsers see: the files of the page, read into memory once, so that nothing in a request ever reaches
a file path, and a page that shows the OpenAPI document without scripts."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hrm_rl.serving.faults import of_status

PAGE = Path(__file__).parent / "page"
"""index.html, style sheets, scripts and pictures."""
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2",
         ".webmanifest": "application/manifest+json", ".wasm": "application/wasm"}  # fmt: skip
"""What not every machine knows."""
NOT_SERVED = (".py", ".pyc", ".md")


@dataclass(frozen=True)
class PageFile:
    """One file of the page."""

    content: bytes
    kind: str
    etag: str

    def response(self, request: Request) -> Response:
        """The file, or that it has not changed; browsers ask again each time."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if self.etag in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
            return Response(None, 304, headers)
        return Response(self.content, 200, headers, media_type=self.kind)


class PageFiles:
    """All files of the page, by name."""

    def __init__(self, folder: Path = PAGE):
        self._files: dict[str, PageFile] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in NOT_SERVED:
                content = path.read_bytes()
                kind = (
                    TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                )
                etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
                self._files[path.relative_to(folder).as_posix()] = PageFile(content, kind, etag)

    def index(self, request: Request) -> Response:
        """The page."""
        return self._response("index.html", request)

    def static(self, request: Request) -> Response:
        """What belongs to it."""
        return self._response(request.path_params["name"], request)

    def _response(self, name: str, request: Request) -> Response:
        if name not in self._files:
            raise of_status(404, "")
        return self._files[name].response(request)


def reference(document: Mapping[str, Any]) -> HTMLResponse:
    """The OpenAPI document as a page to read."""
    parts = [f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>"]
    parts.append(f"<p>{escape(document['info'].get('description', ''))}</p>")
    parts.append('<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>')
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(method, path, operation))
    parts.append("<h1>Objects</h1>")
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        parts.append(_object(name, schema))
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>hrm-rl API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="static/docs.css"></head><body><main>'
        + "".join(parts)
        + "</main></body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = []
    for parameter in operation.get("parameters", []):
        need = "" if parameter.get("required") else " (optional)"
        what = parameter.get("description", "")
        rows.append(
            f"<tr><td><code>{escape(parameter['name'])}</code>{need}</td>"
            f"<td>{_type(parameter['schema'])}</td><td>{escape(what)}</td></tr>"
        )
    table = f"<table>{''.join(rows)}</table>" if rows else ""
    body = operation.get("requestBody", {}).get("content", {})
    sent = "".join(f"<p>Body: {_type(kind['schema'])}, {escape(name)}</p>" for name, kind in body.items())
    answers = []
    for status, answer in operation.get("responses", {}).items():
        kinds = answer.get("content", {})
        types = ", ".join(f"{_type(kind.get('schema', {}))} ({escape(name)})" for name, kind in kinds.items())
        answers.append(f"<li>{escape(status)}: {escape(answer.get('description', ''))} {types}</li>")
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
        f"{table}{sent}<ul>{''.join(answers)}</ul></section>"
    )


def _object(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' (optional)'}</td>"
        f"<td>{_type(kind)}</td><td>{escape(kind.get('description', ''))}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    about = escape(schema.get("description", ""))
    return (
        f'<section id="{escape(name)}"><h2>{escape(name)}</h2><p>{about}</p><table>{rows}</table></section>'
    )


def _type(schema: Mapping[str, Any]) -> str:
    """What a value may be, with links to the objects."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "enum" in schema or "const" in schema:
        return " or ".join(escape(json.dumps(value)) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of ({_type(schema['items'])})" if "items" in schema else "list"
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most, in characters,"))
        if key in schema
    ]
    return escape(" ".join([str(schema.get("type", "anything")), *bounds]))
