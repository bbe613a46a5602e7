"""What is printed can be read in a narrow terminal and typed where the user stands."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Column, Table

from hrm_rl.utils import console
from hrm_rl.utils.console import commands_by_name, print_whole, typed, typed_command, typed_path
from tests.helpers.paths import ROOT


def printed(table: Table, width: int) -> str:
    out = io.StringIO()
    screen = Console(file=out, width=width, highlight=False)
    print_whole(screen, table)
    assert screen.width == width
    return out.getvalue()


def numbers() -> Table:
    table = Table(Column("level"), *[Column(name, justify="right") for name in ("puzzles", "of all", "95 %")])
    table.add_row("very hard", "1,000", "41.25%", "40.1% 42.3%")
    return table


@pytest.mark.parametrize("width", [1, 20, 30, 40, 200])
def test_a_table_keeps_its_numbers_however_narrow_the_terminal_is(width: int) -> None:
    row = printed(numbers(), width)
    for number in ("1,000", "41.25%", "40.1% 42.3%"):
        assert number in row


def test_a_table_that_fits_is_printed_as_it_is() -> None:
    out = io.StringIO()
    Console(file=out, width=80, highlight=False).print(numbers())
    assert printed(numbers(), 80) == out.getvalue()


def test_paths_with_blanks_are_quoted_in_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my run", "it's", "a;b", "$x", "plain", "läuft"):
        assert shlex.split(typed_path(tmp_path / "runs" / name)) == [f"runs/{name}"]


def test_a_command_in_a_checkout_has_the_path_of_its_script_from_where_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (ROOT, ROOT / "docs", tmp_path):
        monkeypatch.chdir(place)
        *_, script = shlex.split(typed_command("evaluate"))
        assert Path(script).resolve() == (ROOT / "scripts" / "evaluate.py").resolve()
    monkeypatch.chdir(ROOT)
    assert typed_command("train").endswith(" scripts/train_ray.py")


def test_a_command_of_a_package_without_scripts_is_the_installed_program_or_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_folder = tmp_path / "my env" / "bin"
    bin_folder.mkdir(parents=True)
    python = bin_folder / "python"
    python.touch(0o755)
    monkeypatch.setattr(console, "CHECKOUT", tmp_path / "site-packages")
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert shlex.split(typed_command("evaluate")) == [
        "my env/bin/python",
        "-m",
        "hrm_rl.cli.main",
        "evaluate",
    ]
    assert shlex.split(typed("tensorboard")) == ["my env/bin/python", "-m", "tensorboard.main"]
    (bin_folder / "hrm-rl").touch(0o755)
    for by_name in (True, False):
        with commands_by_name() if by_name else monkeypatch.context():
            assert shlex.split(typed_command("evaluate")) == ["my env/bin/hrm-rl", "evaluate"]
    monkeypatch.setenv("PATH", str(bin_folder))
    assert typed_command("evaluate") == "hrm-rl evaluate"
    assert shutil.which("hrm-rl") is not None


def test_patience_says_what_is_waited_for_whenever_nothing_else_was_said_for_a_while() -> None:
    said: list[str] = []
    now = [0.0]
    waiting = console.Patience("starting Ray", said.append, clock=lambda: now[0])

    def look(*times: float) -> None:
        for now[0] in times:
            waiting.look()

    look(1.0, 2.0, 2.6, 3.0, 5.0, 5.2)
    assert said == ["starting Ray", "starting Ray: 2.6 s so far", "starting Ray: 5.2 s so far"]
    now[0] = 7.0
    waiting.spoke()
    look(9.0, 9.4)
    assert len(said) == 3
    look(9.6)
    assert said[3:] == ["starting Ray: 9.6 s so far"]
    look(31.0, 39.5, 40.0, 60.0, 69.0, 71.0)
    assert said[4:] == ["starting Ray: 40.0 s so far", "starting Ray: 1 min 11 s so far"], (
        "a busy cluster is waited for in few words"
    )
