"""Bad inputs: ARC's data, grids and identities."""

from __future__ import annotations

from tests.helpers.bad_inputs.kinds import BadInput, bad


def data(content: str) -> BadInput:
    """A file of ARC's JSON with this content."""
    return bad("train --preset arc-mini --env.options dataset a.json", "", {"a.json": content})


ARC = (
    bad("train --preset arc-mini --env.options dataset arc3"),
    bad("train --preset arc-mini --env.options dataset runs"),
    bad("train --preset arc-mini --env.size 31"),
    bad("train --preset arc-mini --env.options augmentations -1"),
    bad("train --preset arc-mini --curriculum.stages easy=1"),
    bad("train --env.task arc --env.size 3 --env.options dataset arc1 --curriculum.stages small=1"),
    data("{"),
    data("[]"),
    data('{"train": [], "test": [{"input": [[1], [2, 3]]}]}'),
    data('{"train": [], "test": [{"input": [[12]]}]}'),
    data('{"train": [{"input": [[1]]}], "test": []}'),
    bad("dataset --task arc --options dataset arc2 --whole --num-aug 7 --out d"),
    bad("dataset --task arc --whole --out d"),
    bad("dataset --task sudoku --whole --level easy --out d"),
    bad(
        "dataset --task arc --csv a.csv --out d",
        "",
        {"a.csv": "question,answer\n012/34,012/345\n01a/234,0\n"},
    ),
)
