"""What a worker counts between two log lines, and what those counts mean.

A tally holds sums only, so that the tallies of several workers add up; `summarise` turns the total into the
scalars of TensorBoard and metrics.jsonl.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from envs.copies import writable

SUMS = (
    # per update
    "updates", "skipped_updates", "slots", "loss", "lm_loss", "q_halt_loss", "q_continue_loss",
    "grad_norm", "seconds", "data_wait_seconds",
    # per finished episode
    "episodes", "exact", "solved", "cells", "cells_right", "blanks", "blanks_right", "segments",
    "segments_solved",
    "forced", "explored", "q_halt", "q_halt_solved", "q_continue", "q_halt_right",
)  # fmt: skip


SEARCH_SUMS = (
    # per finished episode that searches
    "searches", "searches_solved", "searches_segments", "starts_over",
    # per segment of such episodes
    "doubts_right", "doubts_wrong", "doubts_bare", "contradictions", "sound_boards", "unsound_boards",
)  # fmt: skip


class Tally:
    """Named sums of one worker."""

    def __init__(self, budget: int, values_continuing: bool = True, searches: bool = False):
        """budget: the most segments of an episode. values_continuing: false for q_target `halt_only`, whose
        continue value is neither trained nor asked. searches: whether some episodes search."""
        self.budget = budget
        self.values_continuing = values_continuing
        self.searches = searches
        self.sums = dict.fromkeys(SUMS + SEARCH_SUMS * searches, 0.0)
        self.halted_after: NDArray[np.float64] = np.zeros(budget + 1)
        """[k]: episodes that ended after k segments."""
        self.halted_after_solved: NDArray[np.float64] = np.zeros(budget + 1)
        """The same, of solved episodes only."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.sums[name] += value

    def add_episodes(
        self,
        segments: NDArray[np.int64],
        exact: NDArray[np.bool_],
        solved: NDArray[np.bool_],
        forced: NDArray[np.bool_],
        explored: NDArray[np.bool_],
        q: NDArray[np.float32],
    ) -> None:
        """Count finished episodes: arrays (E,), q (E, 2)."""
        self.add(
            episodes=len(segments),
            exact=exact.sum(),
            solved=solved.sum(),
            segments=segments.sum(),
            segments_solved=segments[solved].sum(),
            forced=forced.sum(),
            explored=explored.sum(),
            q_halt=q[:, 0].sum(),
            q_halt_solved=q[solved, 0].sum(),
            q_continue=q[:, 1].sum(),
            q_halt_right=((q[:, 0] > 0) == solved).sum(),
        )
        self.halted_after += np.bincount(segments, minlength=self.budget + 1)
        self.halted_after_solved += np.bincount(segments[solved], minlength=self.budget + 1)

    def vector(self) -> NDArray[np.float64]:
        """All sums as one array, the same order on every worker."""
        return np.concatenate([list(self.sums.values()), self.halted_after, self.halted_after_solved])

    def blank(self) -> Tally:
        """Another tally of the same things, with nothing counted."""
        return Tally(self.budget, self.values_continuing, self.searches)

    def load_vector(self, vector: NDArray[np.float64]) -> None:
        counts = len(self.sums)
        self.sums = dict(zip(self.sums, map(float, vector[:counts]), strict=True))
        self.halted_after, self.halted_after_solved = vector[counts:].reshape(2, -1).copy()

    def clear(self) -> None:
        self.load_vector(np.zeros_like(self.vector()))


