"""Pictures of a window of text: in a terminal, and as coloured cells."""

from __future__ import annotations

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
    whole = View(*(None if part is None else np.pad(part, (0, missing)) for part in _parts(view)))
    return drawing.render_rgb(characters, (rows, ACROSS), whole)


def _part(view: View, part: slice) -> View:
    return View(*(None if found is None else found[part] for found in _parts(view)))


def _parts(view: View) -> tuple:
    return view.inputs, view.answer, view.solution, view.before, view.assumed
