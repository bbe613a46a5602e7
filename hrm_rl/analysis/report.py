"""The report: all figures of one run, or of several to compare, as one HTML file with its pictures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hrm_rl.analysis import error_figures, halting_figures, search_figures, state_figures
from hrm_rl.analysis.figure import Exhibit
from hrm_rl.analysis.study import Study
from hrm_rl.utils import plots
from hrm_rl.utils.files import write_atomically

REPORT = "report.html"

SHARED: tuple[Callable[[Sequence[Study]], Exhibit], ...] = (
    halting_figures.training,
    halting_figures.accuracy,
    halting_figures.halting,
    halting_figures.calibration,
    halting_figures.regret,
    error_figures.by_rule,
    state_figures.convergence,
    state_figures.dimension,
)
"""Figures that overlay runs."""
SEARCHED: tuple[Callable[[Sequence[Study]], Exhibit], ...] = (search_figures.anytime, search_figures.starts)
"""Figures that overlay runs that have been searched."""
OWN: tuple[Callable[[Study], Exhibit], ...] = (
    error_figures.by_cell,
    state_figures.trajectories,
    state_figures.attention,
)
"""Figures of one run."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem;
       margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin: 2.5rem 0 .3rem; }}
img {{ max-width: 100%; display: block; margin: .6rem 0; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .15rem .9rem .15rem 0; text-align: left; }}
.basis {{ color: #666; font-size: .88rem; }} .finding {{ font-weight: 600; }}
section {{ break-inside: avoid; }} nav a {{ margin-right: .9rem; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def count(studies: Sequence[Study]) -> int:
    """How many figures there are."""
    return len(_shared(studies)) + len(OWN) * (len(studies) == 1)


def _shared(studies: Sequence[Study]) -> Sequence[Callable[[Sequence[Study]], Exhibit]]:
    searched = all(study.search is not None for study in studies)
    return SEARCHED + SHARED if searched else SHARED


def exhibits(studies: Sequence[Study]) -> Iterator[Exhibit]:
    """All figures, one after the other; those of single runs only where there is one."""
    for draw in _shared(studies):
        yield draw(studies)
    if len(studies) == 1:
        for draw_one in OWN:
            yield draw_one(studies[0])


def write_report(
    out: Path,
    studies: Sequence[Study],
    title: str,
    facts: Sequence[tuple[str, str]],
    progress: Callable[[int], None] = lambda done: None,
) -> Path:
    """report.html, and NAME.png and NAME.csv of each figure, into the folder `out`. facts: what stands at the
    top. progress: told how many figures are done. Returns the path of the report."""
    out.mkdir(parents=True, exist_ok=True)
    shown: list[tuple[Exhibit, bytes | None]] = []
    for exhibit in exhibits(studies):
        picture = None
        if exhibit.figure is not None:
            picture = plots.png(exhibit.figure)
            write_atomically(out / f"{exhibit.name}.png", picture)
            write_atomically(out / f"{exhibit.name}.csv", exhibit.csv())
        shown.append((exhibit, picture))
        progress(len(shown))
    write_atomically(out / REPORT, page(title, facts, shown))
    return out / REPORT


def page(title: str, facts: Sequence[tuple[str, str]], shown: Sequence[tuple[Exhibit, bytes | None]]) -> str:
    """The HTML file."""
    table = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in facts
    )
    links = "".join(f'<a href="#{e.name}">{html.escape(e.title)}</a>' for e, _ in shown)
    sections = "".join(_section(exhibit, picture) for exhibit, picture in shown)
    body = f"<table>{table}</table><p><nav>{links}</nav></p>{sections}"
    return _PAGE.format(title=html.escape(title), body=body)


def _section(exhibit: Exhibit, picture: bytes | None) -> str:
    parts = [f"<h2>{html.escape(exhibit.title)}</h2>"]
    if exhibit.finding:
        parts.append(f'<p class="finding">{html.escape(exhibit.finding)}</p>')
    if picture is not None:
        data = base64.b64encode(picture).decode()
        parts.append(f'<img alt="{html.escape(exhibit.title)}" src="data:image/png;base64,{data}">')
    parts.append(f"<p>{html.escape(exhibit.reading)}</p>")
    if exhibit.basis:
        files = f" Numbers: {exhibit.name}.csv." if picture is not None else ""
        parts.append(f'<p class="basis">{html.escape(exhibit.basis + files)}</p>')
    return f'<section id="{exhibit.name}">{"".join(parts)}</section>'
