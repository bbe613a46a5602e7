"""Runs of the comparison: one trainer with one seed on one board, its record, and the file of records."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hrm_rl.benchmarks.against import ours, theirs
from hrm_rl.benchmarks.against.boards import CONTESTS, OPPONENTS, OURS, PUZZLES_SEED, settings_of
from hrm_rl.config import parse_weights
from hrm_rl.data import builder
from hrm_rl.utils.console import slow_work
from hrm_rl.utils.devices import use_threads
from hrm_rl.utils.errors import UserError, one_line
from hrm_rl.utils.files import provenance, write_atomically


@dataclass(frozen=True)
class Race:
    """How one trainer did with one seed."""

    board: str
    trainer: str
    seed: int
    limit_s: float
    commit: str
    """Ours, whose training or stand-ins these were."""
    settings: dict[str, Any]
    """Of theirs, over those of their files; of ours, none over the preset."""
    curve: list[tuple[int, float, float, float]]
    """Update, CPU seconds and seconds of training so far, held-out exact accuracy, for each evaluation. CPU
    seconds are those of the process that trains, with one thread."""

    def reached(self, goal: float) -> float | None:
        """CPU seconds to the first evaluation with at least this accuracy."""
        return next((cpu for _, cpu, _, accuracy in self.curve if accuracy >= goal), None)

    @property
    def best(self) -> float:
        return max((point[3] for point in self.curve), default=0.0)

    @property
    def update_ms(self) -> float:
        """CPU milliseconds an update."""
        return 1000 * self.curve[-1][1] / self.curve[-1][0] if self.curve else float("nan")


def puzzles_of(board: str, folder: Path) -> Path:
    """The folder of puzzles of a board under `folder`; made if it is not there."""
    from envs import make_task

    kind = CONTESTS[board]
    out = folder / f"puzzles-{board}"
    if not out.exists():
        options = dict(kind.env)
        task = make_task(options.pop("task"), **options)
        weights = parse_weights(kind.level) if "=" in kind.level else {kind.level: 1.0}
        with slow_work() as progress:
            base = builder.generate(task, weights, kind.puzzles, kind.held_out, PUZZLES_SEED, progress)
            builder.write(task, base, 0, PUZZLES_SEED, out, progress)
    return out


def _measure(
    board: str,
    trainer: str,
    seed: int,
    limit_s: float,
    puzzles: Path,
    checkout: Path | None,
    changes: dict[str, Any],
) -> dict[str, Any]:
    """A race in this process, with one thread, as a dictionary."""
    use_threads(1)
    kind = CONTESTS[board]
    settings: dict[str, Any] = {}
    if trainer == OURS:
        curve = ours.train(kind, puzzles, seed, limit_s)
    else:
        assert checkout is not None
        settings = settings_of(board, trainer, changes)
        every_s = kind.every_s if OPPONENTS[trainer].small else limit_s
        curve = theirs.train(checkout, puzzles, seed, settings, every_s, kind.goal, limit_s)
    return asdict(Race(board, trainer, seed, limit_s, provenance()["commit"], settings, curve))


def measure(
    board: str,
    trainer: str,
    seed: int,
    limit_s: float,
    folder: Path,
    checkouts: Mapping[str, Path],
    changes: dict[str, Any],
) -> Race:
    """A race in a process of its own, which knows nothing of other checkouts."""
    puzzles = puzzles_of(board, folder)
    checkout = None if trainer == OURS else checkouts[OPPONENTS[trainer].project]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return Race(
            **pool.submit(_measure, board, trainer, seed, limit_s, puzzles, checkout, changes).result()
        )


def read(path: Path) -> list[Race]:
    """The races in a file, none if there is no such file. Raises UserError for a damaged one."""
    if not path.exists():
        return []
    try:
        return [Race(**json.loads(line)) for line in path.read_text().splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is no file of results ({one_line(error)}): move it away to start again"
        ) from None


def append(path: Path, race: Race) -> list[Race]:
    """Write the races of a file and one more, instead of one of the same trainer, seed and settings; others
    may have written since. Returns all."""
    same = (race.board, race.trainer, race.seed, race.settings)
    done = [r for r in read(path) if (r.board, r.trainer, r.seed, r.settings) != same] + [race]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(json.dumps(asdict(r)) + "\n" for r in done))
    return done
