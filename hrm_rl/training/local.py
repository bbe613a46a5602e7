"""Training in this process, without Ray: `--num-workers 0`, tests, and the base of a single-process trial."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from hrm_rl.config import Config
from hrm_rl.data.curriculum import Curriculum, LocalCurriculum
from hrm_rl.training.loop import Trainer
from hrm_rl.training.worker import Evaluated, RunOutcome
from hrm_rl.utils import stops
from hrm_rl.utils.devices import choose_device, use_threads


class LocalWorker:
    """The only worker of its run."""

    rank = 0
    world_size = 1

    def __init__(self, config: Config, run_dir: Path, say: Callable[[str], None] = print):
        self.device = choose_device(config.train.device)
        self.run_dir = run_dir
        self.say = say
        self.curriculum: Curriculum = LocalCurriculum(config.curriculum, config.train.log_every)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the loop to end with a checkpoint after the update it is in."""
        self._stop.set()

    def stop_requested(self) -> bool:
        return self._stop.is_set()

    def is_hurried(self) -> bool:
        return self._stop.is_set()

    def evaluated(self, found: Evaluated) -> None:
        """Nobody waits to hear of it."""


def train_here(
    config: Config,
    run_dir: Path,
    threads: int,
    say: Callable[[str], None] = print,
    at_once: str = stops.AT_ONCE,
) -> RunOutcome:
    """Train in this process. The first Ctrl-C or other signal to stop ends the run with a checkpoint, another
    Ctrl-C at once, which a command says with the line `at_once` (hrm_rl/utils/stops.py)."""
    use_threads(threads)
    worker = LocalWorker(config, run_dir, say)

    def ask(signum: int) -> bool:
        worker.stop()
        name = stops.prefix(signum)
        stops.tell(f"{name}stopping after this update; Ctrl-C again to stop without a checkpoint")
        return True

    with stops.asking(ask, at_once):
        return Trainer(config, worker).run()
