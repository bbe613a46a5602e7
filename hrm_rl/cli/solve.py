"""`hrm-rl solve`: one puzzle, and how a model thinks about it, segment by segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.text import Text

from envs import DataError, PuzzleBatch
from envs.sudoku import SudokuTask
from envs.task import PuzzleTask
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.search.search import Moves, search
from hrm_rl.analysis.boards import Step, steps_of, view_of, write_gif, write_png
from hrm_rl.analysis.search_boards import SearchStep, search_outcome, search_steps
from hrm_rl.cli.flags.common import CheckpointFlag, DeviceFlag, ThreadsFlag, WeightsFlag, parse
from hrm_rl.cli.flags.given import given_puzzle
from hrm_rl.cli.flags.searching import SearchFlags, in_words
from hrm_rl.config import PathText, Positive, Section, Seed
from hrm_rl.data.held_out import prepare
from hrm_rl.runs.loading import LoadedModel, load_model, trained_on
from hrm_rl.runs.shipped import model_for
from hrm_rl.utils.console import slow_work
from hrm_rl.utils.devices import choose_device, choose_threads
from hrm_rl.utils.errors import UserError
from hrm_rl.weights import shipped


class SolveCommand(Section):
    """Watch a trained model solve one puzzle.

    Without --model, the first shipped one whose task the puzzle is of; sudoku9 for --random."""

    checkpoint: CheckpointFlag = ""
    url: str | None = None
    """Have a service think (`hrm-rl serve`), such as http://127.0.0.1:8000; --model is then one of its names.
    Its token is taken from HRM_RL_TOKEN."""
    puzzle: str | None = None
    """The puzzle as text. Sudoku: cells row by row, . or 0 for a blank; maze: '#', ' ',
    S and G, a line for each row."""
    file: PathText | None = None
    """File with the puzzle, as for --puzzle or as `evaluate --data` reads it; - is standard input."""
    number: Positive | None = None
    """Which puzzle of a file that holds several, from 1; the first if not given."""
    random: str | None = None
    """Make a puzzle of this level."""
    seed: Seed = 0
    """Seed of --random, and of a search."""
    max_segments: Positive | None = None
    """Budget of segments, with --search over all starts and chains; the training run's if not given."""
    think_on: bool = False
    """Go on to the end of the budget after the model has halted."""
    png: PathText | None = None
    """Write all boards and the Q-values to this file."""
    gif: PathText | None = None
    """Write an animation to this file."""
    weights: WeightsFlag = None
    device: DeviceFlag = "auto"
    threads: ThreadsFlag = None
    searching: Annotated[SearchFlags, tyro.conf.OmitArgPrefixes] = SearchFlags()


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(SolveCommand(), args, "solve")
    for flag, ending in (("png", ".png"), ("gif", ".gif")):
        path = getattr(command, flag)
        if path is not None and Path(path).suffix.lower() != ending:
            raise UserError(f"--{flag} writes a file whose name ends in {ending}, not {path}")
    command.searching.refuse_contradictions({"--think-on": command.think_on})
    shown = _remote(command) if command.url is not None else _local(command)
    task, puzzle, steps = shown.task, shown.puzzle, shown.steps
    console = Console(highlight=False)
    console.print(shown.heading, soft_wrap=True)
    console.print("! wrong  * changed in this segment" + "  ~ assumed" * command.searching.search)
    print_boards(console, task, puzzle, steps)
    console.print(f"\n{shown.ending}", soft_wrap=True)
    try:
        for path, write in ((command.png, write_png), (command.gif, write_gif)):
            if path is not None:
                write(Path(path), task, puzzle, steps)
                console.print(f"wrote {path}", soft_wrap=True)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or path}: {error.strerror}") from None
    return 0


@dataclass(frozen=True)
class _Shown:
    """What there is to see."""

    heading: str
    task: PuzzleTask
    puzzle: PuzzleBatch
    steps: Sequence[Step]
    ending: str


def _local(command: SolveCommand) -> _Shown:
    """A model of this machine thinks. Raises UserError."""
    choose_threads(command.threads)
    refuse_unclear(command)
    loaded, puzzle = _model_and_puzzle(command)
    task, solver = loaded.task, loaded.solver
    loaded.on(choose_device(command.device))
    steps: Sequence[Step]
    if command.searching.search:
        how = command.searching.search_of(loaded, command.max_segments, command.seed)
        moves = Moves.concatenate(list(search(solver, [puzzle], how, batch_size=how.chains)))
        steps = found = search_steps(moves, solver, puzzle)
        limits, ending = in_words(how), search_outcome(found)
    else:
        budget = command.max_segments or loaded.config.halting.halt_max_steps
        stopping = Stopping(budget, "fixed" if command.think_on else "adaptive")
        steps = steps_of(list(think(solver, [puzzle], stopping, batch_size=1)), solver, puzzle)
        limits, ending = f"at most {budget} segments", outcome(steps)
    shipped_for = ", shipped for such puzzles" * (not command.checkpoint)
    heading = f"{loaded.place}{shipped_for} (update {loaded.update}, {loaded.weights} weights), {limits}"
    return _Shown(heading, task, puzzle, steps, ending)


