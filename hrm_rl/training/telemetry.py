"""TensorBoard and metrics.jsonl, written by rank 0 with one x-axis: the update."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hrm_rl.config import Config
from hrm_rl.runs.folder import RunFolder, parse_metrics

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

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
PIECE = 1 << 16
"""Bytes of metrics.jsonl that are read at once."""


class Telemetry:
    """The metrics of one run folder. What a disk refuses is lost and said once: it does not end the
    training."""

    def __init__(self, run_dir: Path, config: Config, update: int, say: Callable[[str], None] = print):
        """update: the one that the run starts or resumes from; whatever was recorded after it is dropped.
        say: is told of what is lost."""
        folder = RunFolder(run_dir)
        self.path = folder.metrics
        self.say = say
        self._folder = folder.tensorboard
        self._losing = False
        _keep_writers_quiet()
        _drop_after(self.path, update)
        self._config = config
        self._begins_at: int | None = update
        """Where TensorBoard's file is to begin while it is not there: before the end of the first interval
        it has nothing to say, and TensorBoard takes a while to import."""
        self.writer: SummaryWriter | None = None

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            self._show(methodcaller("add_scalar", tag, value, update))
        self._append(json.dumps({"update": update, **{k: _plain(v) for k, v in values.items()}}) + "\n")

    def segments_histogram(self, update: int, halted_after: NDArray[np.float64]) -> None:
        """halted_after[k]: episodes that ended after k segments; k = 0 is unused."""
        count = halted_after[1:]
        k = np.arange(1, len(count) + 1)
        if not count.sum():
            return
        self._show(
            lambda writer: writer.add_histogram_raw(
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
        )

    def images(self, update: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Images (height, width, 3) by tag."""
        for tag, image in images.items():
            self._show(methodcaller("add_image", tag, image, update, dataformats="HWC"))

    def flush(self, update: int) -> None:
        """Bring everything up to `update` to the disk; begin again where it was full."""
        if self.writer is None and self._begins_at is None:
            self.writer = self._opened(update)
        self._show(lambda writer: writer.flush())

    def settle(self) -> None:
        """Have the records so far outlive the machine, as the checkpoint does that follows them."""
        with suppress(OSError), self.path.open("a") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        if self.writer is not None:
            self._show(lambda writer: writer.close())

    def _begin(self, update: int) -> None:
        """Begin TensorBoard's file after `update`."""
        self._begins_at = None
        self.writer = self._opened(update)
        if not update:
            config = self._config
            self._show(lambda writer: writer.add_custom_scalars(LAYOUT))
            self._show(lambda writer: writer.add_text("config", "```yaml\n" + config.to_yaml() + "```", 0))
            self._show(lambda writer: writer.add_text("eval/weights", config.evaluated_weights, 0))

    def _opened(self, update: int) -> SummaryWriter | None:
        from torch.utils.tensorboard import SummaryWriter

        try:
            return SummaryWriter(str(self._folder), purge_step=update + 1, flush_secs=10)
        except OSError as error:
            self._lost(error)
            return None

    def _show(self, what: Callable[[SummaryWriter], object]) -> None:
        """Write to TensorBoard's file, if there is one."""
        if self._begins_at is not None:
            self._begin(self._begins_at)
        if self.writer is None:
            return
        try:
            what(self.writer)
        except OSError as error:  # its thread has ended: this writer will write nothing more
            self.writer = None
            self._lost(error)

    def _append(self, line: str) -> None:
        """Add a whole line to metrics.jsonl, or nothing."""
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("a") as file:
                file.write(line)
        except OSError as error:
            self._lost(error)
            with suppress(OSError):
                os.truncate(self.path, size)
        else:
            self._losing = self._losing and self.writer is None

    def _lost(self, error: OSError) -> None:
        if not self._losing:
            self.say(f"records cannot be written ({error.strerror or error}): training goes on without them")
        self._losing = True


def _keep_writers_quiet() -> None:
    """Print no traceback where a TensorBoard writer's thread ends: the next write raises its error."""
    before = threading.excepthook
    if getattr(before, "keeps_writers_quiet", False):
        return

    def hook(args: threading.ExceptHookArgs) -> None:
        if not type(args.thread).__module__.startswith("tensorboard."):
            before(args)

    hook.keeps_writers_quiet = True  # type: ignore[attr-defined]
    threading.excepthook = hook


def _plain(value: float) -> float | None:
    """Seven digits, and null for what JSON has no number for."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _drop_after(path: Path, update: int) -> None:
    """Cut off what was recorded after an update. Read from the end, as it takes as long as what is dropped,
    however long the run was; records are there in their order."""
    try:
        with path.open("rb+") as file:
            file.truncate(_end_of_last(file, update))
    except FileNotFoundError:
        pass


def _end_of_last(file: BinaryIO, update: int) -> int:
    """Where the last record up to an update ends; 0 for none. What is no record is passed over."""
    end = start = file.seek(0, os.SEEK_END)
    tail = b""  # from `start` on: the rest of a line whose beginning was not read yet, up to `end`
    while start:
        begin = max(0, start - PIECE)
        file.seek(begin)
        lines = (file.read(start - begin) + tail).splitlines(keepends=True)
        tail = lines.pop(0) if begin else b""
        for line in reversed(lines):
            if line.endswith(b"\n") and any(
                r["update"] <= update for r in parse_metrics(line.decode(errors="replace"))
            ):
                return end
            end -= len(line)
        start = begin
    return 0
