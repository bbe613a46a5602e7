"""Whatever comes in, what goes out is what the OpenAPI document promises, and never a server error."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from pydantic import ValidationError
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hrm_rl.serving.app import create_app
from hrm_rl.serving.schemas import LARGEST_INTEGER, Fault, FaultResponse, SolveRequest, SolveResponse
from hrm_rl.serving.settings import ServingSettings
from tests.helpers.asgi import run, served
from tests.helpers.fake_backend import FOUR, MAZE, FakeBackend

PROPERTY = settings(max_examples=150, deadline=None, derandomize=True)
FUZZ = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

tokens = st.lists(st.integers(0, 255), max_size=30) | st.lists(st.integers(1, 6), min_size=16, max_size=25)
texts = st.text(max_size=40) | st.text(string.digits + ".-#SGo |\n", min_size=14, max_size=40)
puzzles = texts | tokens
plans = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["four", "maze", "x"]) | st.none() | st.text(max_size=5),
        "mode": st.sampled_from(["adaptive", "fixed", "search", "other", None]),
        "segments": st.integers(-1, 2000) | st.none() | st.integers(),
        "seed": st.integers() | st.floats(),
        "allow_unproven": st.booleans() | st.none(),
        "extra": st.none(),
    },
)
bodies = st.builds(
    lambda plan, puzzle: plan | puzzle,
    plans,
    st.one_of(
        st.builds(lambda one: {"puzzle": one}, puzzles),
        st.builds(lambda many: {"puzzles": many}, st.lists(puzzles, max_size=3)),
        st.just({}),
    ),
)


@settings(PROPERTY, max_examples=40)
@given(st.lists(bodies, min_size=1, max_size=12))
def test_every_body_is_answered_by_the_schema(given_bodies: list[dict[str, Any]]) -> None:
    async def main() -> None:
        async with served(FakeBackend([FOUR, MAZE]), max_segments=1000) as client:
            for body in given_bodies:
                content = json.dumps(body).encode("utf-8", "surrogatepass")
                headers = {"content-type": "application/json"}
                response = await client.post("/v1/solve", content=content, headers=headers)
                if response.status_code == 200:
                    told = SolveResponse.model_validate_json(response.text)
                    SolveRequest.model_validate(body)
                    assert len(told.results) == len(body.get("puzzles", [0]))
                    assert all(r.solved for r in told.results) or body.get("allow_unproven")
                    assert body.get("segments") is None or body["segments"] <= 1000
                else:
                    assert response.status_code == 422
                    fault = FaultResponse.model_validate_json(response.text).error
                    assert isinstance(fault, Fault)
                    assert 0 < len(fault.message.splitlines()) <= 1

    run(main())


@PROPERTY
@given(
    value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)),
    name=st.sampled_from(["segments", "seed", "allow_unproven"]),
)
def test_no_value_is_converted_to_what_it_is_not(name: str, value: Any) -> None:
    allowed = {
        "segments": value is None or (type(value) is int and 1 <= value <= LARGEST_INTEGER),
        "seed": type(value) is int and 0 <= value <= LARGEST_INTEGER,
        "allow_unproven": type(value) is bool,
    }[name]
    body = {"puzzle": "1", name: value}
    if allowed:
        assert getattr(SolveRequest.model_validate(body), name) == value
    else:
        with pytest.raises(ValidationError):
            SolveRequest.model_validate(body)


@pytest.fixture(scope="module")
def document() -> Any:
    """The OpenAPI document of an application that is asked through ASGI; it is started for each request."""
    app = create_app(FakeBackend([FOUR, MAZE]), ServingSettings())
    return schemathesis.openapi.from_asgi("/openapi.json", app)


ADDRESSES = (
    ("POST", "/v1/solve"),
    ("POST", "/v1/solve/stream"),
    ("GET", "/v1/models"),
    ("GET", "/v1/tasks"),
    ("GET", "/v1/puzzles/random"),
    ("POST", "/v1/puzzles/read"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
)


def test_the_document_has_these_addresses(document: Any) -> None:
    found = [operation.ok() for operation in document.get_all_operations()]
    assert {(one.method.upper(), one.path) for one in found} == set(ADDRESSES)


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_what_the_document_allows_and_forbids_is_answered_as_it_says(
    document: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = document[path][method]
    count = 25 if method == "POST" else 8

    @settings(FUZZ, max_examples=count)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        assert mode == GenerationMode.NEGATIVE  # there is nothing to get wrong
