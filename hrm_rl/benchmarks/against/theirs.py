"""Train with another project's own code: its loop, network, losses, optimisers, data set and evaluation.

What is done to it, in a process of its own: "cuda" in the text of its pretrain.py reads "cpu" and no memory
is pinned, what it imports and a CPU does not have is stood in for (stand_ins.py), nothing is compiled, and
its functions are watched: before an update the watch may call its `evaluate`, on the weights that it would
evaluate itself, and end the run.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
import tqdm
import yaml

from hrm_rl.benchmarks.against import stand_ins
from hrm_rl.utils.errors import UserError

NEEDS = ("pretrain.py", "puzzle_dataset.py", "config/cfg_pretrain.yaml", "models/losses.py")
EPOCHS_AT_ONCE = 8
"""Of the order of the puzzles, which is made for so many epochs at a time."""
FOREVER = 10**6


class _Ended(Exception):
    """The run has reached its goal or its limit."""


def check_checkout(path: Path) -> None:
    """Raises UserError if this is no checkout of HRM or TinyRecursiveModels."""
    missing = [name for name in NEEDS if not (path / name).exists()]
    if missing:
        raise UserError(f"{path} is no checkout of HRM or TinyRecursiveModels: it has no {missing[0]}")


def configuration(checkout: Path, puzzles: Path, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Their configuration files with `settings` over them, as hydra would hand it to them."""
    values = yaml.safe_load((checkout / "config" / "cfg_pretrain.yaml").read_text())
    (arch,) = (part["arch"] for part in values.pop("defaults") if isinstance(part, dict) and "arch" in part)
    values["arch"] = yaml.safe_load((checkout / "config" / "arch" / f"{arch}.yaml").read_text())
    for name, value in settings.items():
        section, _, key = name.rpartition(".")
        (values[section] if section else values)[key] = value
    values["arch"] = {
        key: values["arch"]["hidden_size"] if value == "${.hidden_size}" else value
        for key, value in values["arch"].items()
    }
    if "data_paths" in values:
        values["data_paths"] = [str(puzzles)]
    else:
        values["data_path"] = str(puzzles)
    values |= {"seed": seed, "evaluators": [], "checkpoint_every_eval": False}
    return values | {"eval_interval": EPOCHS_AT_ONCE, "epochs": EPOCHS_AT_ONCE * FOREVER}


def load(checkout: Path) -> ModuleType:
    """Their pretrain.py as a module of this process, on a CPU."""
    stand_ins.install()
    os.environ["DISABLE_COMPILE"] = "1"
    multiprocessing.set_start_method(
        "fork", force=True
    )  # the processes that load data need the stand-ins too
    sys.path.insert(0, str(checkout))
    text = (checkout / "pretrain.py").read_text()
    for gpu, cpu in (('"cuda"', '"cpu"'), (".cuda()", ".cpu()"), ("pin_memory=True", "pin_memory=False")):
        text = text.replace(gpu, cpu)
    module = ModuleType("pretrain")
    sys.modules["pretrain"] = module
    exec(compile(text, str(checkout / "pretrain.py"), "exec"), vars(module))
    vars(module)["tqdm"] = SimpleNamespace(tqdm=partial(tqdm.tqdm, disable=True))
    return module


class Watch:
    """Looks at their training from between two updates, with a clock that stands still during evaluations."""

    def __init__(self, module: ModuleType, every_s: float, goal: float, limit_s: float):
        self.module = module
        self.every_s, self.goal, self.limit_s = every_s, goal, limit_s
        self.curve: list[tuple[int, float, float, float]] = []
        """Update, CPU seconds and seconds of training so far, held-out exact accuracy."""
        self.spent = [0.0, 0.0]
        """CPU seconds and seconds of training."""
        self._since: list[float] | None = None
        self._due = every_s
        self._averaged: Any = None
        self._loader: tuple[Any, Any] | None = None
        self._train_batch: Callable[..., Any] = module.train_batch
        self._evaluate: Callable[..., Any] = module.evaluate
        self._create_dataloader: Callable[..., Any] = module.create_dataloader
        names = vars(module)
        names |= {"train_batch": self.train_batch, "create_dataloader": self.create_dataloader}
        names |= {"evaluate": lambda *args, **keys: None}  # of their own loop, at the end of many epochs
        if "EMAHelper" in names:
            names["EMAHelper"] = self._keep(names["EMAHelper"])

    def _keep(self, helper: type) -> Callable[..., Any]:
        def made(*args: Any, **keys: Any) -> Any:
            self._averaged = helper(*args, **keys)
            return self._averaged

        return made

    def create_dataloader(self, config: Any, split: str, *args: Any, **keys: Any) -> Any:
        made = self._create_dataloader(config, split, *args, **keys)
        if split == "test":
            self._loader = made
        return made

    def train_batch(self, config: Any, state: Any, *args: Any, **keys: Any) -> Any:
        now = [time.process_time(), time.perf_counter()]
        if self._since is not None:
            self.spent = [s + n - b for s, n, b in zip(self.spent, now, self._since, strict=True)]
            if self.spent[0] >= min(self._due, self.limit_s):
                self._due = self.spent[0] + self.every_s
                self.look(config, state)
                now = [time.process_time(), time.perf_counter()]
        self._since = now
        return self._train_batch(config, state, *args, **keys)

    def look(self, config: Any, state: Any) -> None:
        """Evaluate, and end the run if it is over."""
        judged = state
        if self._averaged is not None:
            judged = copy.copy(state)
            judged.model = self._averaged.ema_copy(state.model)
        judged.model.eval()
        assert self._loader is not None
        given = {
            "config": config, "train_state": judged, "eval_loader": self._loader[0],
            "eval_metadata": self._loader[1], "evaluators": [], "rank": 0, "world_size": 1, "cpu_group": None,
        }  # fmt: skip
        found = self._evaluate(**{name: given[name] for name in inspect.signature(self._evaluate).parameters})
        state.model.train()
        accuracy = float(found["all"]["exact_accuracy"])
        cpu, clock = self.spent
        self.curve.append((state.step, round(cpu, 2), round(clock, 2), accuracy))
        if accuracy >= self.goal or cpu >= self.limit_s:
            raise _Ended


def train(
    checkout: Path,
    puzzles: Path,
    seed: int,
    settings: Mapping[str, Any],
    every_s: float,
    goal: float,
    limit_s: float,
) -> list[tuple[int, float, float, float]]:
    """Train with the code of a checkout until the goal or the limit. Returns the curve of `Watch`. Raises
    UserError if this is no checkout."""
    check_checkout(checkout)
    module = load(checkout)
    watch = Watch(module, every_s, goal, limit_s)
    torch.manual_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(_Ended):
        module.launch(configuration(checkout, puzzles, seed, settings))
    return watch.curve