def sum_over_ranks(values: NDArray[np.float64], device: torch.device) -> NDArray[np.float64]:
    """The sum of `values` over all workers. device: where collectives of this process group run."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return values
    on = device if dist.get_backend() == "nccl" else torch.device("cpu")
    total = torch.as_tensor(values, dtype=torch.float64, device=on)
    dist.all_reduce(total)
    return total.cpu().numpy()


def summarise(tally: Tally, world_size: int) -> dict[str, float]:
    """Scalars, by TensorBoard tag, of a tally summed over `world_size` workers.

    Rates of things that did not happen (no episode finished, none solved) are left out.
    """
    s = tally.sums
    updates = max(s["updates"], 1.0)
    done_updates = max(s["updates"] - s["skipped_updates"], 1.0)
    slots = max(s["slots"], 1.0)
    seconds = max(s["seconds"], 1e-9) / world_size  # every worker counts the same wall time
    out = {
        "train/loss": s["loss"] / slots,
        "train/lm_loss": s["lm_loss"] / slots,
        "train/q_halt_loss": s["q_halt_loss"] / slots,
        "train/q_continue_loss": s["q_continue_loss"] / slots,
        "train/grad_norm": s["grad_norm"] / done_updates,
        "perf/segments_per_s": s["slots"] / seconds,
        "perf/puzzles_per_s": s["episodes"] / seconds,
        "perf/update_ms": 1000 * seconds / (updates / world_size),
        "perf/data_wait_fraction": s["data_wait_seconds"] / max(s["seconds"], 1e-9),
    }
    if s["episodes"]:
        out |= {
            "train/exact_accuracy": s["exact"] / s["episodes"],
            "train/solved": s["solved"] / s["episodes"],
            "train/cell_accuracy": s["cells_right"] / max(s["cells"], 1.0),
            "train/blank_cell_accuracy": s["blanks_right"] / max(s["blanks"], 1.0),
            "halting/segments_mean": s["segments"] / s["episodes"],
            "halting/forced_fraction": s["forced"] / s["episodes"],
            "halting/explored_fraction": s["explored"] / s["episodes"],
            "halting/q_halt_mean": s["q_halt"] / s["episodes"],
            "halting/q_continue_mean": s["q_continue"] / s["episodes"],
            "halting/q_halt_accuracy": s["q_halt_right"] / s["episodes"],
        }
        for k in range(1, tally.budget + 1):
            out[f"halting/halt_fraction/{k}"] = tally.halted_after[k] / s["episodes"]
        out |= _by_outcome(s)
    if tally.searches:
        out |= _of_search(s)
    if not tally.values_continuing:
        out = {tag: value for tag, value in out.items() if "q_continue" not in tag}
    return {tag: float(value) for tag, value in out.items()}


def _of_search(s: Mapping[str, float]) -> dict[str, float]:
    """How the episodes that search went. A doubt is right if some assumption was wrong."""
    out: dict[str, float] = {}
    if s["searches"]:
        out |= {
            "search/solved": s["searches_solved"] / s["searches"],
            "search/segments_mean": s["searches_segments"] / s["searches"],
            "search/starts_over": s["starts_over"] / s["searches"],
            "search/contradictions": s["contradictions"] / s["searches"],
            "search/doubts_without_assumptions": s["doubts_bare"] / s["searches"],
        }
    doubts = s["doubts_right"] + s["doubts_wrong"]
    if doubts:
        out["search/doubts_right"] = s["doubts_right"] / doubts
    if s["unsound_boards"]:
        out["search/wrong_boards_doubted"] = s["doubts_right"] / s["unsound_boards"]
    if s["sound_boards"]:
        out["search/right_boards_doubted"] = s["doubts_wrong"] / s["sound_boards"]
    return out


def _by_outcome(s: Mapping[str, float]) -> dict[str, float]:
    """Segments and halt values of solved and of unsolved episodes apart."""
    out = {}
    unsolved = s["episodes"] - s["solved"]
    if s["solved"]:
        out["halting/segments_mean/solved"] = s["segments_solved"] / s["solved"]
        out["halting/q_halt_mean/solved"] = s["q_halt_solved"] / s["solved"]
    if unsolved:
        out["halting/segments_mean/unsolved"] = (s["segments"] - s["segments_solved"]) / unsolved
        out["halting/q_halt_mean/unsolved"] = (s["q_halt"] - s["q_halt_solved"]) / unsolved
    return out
