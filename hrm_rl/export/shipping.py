"""Makes the models that come with this project: trains them, writes them in float16, and judges them on fresh
puzzles for their cards. hrm_rl/weights/recipes.py says how each is trained."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.search.search import Search
from hrm_rl.data.held_out import evaluated_levels
from hrm_rl.evaluation.intervals import wilson
from hrm_rl.evaluation.puzzles import PuzzleChoice, choose_puzzles
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.evaluation.search import evaluate_search
from hrm_rl.export.card import ONLY_BLANKS
from hrm_rl.export.run import export_run
from hrm_rl.models import count_parameters
from hrm_rl.models.saving import CARD
from hrm_rl.runs import checkpoint
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.loading import LoadedModel, load_model
from hrm_rl.runs.pretrained import About, is_pretrained
from hrm_rl.runs.selection import latest_sound
from hrm_rl.utils.devices import choose_device
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import whole_folder, write_atomically
from hrm_rl.weights.cards import ALL, Row, table
from hrm_rl.weights.recipes import ALONE, RECIPES, Recipe

SEED = 77
"""Of the fresh puzzles that a card is about; training runs have other streams."""
FRONT = """\
---
license: apache-2.0
library_name: hrm-rl
tags: [hrm-rl, recurrent-reasoning, adaptive-computation]
---
"""
FEW = "Boards of this size are few: some of these puzzles may have been trained on."

Say = Callable[[str], None]


class Judged(NamedTuple):
    """What a model made of fresh puzzles."""

    rows: tuple[Row, ...]
    """By level; the last is all of them."""
    solved: NDArray[np.bool_]
    """(2, N) by search and by its own halting."""


def make(name: str, storage: str, out: Path, puzzles: int, say: Say) -> None:
    """Train the model called `name` with runs in `storage`, going on with those that are there, and write
    out/NAME. puzzles: fresh ones a level. Raises UserError; a run that fails has said why."""
    recipe, folder = RECIPES[name], out / name
    if is_pretrained(folder):
        say(f"{name}: {folder} is there already")
        return
    runs = [_train(name, recipe, number, storage, say) for number in range(len(recipe.trained))]
    last = _last(runs[-1])
    say(f"{name}: judging it on {puzzles:,} fresh puzzles a level")
    with whole_folder(folder) as temporary:
        about = export_run(last, temporary, dtype="float16")
        exact = judge(load_model(last), recipe.budget, puzzles)
        rounded = load_model(temporary)
        found = judge(rounded, recipe.budget, puzzles)
        text = _card(name, recipe, about, runs, rounded, exact, found)
        write_atomically(temporary / CARD, text)
    say(f"{name}: wrote {folder}")


def _train(name: str, recipe: Recipe, number: int, storage: str, say: Say) -> RunFolder:
    """The finished run `number` of a recipe, begun or gone on with if it is not there."""
    run = RunFolder(Path(storage) / recipe.run_name(name, number))
    last = latest_sound(run.checkpoints, say)
    if last is not None:
        state = checkpoint.read_state(last)
        if state.update >= state.config.train.max_updates:
            say(f"{name}: {run.path} is trained")
            return run
    flags = recipe.flags(name, number, storage)
    if last is not None:
        flags = [*ALONE.split(), "--run-name", run.name, "--storage-path", storage, "--resume"]
    say(f"{name}: hrm-rl train {' '.join(flags)}")
    done = subprocess.run([sys.executable, "-m", "hrm_rl.cli.main", "train", *flags], check=False)
    if done.returncode:
        raise UserError(f"the run {run.path} ended with status {done.returncode}; what it said is above")
    return run


def judge(
    loaded: LoadedModel, budget: int, puzzles: int, seed: int = SEED, only: Sequence[str] = ()
) -> Judged:
    """What a model makes of `puzzles` fresh ones of each level that it was trained on, or of those in `only`,
    with a search of at most `budget` segments and by its own halting: as `hrm-rl evaluate --seed SEED`."""
    task, config = loaded.on(choose_device("cpu")).task, loaded.config
    found = fresh_puzzles(loaded, puzzles, seed, only)
    searched = evaluate_search(loaded.solver, found, Search.of(config, budget, seed=seed)).result
    halted = evaluate(loaded.solver, found, Stopping(config.halting.halt_max_steps, "adaptive"))
    rows = []
    for index, level in [*enumerate(task.levels), (None, ALL)]:
        mine = found.level == index if index is not None else np.ones(len(found), bool)
        if mine.any():
            rows.append(
                Row(
                    level,
                    int(mine.sum()),
                    int(searched.solved[mine].sum()),
                    float(searched.segments[mine].mean()),
                    int(halted.solved[mine].sum()),
                    float(halted.segments[mine].mean()),
                )
            )
    return Judged(tuple(rows), np.stack([searched.solved, halted.solved]))


def fresh_puzzles(loaded: LoadedModel, puzzles: int, seed: int, only: Sequence[str] = ()) -> PuzzleBatch:
    """`puzzles` new ones a level, of all levels that the model was trained on or of those in `only`."""
    if only:
        parts = [PuzzleChoice(level=level, puzzles=puzzles, seed=seed) for level in only]
        return PuzzleBatch.concatenate([choose_puzzles(p, loaded.config, loaded.task) for p in parts])
    levels = len(evaluated_levels(loaded.config))
    return choose_puzzles(PuzzleChoice(puzzles=puzzles * levels, seed=seed), loaded.config, loaded.task)


def _last(run: RunFolder) -> Path:
    """The last checkpoint of a run. Raises UserError if none is sound."""
    last = latest_sound(run.checkpoints, lambda line: None)
    if last is None:
        raise UserError(f"{run.path} holds no sound checkpoint: delete it, so that it is trained again")
    return last


def minutes(run: RunFolder) -> float:
    """Minutes that a run's updates took, by its log; its evaluations come on top."""
    took, before = 0.0, 0
    for record in run.read_metrics():
        if (milliseconds := record.get("perf/update_ms")) is not None:
            took += milliseconds * (record["update"] - before)
            before = record["update"]
    return took / 60_000


