"""What a service allows, and how long it waits."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field, SecretStr

from hrm_rl.config import Positive, Section
from hrm_rl.utils.errors import UserError

TOKEN_VARIABLE = "HRM_RL_TOKEN"
"""The environment variable that holds the token."""
DEFAULT_PORT = 8000
LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""What this machine alone calls itself."""


class ServingSettings(Section):
    """Limits of a service, whoever runs it."""

    token: SecretStr | None = None
    """What requests have to bring as `Authorization: Bearer TOKEN`; None lets everybody in."""
    loopback: bool = False
    """Answer requests only that name this machine as a loopback address: the page of a stranger whose name
    leads here (DNS rebinding) is no page of ours."""
    max_segments: Positive = 1024
    """The most segments that a request may ask for."""
    max_puzzles: Positive = 256
    """The most puzzles in a request."""
    max_body_bytes: Positive = 1_000_000
    """The largest body of a request."""
    queue: Annotated[int, Field(ge=0)] = 256
    """The most puzzles that may wait for a slot; those beyond are refused with 429."""
    time_limit: Annotated[float, Field(gt=0)] = 60.0
    """Seconds after which a request, from its first byte on, is given up with 504."""
    grace: Annotated[float, Field(ge=0)] = 20.0
    """Seconds that running requests may go on after the service is asked to stop."""
    proof_threads: Positive = 2
    """Puzzles that are proven or made at a time."""
    ping_seconds: Annotated[float, Field(gt=0)] = 15.0
    """After so long without an event a stream says that it lives."""


def token_from_environment() -> SecretStr | None:
    """The token that HRM_RL_TOKEN holds; None where it is not set. Raises UserError for one that no header
    can carry."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token is None:
        return None
    if not token:
        raise UserError(
            f"{TOKEN_VARIABLE} is set and empty: give it a token, or unset it to let everybody in"
        )
    if not all("!" <= character <= "~" for character in token):
        raise UserError(
            f"{TOKEN_VARIABLE} holds blanks or characters beyond ASCII, which no header can carry"
        )
    return SecretStr(token)
