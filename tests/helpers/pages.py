"""The pages of this project and the commands that they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tests.helpers.paths import ROOT

PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
}
TODAY = [page for page in PAGES if page not in ("CHANGELOG.md", "docs/reference/bad_inputs.md")]
"""Pages about the project as it is; the others name what has gone, or what was never there."""

SCRIPTS = {
    "train_ray": "train",
    "tune_ray": "tune",
    "build_dataset": "dataset",
    "convert_checkpoint": "convert",
    "compare_recipes": "recipes",
    "make_weights": "weights",
    **{name: name for name in ("evaluate", "solve", "generate", "serve", "analyze", "export", "benchmark")},
}
"""scripts/NAME.py -> the same command of hrm-rl."""


def commands(page: str, in_lines: bool = True) -> Iterator[list[str]]:
    """The commands of this project that a page shows, in blocks and (in_lines) in sentences, as words."""
    blocks = re.findall(r"^```(?:bash|text)?\n(.*?)^```", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    if in_lines:
        lines += re.findall(r"`((?:hrm-rl|python scripts/|make )[^`]+)`", PAGES[page])
    for line in lines:
        found = re.match(r"(?:\w+=\S+ )*(?:\S*/)?(hrm-rl|python|make)\s+(.*)", line.strip())
        if found is None or (found[1] == "python" and "scripts/" not in found[2].split()[0]):
            continue
        yield [found[1], *shlex.split(found[2], comments=True)]
