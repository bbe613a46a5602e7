"""Every command that a page shows in a block is understood by the command itself, up to where it would read
or write files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hrm_rl.cli import dataset, evaluate, train
from hrm_rl.cli.flags.common import parse
from hrm_rl.cli.main import module_of
from hrm_rl.data.streams import build_task
from hrm_rl.utils.errors import UserError
from tests.helpers.pages import SCRIPTS, TODAY, commands
from tests.helpers.paths import ROOT


def understood(name: str, words: Sequence[str]) -> None:
    """Parse a command as it does itself. Raises UserError for what it would refuse at once."""
    if name == "train":
        config = parse(train.TrainCommand(settings=train._defaults(words)), words, name).config
        if ":" not in config.env.task:
            build_task(config)
        return
    command = parse(getattr(module_of(name), f"{name.title()}Command")(), words, name)
    if isinstance(command, dataset.DatasetCommand) and command.check is None:
        dataset._wanted_task(command)
        dataset._refuse_contradictions(command)
        if command.out is None:
            raise UserError("say where to write")
    if isinstance(command, evaluate.EvaluateCommand):
        evaluate._refuse_contradictions(command)
    if name == "evaluate" and not command.checkpoint:
        raise UserError("say which model")


def in_blocks() -> list[tuple[str, str, list[str]]]:
    """Page, command and flags. A file that the reader makes is left out with its flag."""
    found = []
    for page in TODAY:
        for program, *words in commands(page, in_lines=False):
            if program == "make":
                continue
            name, rest = words[0] if program == "hrm-rl" else SCRIPTS[Path(words[0]).stem], words[1:]
            if not name.isupper():
                found.append((page, name, rest))
    return found


@pytest.mark.parametrize(
    ("page", "name", "words"), [pytest.param(*part, id=" ".join(part[2])) for part in in_blocks()]
)
def test_every_command_of_a_page_is_understood(
    page: str, name: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    if "--config" in words and not Path(words[words.index("--config") + 1]).exists():
        place = words.index("--config")
        words = words[:place] + words[place + 2 :]
    understood(name, words)


def test_what_a_command_would_refuse_is_found() -> None:
    for name, words in (
        ("dataset", "--hub sapientinc/sudoku-extreme --out data/x"),
        ("dataset", "--task sudoku --level hard --subsample 3 --out data/x"),
        ("dataset", "--task sudoku --level hard"),
        ("evaluate", "--level hard"),
        ("train", "--env.size 5"),
        ("train", "--preset none"),
        ("solve", "--random"),
    ):
        with pytest.raises(UserError):
            understood(name, words.split())
