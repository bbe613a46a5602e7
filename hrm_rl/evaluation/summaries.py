"""From sums over puzzles to the means that are reported: a row for each level, or for
each group of another kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.utils.errors import UserError

MOST_GROUPS = 10


@dataclass(frozen=True)
class Groups:
    """Puzzles split by a level or a trait."""

    by: str
    of: NDArray[np.int64]
    """(N,) index into names."""
    names: tuple[str, ...]


def split(by: str, task: PuzzleTask, puzzles: PuzzleBatch) -> Groups:
    """The puzzles by level, or by a trait of their task: in the ranges that the task has for it, else a group
    for each value, or, where there are more than MOST_GROUPS, for ranges of values with about as many puzzles
    each. Raises UserError."""
    if by == "level":
        # NO_LEVEL = -1 is the last group.
        return Groups(by, puzzles.level % (len(task.levels) + 1), (*task.levels, "other"))
    if by not in task.traits:
        raise UserError(
            f"--by {by}: {task.name} puzzles can be split by {', '.join(('level', *task.traits))}"
        )
    values = task.trait(by, puzzles.inputs)
    if (ranges := task.ranges_of(by)) is not None:
        names = [*(str(a) if a + 1 == b else f"{a}-{b - 1}" for a, b in pairwise(ranges)), f"{ranges[-1]}+"]
        return Groups(by, np.searchsorted(ranges, values, side="right") - 1, tuple(names))
    different = np.unique(values)
    starts = different
    if len(different) > MOST_GROUPS:
        starts = np.unique(np.quantile(values, np.arange(MOST_GROUPS) / MOST_GROUPS, method="inverted_cdf"))
    lasts = [int(different[different < after][-1]) for after in starts[1:]] + [int(different[-1])]
    names = [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts.tolist(), lasts, strict=True)]
    return Groups(by, np.searchsorted(starts, values, side="right") - 1, tuple(names))


@dataclass(frozen=True)
class Summary:
    """Means over the puzzles of one level, or of all."""

    puzzles: int
    exact_accuracy: float
    solved: float
    cell_accuracy: float
    segments_mean: float
    accuracy_after_segment: list[float]
    """[k - 1]: exact accuracy of the answers held after k segments."""
    measures: dict[str, float]
    """The mean of each of the task's measures over the answers to which it applies, if there are any."""

    @staticmethod
    def of(sums: NDArray[np.float64], measures: tuple[str, ...]) -> Summary:
        """Of one row of `Evaluation.sums`, or of several rows added up, with at least one puzzle.
        measures: names of the task's measures."""
        puzzles, exact, solved, cells, cells_right, segments = map(float, sums[:6])
        measured, counts, after = np.split(sums[6:], [len(measures), 2 * len(measures)])
        return Summary(
            int(puzzles),
            exact / puzzles,
            solved / puzzles,
            cells_right / max(1.0, cells),
            segments / puzzles,
            [float(x) / puzzles for x in after],
            {
                name: float(total) / float(applies)
                for name, total, applies in zip(measures, measured, counts, strict=True)
                if applies
            },
        )


def summaries(sums: NDArray[np.float64], task: PuzzleTask) -> dict[str, Summary]:
    """`Evaluation.sums` as a summary of each level that occurs, in the task's order; `other` for puzzles that
    lie in none."""
    return by_group(sums, (*task.levels, "other"), task.measures)


def by_group(
    sums: NDArray[np.float64], names: Sequence[str], measures: tuple[str, ...]
) -> dict[str, Summary]:
    """`Evaluation.sums_by` as a summary of each group that occurs. names: of the groups."""
    return {name: Summary.of(row, measures) for name, row in zip(names, sums, strict=True) if row[0]}


def score_of(metrics: Mapping[str, float]) -> float:
    """By what checkpoints of a run are compared, the more the better: solved; of a text, the bits a byte,
    with a minus."""
    bits = metrics.get("eval/bits_per_byte")
    return metrics["eval/solved"] if bits is None else -bits


def evaluation_scalars(sums: NDArray[np.float64], task: PuzzleTask) -> dict[str, float]:
    """Scalars, by TensorBoard tag, of `Evaluation.sums`."""
    total = Summary.of(sums.sum(axis=0), task.measures)
    out = {
        "eval/exact_accuracy": total.exact_accuracy,
        "eval/solved": total.solved,
        "eval/cell_accuracy": total.cell_accuracy,
        "eval/segments_mean": total.segments_mean,
    }
    out |= {f"eval/{name}": value for name, value in total.measures.items()}
    for level, summary in summaries(sums, task).items():
        out |= {
            f"eval/{level}/exact_accuracy": summary.exact_accuracy,
            f"eval/{level}/solved": summary.solved,
            f"eval/{level}/cell_accuracy": summary.cell_accuracy,
            f"eval/{level}/segments_mean": summary.segments_mean,
        }
        out |= {f"eval/{level}/{name}": value for name, value in summary.measures.items()}
    for k, accuracy in enumerate(total.accuracy_after_segment, start=1):
        out[f"eval/accuracy_after_segment/{k}"] = accuracy
    return out
