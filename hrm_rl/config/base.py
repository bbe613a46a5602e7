"""What all groups of settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


Positive = Annotated[int, Field(ge=1)]


Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What torch takes as a seed."""


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
