"""Settings that do not go with the kind of a task: puzzles, or text."""

from __future__ import annotations

from envs import PuzzleTask
from hrm_rl.config import Config
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError


def refuse_unfit(task: PuzzleTask, config: Config) -> None:
    """Refuse settings with which this task cannot be learnt, or that do nothing there. Raises UserError."""
    if config.data.required and config.data.path is None:
        if task.next_token:
            raise UserError(
                f"preset '{config.preset}' trains on a given text: name it with --data.path FILE (UTF-8)"
            )
        raise UserError(
            f"preset '{config.preset}' trains on given puzzles: name them with --data.path FILE.csv (columns "
            "puzzle,solution or question,answer; .gz is fine), or --data.path FOLDER made by "
            f"{typed_command('dataset')}"
        )
    if not task.next_token:
        if config.train.flat_share:
            share = f"train.flat_share={config.train.flat_share:g}"
            raise UserError(f"{share} is for text: leave it at 0 with {task.name}")
        return
    if not config.model.causal:
        raise UserError("a text is learnt by a causal network, others see what comes next: --model.causal")
    if config.halting.q_target == "lambda":
        raise UserError(
            "halting.q_target lambda plays rollouts of puzzles; for a text choose delayed, bootstrap or "
            "halt_only"
        )
