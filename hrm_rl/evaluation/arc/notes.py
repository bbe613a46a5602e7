"""What a score on ARC's test grids has to be read with: what of these tasks was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from envs import DataError
from envs.arc.puzzles import EVALUATION
from envs.arc.task import MINI, ArcTask
from hrm_rl.config import Config
from hrm_rl.data.streams import training_puzzles
from hrm_rl.evaluation.arc.questions import ArcQuestion


def notes_of(task: ArcTask, config: Config, questions: Sequence[ArcQuestion]) -> list[str]:
    """What was trained on, as far as the settings of a run tell."""
    if task.dataset == MINI:
        return ["the rules of these tasks were trained on, with other grids; the grids asked about never are"]
    tasks = [task.puzzles[place] for place in {one.puzzle for one in questions}]
    asked = {puzzle.name for puzzle in tasks if puzzle.subset == EVALUATION}
    try:
        training = None if config.data.path is not None else training_puzzles(task, config)
    except DataError:
        training = None
    if training is None:
        told = f"demonstrations of the {len(asked)} evaluation tasks may have been trained on"
        return [told] if asked else []
    shown = set(training.take(slice(None)).identifier.tolist())
    demonstrated = asked & {task.puzzle_of(identifier)[0].name for identifier in shown}
    told = (
        f"demonstrations of {len(demonstrated)} of the {len(asked)} evaluation tasks were trained on, as in "
        "the published systems; answers to their test grids never are"
    )
    return [told] if demonstrated else []