def _card(
    name: str,
    recipe: Recipe,
    about: About,
    runs: Sequence[RunFolder],
    loaded: LoadedModel,
    exact: Judged,
    found: Judged,
) -> str:
    """README.md of a shipped model. exact: what it made of the puzzles before its weights were rounded."""
    config, total, before = loaded.config, found.rows[-1], exact.rows[-1]
    asked = f"--puzzles {_asked(loaded, found)} --seed {SEED}"
    spans = [(_span(row.searched, row.puzzles), _span(row.halted, row.puzzles)) for row in found.rows]
    searched, halted = (int(n) for n in (exact.solved != found.solved).sum(axis=1))
    trained = [f"hrm-rl train {shlex.join(recipe.flags(name, n))}" for n in range(len(runs))]
    updates = [f"{checkpoint.read_state(_last(run)).update:,}" for run in runs]
    took = [f"{minutes(run):.0f}" for run in runs]
    lines = [
        FRONT,
        f"# {name}",
        "",
        f"{recipe.about}. {count_parameters(loaded.model):,} parameters ({config.model.name}, hidden "
        f"{config.model.hidden_size}), stored in float16 and loaded as float32.",
        "",
        "## Results",
        "",
        f"Fresh puzzles of the levels that it was trained on. *Searching*: at most {recipe.budget} segments; "
        f"*halting alone*: at most {config.halting.halt_max_steps}. Intervals are Wilson's. {date.today()}, "
        f"{_machine()}:",
        "",
        "```",
        f"hrm-rl evaluate --model {name} --search --max-segments {recipe.budget} {asked}",
        f"hrm-rl evaluate --model {name} {asked}",
        "```",
        "",
        *table(found.rows, spans),
        "",
        "A search hands in only what the rule accepts: what it does not solve, it leaves open.",
        *[FEW] * (not config.data.exclude_twins),
        "",
        f"Rounding to float16: of these {total.puzzles:,} puzzles, search solved {before.searched:,} before "
        f"and {total.searched:,} after ({searched} came out otherwise), its own halting {before.halted:,} "
        f"and {total.halted:,} ({halted} otherwise).",
        "",
        "## How it was made",
        "",
        "```",
        *trained,
        "```",
        "",
        f"Seed {config.seed}; {' and '.join(updates)} updates, which took one core {' and '.join(took)} "
        f"minutes (evaluations not counted); {about.weights} weights of the last one; code at commit "
        f"{about.versions.get('commit', 'unknown')}. `hrm-rl weights --make {name}` does it again.",
        "",
        "## Use",
        "",
        "```",
        f"hrm-rl solve --model {name} --random {loaded.task.levels[-1]} --search",
        "```",
        "",
        "```python",
        "from hrm_rl.runs.loading import load_model",
        "",
        f'loaded = load_model("{name}")  # loaded.model, loaded.task, loaded.config',
        "```",
        "",
        *[ONLY_BLANKS, ""] * (config.train.loss_on == "blanks"),
        "Licence: Apache-2.0, as the project's.",
    ]
    return "\n".join(lines) + "\n"


def _asked(loaded: LoadedModel, found: Judged) -> int:
    """What --puzzles has to be for these puzzles: a level that is small gave fewer."""
    return max(row.puzzles for row in found.rows[:-1]) * len(evaluated_levels(loaded.config))


def _span(solved: int, puzzles: int) -> str:
    low, high = wilson(solved, puzzles)
    return f"{100 * low:.1f}-{100 * high:.1f} %"


def _machine() -> str:
    """`one thread of 2 cores, AMD EPYC`."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    kinds = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {kinds[0] if kinds else platform.machine()}, no GPU"
