"""Which puzzles a model is evaluated on: those of a file, new ones of some levels, or those that its run held
out; none that it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import PrivateAttr
from rich.console import Console

from envs import DataError, PuzzleBatch
from envs.folders.opening import open_puzzles
from envs.task import PuzzleTask
from hrm_rl.config import Config, PathText, Positive, Section, Seed
from hrm_rl.data.held_out import evaluated_levels, generate_held_out, prepare, without_doubles
from hrm_rl.data.leaks import Keys, twins
from hrm_rl.data.streams import ALL_LEVELS, build_data, training_puzzles
from hrm_rl.runs.dependencies import digests_of_puzzles, moved
from hrm_rl.runs.loading import LoadedModel, trained_on
from hrm_rl.utils.console import slow_work
from hrm_rl.utils.errors import UserError


class PuzzleChoice(Section):
    """Flags that say which puzzles."""

    data: PathText | None = None
    """File or folder of puzzles to evaluate on. Without this, --level, --puzzles and --seed: the run's
    held-out ones."""
    level: str | None = None
    """Level to generate; those that the training run held out if not given."""
    puzzles: Positive | None = None
    """Puzzles to generate over all levels (1000), or to take from the file at random (all)."""
    seed: Seed | None = None
    """Seed of the generated or chosen puzzles (1), of votes and retries, and of the intervals."""

    _moved: bool = PrivateAttr(False)
    """Whether the files that the run held puzzles out of have changed since."""

    @property
    def own_held_out(self) -> bool:
        """Whether the run's own held-out puzzles are meant."""
        return (self.data, self.level, self.puzzles, self.seed) == (None, None, None, None)

    @property
    def chosen_seed(self) -> int:
        return 1 if self.seed is None else self.seed

    @property
    def origin(self) -> str:
        """Where the puzzles come from, in words."""
        if self.data is not None:
            return self.data
        if self.own_held_out:
            return "held out anew: the run's files have changed" if self._moved else "held out by the run"
        return f"generated, seed {self.chosen_seed}"


Choice = TypeVar("Choice", bound=PuzzleChoice)


def choose_puzzles(choice: PuzzleChoice, config: Config, task: PuzzleTask) -> PuzzleBatch:
    """The puzzles to evaluate a run on, none of which is in its training file. Raises UserError."""
    if choice.data is not None and choice.level is not None:
        raise UserError("give --data FILE or --level NAME, not both: a file's puzzles are reported by level")
    if choice.own_held_out:
        with slow_work() as progress:
            data = build_data(config, progress=progress)
        data.source.close()
        return data.held_out
    puzzles = _from_file(choice, task) if choice.data is not None else _generated(choice, config, task)
    puzzles, notes = without_doubles(puzzles, f"puzzles of {choice.origin}")
    for note in notes:
        Console(stderr=True).print(note, soft_wrap=True)
    return without_training_puzzles(puzzles, config, task)


def for_folder(choice: Choice, loaded: LoadedModel) -> Choice:
    """What is meant by flags that leave the puzzles open, if the model is in a folder without its run, or if
    the files of its run have changed, which is said. Raises UserError."""
    data = loaded.config.data
    if warn_of_moved(loaded, choice.own_held_out):
        choice = choice.model_copy()
        choice._moved = True
    if loaded.run is not None or not choice.own_held_out:
        return choice
    if loaded.converted:
        return choice.model_copy(update={"seed": choice.chosen_seed})
    if data.path is not None or data.eval_path is not None:
        raise UserError(
            f"{loaded.name} does not hold the puzzles of its run ({data.eval_path or data.path}): give "
            "--data FILE, or --level NAME to generate some"
        )
    return choice


def warn_of_moved(loaded: LoadedModel, own_held_out: bool) -> bool:
    """Say so if files that the run depends on have changed since it was trained. Returns whether they have.
    own_held_out: whether the puzzles are meant to be those that it held out."""
    changed = moved(loaded.digests, digests_of_puzzles(loaded.config))
    if changed:
        known = (
            "these are not the puzzles that it held out, and it may have been trained on some of them"
            if own_held_out
            else "whether it was trained on some of these puzzles is not known"
        )
        Console(stderr=True).print(
            f"warning: {' and '.join(changed)} changed since {loaded.name} was trained: {known}",
            soft_wrap=True,
            highlight=False,
        )
    return bool(changed)


def _from_file(choice: PuzzleChoice, task: PuzzleTask) -> PuzzleBatch:
    assert choice.data is not None
    try:
        found = open_puzzles(task, Path(choice.data))
        rows = np.arange(len(found))
        if choice.puzzles is not None and len(found) > choice.puzzles:
            rng = np.random.default_rng(choice.chosen_seed)
            rows = np.sort(rng.choice(len(found), choice.puzzles, replace=False))
        return found.take(rows)
    except DataError as error:
        raise UserError(f"{error}{trained_on(error, task)}") from None


def _generated(choice: PuzzleChoice, config: Config, task: PuzzleTask) -> PuzzleBatch:
    levels = [choice.level] if choice.level else evaluated_levels(config)
    levels = [name for name in levels if name != ALL_LEVELS] or list(task.levels)
    with slow_work() as progress:
        prepare(task, levels, progress)
        return generate_held_out(task, levels, choice.puzzles or 1000, choice.chosen_seed, progress)


def without_training_puzzles(puzzles: PuzzleBatch, config: Config, task: PuzzleTask) -> PuzzleBatch:
    """Leave out puzzles that match one of the run's training set up to symmetry; refuse if none are left."""
    origin = config.data.path or "that its task keeps"
    try:
        training = training_puzzles(task, config)
        if training is None:
            return puzzles
        _, shared = twins(task, training, Keys.of(task, training).family, puzzles)
    except DataError as error:
        Console(stderr=True).print(
            f"warning: {error}: whether the run was trained on these puzzles is not known", soft_wrap=True
        )
        return puzzles
    if shared.all():
        raise UserError(
            f"all of these puzzles match one of the run's training set {origin} up to symmetry: give others"
        )
    if shared.any():
        Console(stderr=True).print(
            f"left out {shared.sum()} puzzles that match one of the training set up to symmetry"
        )
    return puzzles.take(~shared)


def refuse_strangers(puzzles: PuzzleBatch, loaded: LoadedModel) -> None:
    """Refuse puzzles with an identity that a model with puzzle embeddings has no row for."""
    table = getattr(loaded.model, "puzzle_emb", None)
    largest = int(puzzles.identifier.max(initial=0))
    if table is not None and largest >= len(table.weight):
        raise UserError(
            f"these puzzles have identifiers up to {largest}, the model knows 0 to {len(table.weight) - 1}: "
            "evaluate it on puzzles of its own data set"
        )
