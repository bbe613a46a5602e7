"""Pictures of a window of text: in a terminal, and as coloured cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs import drawing
from envs.puzzle import PAD, View

ACROSS = 32
"""Tokens in a line."""


def render_text(characters: str, view: View) -> str:
    """A window in lines of ACROSS tokens; with an answer, a second line below each: what was said to come
    after each token. A wrong token is on orange with a !, one that changed is underlined with a *."""
    there = int((view.inputs != PAD).sum())
    lines = []
    for start in range(0, max(there, 1), ACROSS):
        part = slice(start, min(start + ACROSS, max(there, 1)))
        shape = (1, part.stop - part.start)
        lines.append(drawing.render_text(characters, shape, View(view.inputs[part])).rstrip())
        if view.answer is not None:
            lines.append(drawing.render_text(characters, shape, _part(view, part)).rstrip())
    return "\n".join(lines)


def render_rgb(characters: str, view: View) -> NDArray[np.uint8]:
    """The answer, or the window where there is none, in lines of ACROSS cells."""
    rows = -(-len(view.inputs) // ACROSS)
    missing = rows * ACROSS - len(view.inputs)
    whole = _each(view, lambda tokens: np.pad(tokens, (0, missing)))
    return drawing.render_rgb(characters, (rows, ACROSS), whole)


def _part(view: View, part: slice) -> View:
    return _each(view, lambda tokens: tokens[part])


def _each(view: View, change: Callable[[NDArray[Any]], NDArray[Any]]) -> View:
    """The view with its parts changed."""
    parts = (view.answer, view.solution, view.before, view.assumed)
    return View(change(view.inputs), *(None if part is None else change(part) for part in parts))
