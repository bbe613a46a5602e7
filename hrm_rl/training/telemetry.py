"""TensorBoard and metrics.jsonl, written by rank 0 with one x-axis: the update. The
README lists every tag."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from envs import PuzzleBatch, View
from envs.task import PuzzleTask
from hrm_rl.config import Config
from hrm_rl.runs.folder import read_metrics
from hrm_rl.utils.files import write_atomically

LAYOUT = {
    "Halting": {
        "Segments an episode": [
            "Multiline",
            [r"halting/segments_mean$", r"halting/segments_mean/solved", r"halting/segments_mean/unsolved"],
        ],
        "Share of episodes that end after segment K": ["Multiline", [r"halting/halt_fraction/\d+"]],
        "Q-values at the end of an episode": [
            "Multiline",
            [r"halting/q_halt_mean$", r"halting/q_continue_mean", r"halting/q_halt_mean/(un)?solved"],
        ],
        "Ended by the budget, held back by exploration": [
            "Multiline",
            [r"halting/forced_fraction", r"halting/explored_fraction"],
        ],
        "Does q_halt know? (right or wrong, as its sign says)": ["Multiline", [r"halting/q_halt_accuracy"]],
        "Held-out accuracy after segment K": ["Multiline", [r"eval/accuracy_after_segment/\d+"]],
    }
}
"""Custom scalars: the tab that shows how halting behaves at a glance."""


class Telemetry:
    """The metrics of one run folder."""

    def __init__(self, run_dir: Path, config: Config, update: int):
        """update: the one that the run starts or resumes from; whatever was recorded after it is dropped."""
        self.path = run_dir / "metrics.jsonl"
        _drop_after(self.path, update)
        self.writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=update + 1, flush_secs=10)
        if not update:
            self.writer.add_custom_scalars(LAYOUT)
            self.writer.add_text("config", "```yaml\n" + config.to_yaml() + "```", 0)
            self.writer.add_text("eval/weights", config.evaluated_weights, 0)

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, update)
        with self.path.open("a") as file:
            file.write(json.dumps({"update": update, **{k: _plain(v) for k, v in values.items()}}) + "\n")

    def segments_histogram(self, update: int, halted_after: NDArray[np.float64]) -> None:
        """halted_after[k]: episodes that ended after k segments; k = 0 is unused."""
        count = halted_after[1:]
        k = np.arange(1, len(count) + 1)
        if not count.sum():
            return
        self.writer.add_histogram_raw(
            "halting/segments",
            min=float(k[count > 0].min()),
            max=float(k[count > 0].max()),
            num=int(count.sum()),
            sum=float((k * count).sum()),
            sum_squares=float((k * k * count).sum()),
            bucket_limits=(k + 0.5).tolist(),
            bucket_counts=count.tolist(),
            global_step=update,
        )

    def boards(self, update: int, task: PuzzleTask, puzzles: PuzzleBatch, answers: NDArray[np.uint8]) -> None:
        """One picture: a row for each puzzle, a column for its answer (K, N, L) after each segment."""
        self.writer.add_image("eval/boards", board_grid(task, puzzles, answers), update, dataformats="HWC")

    def figures(self, update: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Figures of how the model thinks, by name."""
        for name, image in images.items():
            self.writer.add_image(f"eval/figures/{name}", image, update, dataformats="HWC")

    def flush(self) -> None:
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def board_grid(task: PuzzleTask, puzzles: PuzzleBatch, answers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The question and then the answers (K, N, L) after each segment, as one image (height, width, 3)."""
    rows = []
    for n in range(len(puzzles)):
        question, solution = puzzles.inputs[n], puzzles.solution[n]
        pictures = [task.render_rgb(View(question))]
        pictures += [task.render_rgb(View(question, answer[n], solution)) for answer in answers]
        rows.append(np.concatenate([_framed(p) for p in pictures], axis=1))
    return np.concatenate(rows, axis=0)


def _framed(picture: NDArray[np.uint8], margin: int = 6) -> NDArray[np.uint8]:
    return np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)


def _plain(value: float) -> float | None:
    """Seven digits, and null for what JSON has no number for."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _drop_after(path: Path, update: int) -> None:
    if path.exists():
        kept = [record for record in read_metrics(path) if record["update"] <= update]
        write_atomically(path, "".join(json.dumps(record) + "\n" for record in kept))
