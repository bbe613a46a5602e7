"""A model's folder with further formats in it: written beside, held against the network, and only then put in
their place. What disagrees leaves the folder as it was."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs import PuzzleBatch
from hrm_rl.export.card import with_formats
from hrm_rl.export.description import refuse_unknown_by_place
from hrm_rl.export.formats import DESCRIPTION, FULL_PRECISION, RUNNER, Exporter, Format, runtime_of
from hrm_rl.export.portable import PortableModel, open_portable
from hrm_rl.export.program import in_float32
from hrm_rl.export.proof import Comparison, compare, refuse_disagreement
from hrm_rl.models.saving import CARD
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically

MOST_LOST = 0.005
"""Share of exact answers that int8 may cost without a warning."""


@dataclass(frozen=True)
class WrittenFormat:
    """One format, written and compared."""

    kind: Format
    about: str
    """What it is, in words."""
    path: Path
    size: int
    """Bytes."""
    model: PortableModel
    comparison: Comparison

    def as_dictionary(self) -> dict[str, Any]:
        """What `segment.json` keeps of it."""
        agreement = self.comparison.agreement().as_dictionary()
        return {"file": self.path.name, "about": self.about, "bytes": self.size, "agreement": agreement}

    def line(self) -> str:
        """For a terminal."""
        return f"{self.path.name}: {self.size / 1024:,.0f} KiB, {self.comparison.agreement().in_words()}"


@contextmanager
def workshop(beside: Path | None) -> Iterator[Path]:
    """A folder to work in, on the disk of `beside` if something is to be moved there; gone at the end."""
    if beside is not None:
        beside.parent.mkdir(parents=True, exist_ok=True)
    name, parent = (f".{beside.name}.", beside.parent) if beside else (None, None)
    with tempfile.TemporaryDirectory(prefix=name, dir=parent) as folder:
        yield Path(folder)


def make_formats(
    exporter: Exporter,
    kinds: Sequence[Format],
    folder: Path,
    puzzles: PuzzleBatch,
    progress: Callable[[int], None] = lambda done: None,
) -> list[WrittenFormat]:
    """Write formats into `folder` and compare each with the network over `puzzles`. Raises UserError, also if
    one in full precision does not do the same."""
    loaded, segment = exporter.loaded, exporter.segment
    if loaded.config.train.loss_on == "blanks":
        refuse_unknown_by_place(loaded.task, puzzles.inputs)
    paths = [exporter.write(kind, folder) for kind in kinds]
    models = [open_portable(path, runtime_of(kind), segment) for path, kind in zip(paths, kinds, strict=True)]
    budget, network = loaded.config.halting.halt_max_steps, in_float32(exporter.network)
    others = [model.as_network() for model in models]
    compared = compare(loaded.solver, network, others, puzzles, budget, progress)
    for path, kind, found in zip(paths, kinds, compared, strict=True):
        refuse_disagreement(path.name, found.agreement(), kind in FULL_PRECISION)
    return [
        WrittenFormat(kind, exporter.in_words(kind), path, path.stat().st_size, model, found)
        for kind, path, model, found in zip(kinds, paths, models, compared, strict=True)
    ]


def install(folder: Path, exporter: Exporter, made: Sequence[WrittenFormat]) -> None:
    """Put formats into a model's folder, with their description, what was measured in its card, and, for
    ONNX, the runner. Raises UserError if those that are there already are of other settings."""
    known = formats_in(folder)
    about = {key: value for key, value in known.items() if key != "formats"}
    if about not in ({}, exporter.about):
        changed = sorted(key for key in exporter.about if about.get(key) != exporter.about[key])
        raise UserError(
            f"{folder} holds formats with another {', '.join(changed)}: export into a new folder instead"
        )
    for one in made:
        one.path.replace(folder / one.path.name)
    if any(runtime_of(one.kind) == "onnx" for one in made):
        shutil.copyfile(Path(__file__).with_name(RUNNER), folder / RUNNER)
    formats = known.get("formats", {}) | {one.kind: one.as_dictionary() for one in made}
    write_atomically(folder / DESCRIPTION, json.dumps(exporter.about | {"formats": formats}, indent=1))
    card = (folder / CARD).read_text() if (folder / CARD).exists() else ""
    write_atomically(folder / CARD, with_formats(card, formats))


def formats_in(folder: Path) -> dict[str, Any]:
    """`segment.json` of a folder, with what is known of its `formats`; empty if there is none. Raises
    UserError."""
    path = folder / DESCRIPTION
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; delete it and export anew") from None
    return found


def warning_of(made: WrittenFormat) -> str | None:
    """What to say of int8 weights that cost more than MOST_LOST of the exact answers, and why."""
    found = made.comparison.agreement()
    lost, won = made.comparison.changes()
    if made.kind != "int8" or lost - won <= MOST_LOST * found.puzzles:
        return None
    return (
        f"int8 costs {100 * (lost - won) / found.puzzles:.1f} points of exact accuracy ({lost} lost, {won} "
        f"won of {found.puzzles} puzzles), more than {100 * MOST_LOST:.1f}: rounded weights turn the state a "
        f"little in every segment (cosine {found.fidelity[0]:.4f} after the first, {found.fidelity[-1]:.4f} "
        "after the last); float16 keeps it"
    )
