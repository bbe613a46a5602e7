"""How all pictures look: Okabe and Ito's colours, which any kind of colour vision tells apart, with a marker
or line style of its own for each, so that they survive a printer without colours."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666"
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY, "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx")
SOLVED, UNSOLVED = BLUE, ORANGE
MAP = "cividis"
"""Colour map of pictures of numbers: its brightness grows evenly."""
DPI = 110


def canvas(width: float = 7.0, height: float = 3.6, rows: int = 1, columns: int = 1, **keys: Any) -> Any:
    """A figure in inches and its axes (one, or an array of them), without pyplot and its global state: a
    thread can draw it, and nothing has to close it."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **keys)


def png(figure: Figure) -> bytes:
    """A figure as a PNG, the same bytes for the same figure."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as an image (height, width, 3)."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def tidy(axis: Axes, x: str = "", y: str = "", title: str = "") -> Axes:
    """Labels, and no lines that say nothing."""
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    if title:
        axis.set_title(title, fontsize="medium", loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(True, axis="y", color="0.9", linewidth=0.8)
    axis.set_axisbelow(True)
    return axis


def line_of(index: int) -> dict[str, Any]:
    """Colour, marker and line style of the curve number `index` of a figure."""
    return {
        "color": CYCLE[index % len(CYCLE)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
        "markersize": 4,
    }


def bar_of(index: int) -> dict[str, Any]:
    """Colour and hatching of the bars number `index` of a figure."""
    return {"color": CYCLE[index % len(CYCLE)], "hatch": HATCHES[index % len(HATCHES)], "edgecolor": "white"}


def whole_numbers(axis: Axes, last: int) -> None:
    """Ticks of the x-axis at whole numbers from 1 to `last`, at most about twelve."""
    step = max(1, -(-last // 12))
    axis.set_xticks([1, *range(step if step > 1 else 2, last + 1, step)] if last > 1 else [1])
