"""What all groups of settings have in common."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


Positive = Annotated[int, Field(ge=1)]


def _expanded(
    options: dict[str, int | float | bool | str],
) -> dict[str, int | float | bool | str]:
    return {k: os.path.expanduser(v) if isinstance(v, str) else v for k, v in options.items()}


PathText = Annotated[str, AfterValidator(os.path.expanduser)]
"""The name of a file or folder. `~` is the home folder, also where no shell expands it."""


Options = Annotated[dict[str, int | float | bool | str], AfterValidator(_expanded)]
"""Options of a task, of which some name files."""


Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What torch takes as a seed."""


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
