"""The evaluation of a file or folder that is larger than memory: puzzles come in batches and leave sums.

What stays of a puzzle is its fingerprint, 8 bytes, by which doubles are known. The figures are those that
`scores.evaluate` and `report.Report` give for all puzzles at once.
Legend: N puzzles, G groups, K segments, M depths.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from envs import DataError, PuzzleBatch, PuzzleTask, fingerprint
from envs.folders.opening import stream_puzzles
from envs.puzzle import Puzzles
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.config import Config
from hrm_rl.data.leaks import Keys, twins
from hrm_rl.data.streams import training_puzzles
from hrm_rl.evaluation.depth import Depth, depth, depths
from hrm_rl.evaluation.intervals import Interval, bootstrap_of_counts
from hrm_rl.evaluation.puzzles import refuse_strangers
from hrm_rl.evaluation.report import WITH_INTERVAL
from hrm_rl.evaluation.scores import Evaluation, evaluate
from hrm_rl.evaluation.search import Rows
from hrm_rl.evaluation.summaries import Groups, Summary, by_group, split
from hrm_rl.runs.loading import LoadedModel, trained_on
from hrm_rl.utils.errors import UserError


@dataclass
class Totals:
    """What is left of the puzzles evaluated so far."""

    sums: NDArray[np.float64]
    """(G, C) `Evaluation.sums_by`."""
    segments: NDArray[np.int64]
    """(G, K + 1) [g, k]: puzzles of a group that took k segments."""
    depths: NDArray[np.int64]
    """(M,) of `solved_after`."""
    solved: NDArray[np.int64]
    """(G, M) puzzles of a group that are solved after so many segments."""
    after: NDArray[np.int64]
    """(M, 2) puzzles handed in by then; solved of those not handed in."""

    @staticmethod
    def empty(groups: int, measures: int, budget: int, depths: Sequence[int]) -> Totals:
        return Totals(
            np.zeros((groups, 6 + 2 * measures + budget)),
            np.zeros((groups, budget + 1), np.int64),
            np.array(depths, np.int64),
            np.zeros((groups, len(depths)), np.int64),
            np.zeros((len(depths), 2), np.int64),
        )

    def add(self, result: Evaluation, group: NDArray[np.int64]) -> None:
        """Count the puzzles of a result, which are in these groups (N,)."""
        self.sums += result.sums_by(group, len(self.sums))
        np.add.at(self.segments, (group, result.segments), 1)
        handed_in = (result.segments[:, None] <= self.depths) & ~result.forced[:, None]
        np.add.at(self.solved, group, result.solved_after)
        counts = (handed_in, result.solved_after & ~handed_in)
        self.after += np.stack([count.sum(axis=0) for count in counts], axis=1)


@dataclass(frozen=True)
class StreamedReport:
    """A report of sums; it has what `report.print_table` and `report.as_dictionary` ask of a Report. Rows are
    groups, not puzzles."""

    about: dict[str, Any]
    totals: Totals
    task: PuzzleTask
    groups: Groups
    seconds: float
    seed: int
    trained_budget: int

    search = None

    @property
    def budget(self) -> int:
        return self.totals.segments.shape[1] - 1

    @property
    def goes_deeper(self) -> bool:
        return self.budget > self.trained_budget

    @property
    def depths(self) -> list[Depth]:
        """As `depth.by_depth` gives them."""
        totals, histogram = self.totals, self.totals.segments.sum(axis=0)
        puzzles, exact = int(histogram.sum()), totals.sums[:, -self.budget :].sum(axis=0)
        rows = []
        counts = zip(totals.depths.tolist(), totals.solved.sum(axis=0), totals.after, strict=True)
        for budget, solved, (handed_in, rest) in counts:
            spent = np.minimum(np.arange(len(histogram)), budget)
            rows.append(
                depth(
                    budget,
                    self.trained_budget,
                    segments_mean=float(spent @ histogram / puzzles),
                    exact_accuracy=float(exact[budget - 1] / puzzles),
                    solved=float(solved / puzzles),
                    solved_interval=_share(solved, puzzles, self.seed),
                    handed_in=float(handed_in / puzzles),
                    solved_of_the_rest=None if handed_in == puzzles else float(rest / (puzzles - handed_in)),
                )
            )
        return rows

    def rows_of(self, group: str) -> NDArray[np.bool_]:
        """(G,) the group itself."""
        return np.arange(len(self.groups.names)) == self.groups.names.index(group)

    def solved_within(self, rows: Rows = slice(None)) -> dict[int, float]:
        """As `depth.solved_within` gives it, of some groups."""
        share = self.totals.solved[rows].sum(axis=0) / self.totals.sums[rows, 0].sum()
        return dict(zip(self.totals.depths.tolist(), share.tolist(), strict=True))

    def intervals(self, rows: Rows = slice(None)) -> dict[str, Interval]:
        """95 % bootstrap intervals of WITH_INTERVAL over the puzzles of some groups."""
        puzzles, exact, solved = self.totals.sums[rows, :3].sum(axis=0)
        histogram = self.totals.segments[rows].sum(axis=0)
        segments = bootstrap_of_counts(np.arange(len(histogram)), histogram, self.seed)
        found = (_share(exact, puzzles, self.seed), _share(solved, puzzles, self.seed), segments)
        return dict(zip(WITH_INTERVAL, found, strict=True))

    def summaries(self) -> dict[str, Summary]:
        return by_group(self.totals.sums, self.groups.names, self.task.measures)

    def total(self) -> Summary:
        return Summary.of(self.totals.sums.sum(axis=0), self.task.measures)


def _share(successes: float, puzzles: float, seed: int) -> Interval:
    counts = np.array([puzzles - successes, successes]).astype(np.int64)
    return bootstrap_of_counts(np.array([0.0, 1.0]), counts, seed)


class Admission:
    """Which puzzles of a stream are evaluated: those that did not occur before and are no twins of training
    puzzles."""

    def __init__(self, task: PuzzleTask, config: Config) -> None:
        self._task = task
        self._seen = np.zeros(0, np.uint64)
        self._training: Puzzles | None = None
        self.notes: list[str] = []
        self.doubles = self.trained = self.offered = 0
        try:
            self._training = training_puzzles(task, config)
            if self._training is not None:
                self._family = Keys.of(task, self._training).family
        except DataError as error:
            self._training = None
            self.notes.append(f"warning: {error}: whether the run was trained on these puzzles is not known")

    def admitted(self, batch: PuzzleBatch) -> PuzzleBatch:
        """Those puzzles of the next batch."""
        keys, first = np.unique(fingerprint(batch.inputs), return_index=True)
        new = ~np.isin(keys, self._seen)
        self._seen = np.union1d(self._seen, keys[new])
        chosen = batch.take(np.sort(first[new]))
        self.offered += len(batch)
        self.doubles += len(batch) - len(chosen)
        if self._training is None or not len(chosen):
            return chosen
        shared = twins(self._task, self._training, self._family, chosen)[1]
        self.trained += int(shared.sum())
        return chosen.take(~shared)

    def said(self) -> list[str]:
        """What the user should know of the puzzles left out."""
        notes = list(self.notes)
        if self.doubles:
            notes.append(
                f"left out {self.doubles:,} of the {self.offered:,} puzzles: they occur before, and each "
                "counts once"
            )
        if self.trained:
            notes.append(
                f"left out {self.trained:,} puzzles that match one of the training set up to symmetry"
            )
        return notes


def streams(by: str, task: PuzzleTask) -> bool:
    """Whether puzzles can be split by this without seeing all of them."""
    return by == "level" or (by in task.traits and task.ranges_of(by) is not None)


@dataclass(frozen=True)
class Stream:
    """Puzzles of a large file."""

    count: int
    batches: Iterator[PuzzleBatch]

    def evaluate(
        self,
        model: LoadedModel,
        rule: Stopping,
        by: str,
        batch_size: int,
        about: dict[str, Any],
        seed: int,
        progress: Callable[[int], None],
    ) -> StreamedReport:
        """Evaluate a model batch by batch. by: what to split puzzles by. progress: called with the number of
        puzzles done. Raises UserError for puzzles that cannot be read, and where none are left."""
        task, trained, started = model.task, model.config.halting.halt_max_steps, time.perf_counter()
        admission = Admission(task, model.config)
        looked_at = depths(rule.budget, trained)
        nothing = np.zeros((0, task.length), np.uint8)
        groups = split(by, task, PuzzleBatch(nothing, nothing, np.zeros(0, np.int64), np.zeros(0, np.int64)))
        totals = Totals.empty(len(groups.names), len(task.measures), rule.budget, looked_at)
        try:
            for batch in self.batches:
                chosen = admission.admitted(batch)
                refuse_strangers(chosen, model)
                if len(chosen):
                    result = evaluate(model.solver, chosen, rule, batch_size=batch_size, depths=looked_at)
                    totals.add(result, split(by, task, chosen).of)
                progress(admission.offered)
        except DataError as error:
            raise UserError(f"{error}{trained_on(error, task)}") from None
        for note in admission.said():
            Console(stderr=True).print(note, soft_wrap=True)
        evaluated = int(totals.segments.sum())
        if not evaluated:
            raise UserError(
                f"all of these puzzles match one of the run's training set {model.config.data.path} up to "
                "symmetry: give others"
            )
        seconds = time.perf_counter() - started
        about = about | {"puzzles_per_s": evaluated / seconds}
        return StreamedReport(about, totals, task, groups, seconds, seed, trained)


def open_stream(path: str, task: PuzzleTask) -> Stream | None:
    """The puzzles of a file or folder that is large enough to be read batch by batch, else None. Raises
    UserError."""
    try:
        found = stream_puzzles(task, Path(path))
    except DataError as error:
        raise UserError(f"{error}{trained_on(error, task)}") from None
    return None if found is None else Stream(*found)
