"""A page with every task that was asked about: its demonstrations, its test grids, both attempts at them and,
where it is known, the right answer. One HTML file that needs no other and no network.

A grid is a picture of one pixel a cell, which the browser enlarges: 400 tasks make a page of about 1 MB.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from envs.arc.canvas import Grid
from envs.arc.puzzles import ArcPuzzle
from envs.drawing.colours import COLOURS
from hrm_rl.evaluation.arc.asking import ATTEMPTS, ArcVotes, Candidate
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.evaluation.arc.scores import PASS_AT

WIDTH = 150
"""Pixels of the longer side of most grids on the page."""
SMALLEST, LARGEST = 6, 24
"""Pixels of a cell, at least and at most."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 75rem;
       margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.1rem; margin: 0 0 .6rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} caption {{ text-align: left; color: #555; }}
td, th {{ padding: .15rem .9rem .15rem 0; text-align: right; }}
td:first-child, th:first-child {{ text-align: left; }}
nav {{ line-height: 1.9; }} nav a {{ margin-right: .7rem; white-space: nowrap; }}
section {{ border-top: 1px solid #ccc; padding: 1rem 0; break-inside: avoid; }}
.row {{ display: flex; flex-wrap: wrap; gap: .8rem 1.4rem; align-items: flex-start; margin: .5rem 0; }}
.pair {{ display: flex; gap: .5rem; }} .pair > span {{ color: #555; align-self: center; }}
figure {{ margin: 0; }} figcaption {{ font-size: .82rem; color: #444; white-space: pre-line; }}
figure.right figcaption {{ color: #00694e; font-weight: 600; }}
figure.wrong figcaption {{ color: #a84300; font-weight: 600; }}
.grid {{ position: relative; line-height: 0; border: 1px solid #555; width: max-content; }}
.grid img {{ image-rendering: pixelated; }}
.grid::after {{ content: ""; position: absolute; inset: 0; background-size: var(--cell) var(--cell);
  background-image: linear-gradient(to right, #5557 1px, transparent 1px),
  linear-gradient(to bottom, #5557 1px, transparent 1px); }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def write_up(report: ArcReport, title: str, facts: Sequence[str]) -> str:
    """The HTML file. facts: sentences for its top."""
    sections, links = [], []
    for puzzle, votes in report.by_task():
        solved = [one.solved(ATTEMPTS) for one in votes if one.question.output is not None]
        outcome = f"{sum(solved)} of {len(solved)} solved" if solved else "answers not known"
        mark = "?" if not solved else "✓" if all(solved) else "✗" if not any(solved) else "~"
        name = html.escape(puzzle.name)
        links.append(f'<a href="#{name}">{name} {mark}</a>')
        sections.append(f'<section id="{name}"><h2>{name}: {outcome}</h2>{_task(puzzle, votes)}</section>')
    said = "".join(f"<p>{html.escape(fact)}</p>" for fact in [*facts, *report.notes])
    key = "<p>✓ all test grids solved, ~ some, ✗ none, ? not known</p>"
    body = f"{said}{_scores(report)}{key}<nav>{' '.join(links)}</nav>{''.join(sections)}"
    return _PAGE.format(title=html.escape(title), body=body)


def told(number: int, candidate: Candidate | None, one: ArcVotes) -> tuple[str, bool | None]:
    """What stands beside an attempt, in a line or two, and whether it is right, if that is known."""
    if candidate is None:
        return f"attempt {number}: no other answer" if one.attempts else f"attempt {number}: no answer", None
    right = one.question.output
    verdict = None if right is None else bool(np.array_equal(candidate.grid, right))
    mark = {True: " ✓ right", False: " ✗ wrong", None: ""}[verdict]
    votes = f"{candidate.votes} vote{'s' * (candidate.votes > 1)} of {one.asked[-1]}, q {candidate.q:.2f}"
    return f"attempt {number}{mark}\n{votes}", verdict


def _scores(report: ArcReport) -> str:
    if not report.rows[-1].pass_at:
        return ""
    head = "".join(f"<th>pass@{k}</th>" for k in PASS_AT)
    rows = "".join(
        f"<tr><td>{html.escape(row.name)}</td>"
        + "".join(f"<td>{row.pass_at[k].score:.1%}</td>" for k in PASS_AT)
        + "</tr>"
        for row in report.rows
    )
    caption = "A task's share of its test grids that are solved by so many answers with the most votes, mean"
    return f"<table><caption>{caption}</caption><tr><th></th>{head}</tr>{rows}</table>"


def _task(puzzle: ArcPuzzle, votes: Sequence[ArcVotes]) -> str:
    shown = [
        _pair(f"demonstration {number}", pair.input, pair.output)
        for number, pair in enumerate(puzzle.train, 1)
    ]
    parts = [f'<div class="row">{"".join(shown)}</div>']
    for number, one in enumerate(votes, 1):
        figures = [_figure(f"test {number}", one.question.input)]
        for attempt in range(ATTEMPTS):
            candidate = one.attempts[attempt] if attempt < len(one.attempts) else None
            words, verdict = told(attempt + 1, candidate, one)
            mark = {True: "right", False: "wrong", None: ""}[verdict]
            figures.append(_figure(words, None if candidate is None else candidate.grid, mark))
        answer = one.question.output
        figures.append(_figure("right answer" if answer is not None else "answer not known", answer))
        parts.append(f'<div class="row">{"".join(figures)}</div>')
    return "".join(parts)


def _pair(words: str, question: Grid, answer: Grid | None) -> str:
    return f'<div class="pair">{_figure(words, question)}<span>→</span>{_figure("becomes", answer)}</div>'


def _figure(words: str, grid: Grid | None, mark: str = "") -> str:
    picture = "" if grid is None else _grid(grid)
    return f'<figure class="{mark}">{picture}<figcaption>{html.escape(words)}</figcaption></figure>'


def _grid(grid: Grid) -> str:
    rows, columns = grid.shape
    cell = min(LARGEST, max(SMALLEST, WIDTH // max(rows, columns)))
    data = base64.b64encode(pixel_per_cell(grid)).decode()
    spoken = f"{rows} by {columns}: {' '.join(''.join(map(str, row)) for row in grid.tolist())}"
    return (
        f'<div class="grid" style="--cell:{cell}px"><img width="{columns * cell}" height="{rows * cell}" '
        f'alt="{spoken}" src="data:image/png;base64,{data}"></div>'
    )


def pixel_per_cell(grid: Grid) -> bytes:
    """A PNG with one pixel a cell."""
    image = Image.fromarray(grid, mode="P")
    image.putpalette([part for colour in COLOURS for part in colour])
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True)
    return content.getvalue()
