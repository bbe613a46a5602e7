"""Pictures of a puzzle of any task, as text and as an image: a board, a grid of colours, or a string."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from envs.drawing import boards, colours, strings
from envs.drawing.marks import DIM, paler
from envs.puzzle import View

DrawnAs = Literal["board", "colours", "string"]
"""How a task is shown, here and on the page of the service."""

__all__ = ["DIM", "DrawnAs", "paler", "render_rgb", "render_text"]

_TEXT = {"board": boards.render_text, "colours": colours.render_text, "string": strings.render_text}
_RGB = {"board": boards.render_rgb, "colours": colours.render_rgb, "string": strings.render_rgb}


def render_text(drawn_as: DrawnAs, characters: str, grid_shape: tuple[int, int], view: View) -> str:
    """One puzzle as text for a terminal. Wrong cells have a !, changed ones a *, assumed ones a ~."""
    return _TEXT[drawn_as](characters, grid_shape, view)


def render_rgb(
    drawn_as: DrawnAs, characters: str, grid_shape: tuple[int, int], view: View
) -> NDArray[np.uint8]:
    """The same as an image (height, width, 3)."""
    return _RGB[drawn_as](characters, grid_shape, view)