def _model_and_puzzle(command: SolveCommand) -> tuple[LoadedModel, PuzzleBatch]:
    """The model that is named, or the shipped one for the puzzle. Raises UserError."""
    if command.random is not None:
        loaded = load_model(command.checkpoint or shipped()[0], command.weights)
        with slow_work() as progress:
            prepare(loaded.task, [command.random], progress)
        rng = np.random.default_rng(command.seed)
        return loaded, loaded.task.generate(command.random, 1, rng, held_out=True)
    named = load_model(command.checkpoint, command.weights) if command.checkpoint else None
    levels = SudokuTask.levels if named is None else named.task.levels
    given = given_puzzle(command.puzzle, command.file, command.number, levels)
    fitting = shipped()[0] if named or not given.text.strip() else model_for(given.text, given.read)
    loaded = named or load_model(fitting, command.weights)
    try:
        return loaded, given.read(loaded.task)
    except DataError as error:
        raise UserError(f"{error}{trained_on(error, loaded.task)}") from None


def _remote(command: SolveCommand) -> _Shown:
    """A service thinks. Raises UserError."""
    from hrm_rl.cli.flags import remote

    assert command.url is not None
    for flag in ("weights", "device", "threads"):
        if getattr(command, flag) != getattr(SolveCommand(), flag):
            raise UserError(f"--url takes no --{flag}: the service decides that")
    if command.searching not in (SearchFlags(), SearchFlags(search=True)):
        raise UserError("--url takes --search alone: the service searches as its models were trained to")
    refuse_unclear(command)
    searches = command.searching.search
    question = remote.RemoteQuestion(
        url=command.url,
        model=command.checkpoint,
        mode="search" if searches else "fixed" if command.think_on else "adaptive",
        segments=command.max_segments,
        seed=command.seed,
    )
    if command.random is not None:
        told = remote.ask(question, level=command.random)
    else:
        given = given_puzzle(command.puzzle, command.file, command.number, SudokuTask.levels)
        told = remote.ask(question, given.read)
    limits = f"{'search, ' * searches}at most {told.begin.segments} segments"
    heading = f"{told.begin.model} at {command.url} (version {told.begin.version}), {limits}"
    searched = [step for step in told.steps if isinstance(step, SearchStep)]
    ending = search_outcome(searched) if searches else outcome(told.steps)
    return _Shown(heading, told.task, told.puzzle, told.steps, ending)


def refuse_unclear(command: SolveCommand) -> None:
    """Refuse flags of which one or the other names the puzzle. Raises UserError."""
    given = [name for name in ("puzzle", "file", "random") if getattr(command, name) is not None]
    if len(given) > 1:
        raise UserError(f"give one puzzle: --{given[0]} or --{given[1]}, not both")
    if command.number is not None and command.file is None:
        raise UserError("--number belongs to --file: it says which of the file's puzzles")


def print_boards(console: Console, task: PuzzleTask, puzzle: PuzzleBatch, steps: Sequence[Step]) -> None:
    """The question and the board after each segment, as many side by side as fit."""
    panels = []
    for step in (None, *steps):
        board = task.render_text(view_of(puzzle, step)).split("\n")
        panels.append([Text(line, "bold" * (i == 0)) for i, line in enumerate(_heading(step))])
        panels[-1] += [Text.from_ansi(line) for line in board]
    width = max(line.cell_len for panel in panels for line in panel) + 3
    columns = max(1, (console.width + 3) // width)
    for start in range(0, len(panels), columns):
        row = panels[start : start + columns]
        console.print()
        for i in range(max(map(len, row))):
            line = Text()
            for panel in row:
                part = panel[i].copy() if i < len(panel) else Text()
                part.pad_right(width - part.cell_len)
                line.append_text(part)
            line.rstrip()
            console.print(line, soft_wrap=True)


def _heading(step: Step | None) -> list[str]:
    if step is None:
        return ["question", "", "", ""]
    return [f"{step.place}: {step.decision}", step.values, step.change, step.verdict]


def outcome(steps: Sequence[Step]) -> str:
    """The last line: how it ended."""
    halting = [step for step in steps if step.halts]
    last = halting[0] if halting else steps[-1]
    how = "halted after" if halting else "did not halt: budget spent after"
    line = f"{how} segment {last.number}: {_ended(last)}"
    right = [step.number for step in steps if step.solved]
    if right and right[0] < last.number:
        line += (
            f" (right since segment {right[0]})"
            if all(s.solved for s in steps[right[0] - 1 : last.number])
            else (f" (right for the first time after segment {right[0]})")
        )
    if steps[-1].number > last.number:
        line += f"; at the end of the budget: {_ended(steps[-1])}"
    return line


def _ended(step: Step) -> str:
    if step.solved is None:
        return "answered (only a label could tell whether it is right)"
    return "solved" if step.solved else "not solved"
