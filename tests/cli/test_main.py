"""`hrm-rl` as a user meets it: its commands, their flags, and what it imports before it is asked for work."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hrm_rl.cli import main as hrm_rl
from hrm_rl.cli.flags.common import flags_of, parse
from hrm_rl.cli.flags.resuming import resume_command, without
from hrm_rl.cli.main import COMMANDS, module_of
from hrm_rl.utils.console import commands_by_name, program, typed_command
from tests.helpers.paths import ROOT

HEAVY = ("torch", "ray", "numba", "matplotlib", "optuna")
FLAGS = {
    name.strip(): flags.split()
    for name, flags in re.findall(r"# (\w+)\n([^#]+)", (ROOT / "tests/golden/flags.txt").read_text())
}
"""Every flag of every command, and those of the settings of a run: what people have typed in scripts."""
WITH_SETTINGS = ("train", "benchmark")


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit status, output and errors of `hrm-rl ARGS`."""
    capsys.readouterr()
    try:
        status = hrm_rl.main(args)
    except SystemExit as stop:
        status = int(stop.code or 0)
    return status, *capsys.readouterr()


@pytest.mark.parametrize("args", ["--help", "train --help", "tune --help", "--version", "trian"])
def test_nothing_heavy_is_imported_before_there_is_work(args: str) -> None:
    code = f"""
import json, sys
from hrm_rl.cli.main import main
try:
    main({args.split()!r})
except SystemExit:
    pass
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert json.loads(done.stdout.splitlines()[-1]) == [], done.stderr


def test_a_run_imports_nothing_slow_that_it_does_not_need(tmp_path: Path) -> None:
    args = [
        *("train", "--preset", "sudoku4-quick", "--num-workers", "0", "--max-updates", "1"),
        *("--data.eval-puzzles", "8", "--train.device", "cpu", "--storage-path", str(tmp_path)),
    ]
    code = f"""
import json, sys
from hrm_rl.cli.main import main
assert main({args!r}) == 0
slow = ("torch._dynamo", "sympy", "ray", "matplotlib", "pandas", "optuna")
print(json.dumps([name for name in slow if name in sys.modules]))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert json.loads(done.stdout.splitlines()[-1]) == [], done.stderr


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for args in ([], ["--help"], ["-h"]):
        status, out, _ = said(capsys, *args)
        assert status == 0
        for name, sentence in COMMANDS.items():
            assert re.search(rf"^  {name} +{re.escape(sentence)}$", out, flags=re.MULTILINE)


def test_an_unknown_command_is_one_line_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, error = said(capsys, "trian")
    assert status == 2
    assert error.startswith("error: unknown command 'trian'; did you mean 'train'? (commands: train, tune,")
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_all_its_flags_and_says_first_what_it_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = said(capsys, name, "--help")
    assert status == 0
    assert re.match(rf"usage: hrm-rl {name} \[-h\] \[.*\n\n{re.escape(COMMANDS[name])}", out)
    wanted = [*FLAGS[name], *(FLAGS["settings"] if name in WITH_SETTINGS else [])]
    shown = re.findall(r"^..(--\w[\w.-]+)(?:(?: [^\s,]+)*, (--[\w.-]+))?", out, flags=re.MULTILINE)
    assert sorted(flag for pair in shown for flag in pair if flag) == sorted(wanted)
    known = flags_of(getattr(module_of(name), f"{name.title()}Command"))
    assert sorted(f"--{typed}" for flag in known for typed in flag.names) == sorted(wanted)


def test_help_shows_the_flags_of_the_launch_apart_from_the_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = said(capsys, "train", "--help")
    launch = out.partition("launch options")[2].partition("env options")[0]
    assert set(FLAGS["train"]) <= set(re.findall(r"--[\w.-]+", launch))
    assert "--seed" not in launch
    assert "--preset" not in launch


def test_a_completion_script_knows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh"):
        status, out, _ = said(capsys, "completion", shell)
        assert status == 0
        for name in (*COMMANDS, "--optim.lr", "--num-workers", "bootstrap"):
            assert name in out, (shell, name)
    assert said(capsys, "completion", "--help")[1].startswith("Usage: hrm-rl completion bash|zsh")
    assert "say which shell: hrm-rl completion bash or zsh" in said(capsys, "completion", "powershell")[2]


def test_ctrl_c_while_a_command_is_imported_is_one_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hrm_rl, "import_module", interrupted)
    assert said(capsys, "train") == (130, "", "interrupted\n")


def test_a_reader_that_closes_the_pipe_early_ends_a_command_quietly() -> None:
    command = f"{sys.executable} -m hrm_rl.cli.main train --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("usage: hrm-rl train")
    assert done.stderr == ""


def test_commands_in_messages_have_the_form_that_started_the_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program("train") == "python scripts/train_ray.py"
    assert typed_command("evaluate").endswith("python scripts/evaluate.py")
    assert "hrm-rl evaluate --model sudoku9" in said(capsys, "evaluate")[2]
    assert "hrm-rl train --num-workers" in said(capsys, "train", "--num-workers", "400")[2]
    with commands_by_name():
        assert program("dataset") == "hrm-rl dataset"
        assert typed_command("train").endswith("hrm-rl train")
    assert program("dataset") == "python scripts/build_dataset.py"


@pytest.mark.parametrize(
    ("args", "left"),
    [
        ("--num-workers 4 --seed 1", "--seed 1"),
        ("--num_workers 4 --seed 1", "--seed 1"),
        ("--num_workers=4 --seed 1", "--seed 1"),
        ("--seed 1 --num-workers", "--seed 1"),
        ("--num-workers-x 4", "--num-workers-x 4"),
    ],
)
def test_flags_are_left_out_of_a_retyped_command_however_they_are_typed(args: str, left: str) -> None:
    assert without(args.split(), ["num-workers"]) == left.split()


def test_a_resume_command_keeps_resources_and_place_as_they_were_typed() -> None:
    args = ["--seed", "1", "--num_workers=2:4", "--storage-path", "my runs", "--address", "auto"]
    line = resume_command("train", "run-name", Path("my runs/a b"), args, ["num-workers", "cpus-per-worker"])
    wanted = "--run-name 'a b' --storage-path 'my runs' --num-workers 2:4 --address auto --resume"
    assert line == f"{typed_command('train')} {wanted}"


PATHS = (
    "config", "storage-path", "data.path", "data.eval-path", "train.init-from", "space", "report",
    "checkpoint", "data", "png", "gif", "file", "predictions", "compare", "out", "csv", "test-csv", "check",
    "from", "plot", "json-file", "results", "pictures", "model",
)  # fmt: skip
"""Every flag that names a file or folder."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_tilde_is_the_home_folder_in_every_flag_that_names_a_file(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bash does not expand it in --out=~/x."""
    monkeypatch.setenv("HOME", "/home/me")
    kind = getattr(module_of(name), f"{name.title()}Command")
    flags = [flag for flag in flags_of(kind) if flag.name in PATHS and flag.type is not bool]
    assert flags
    for flag in flags:
        found = parse(kind(), [f"--{flag.name}=~/x"], name)
        for part in flag.path:
            found = getattr(found, part)
        assert found in ("/home/me/x", ("/home/me/x",)), flag.name


@pytest.mark.parametrize("name", COMMANDS)
def test_a_flag_that_speaks_of_a_file_is_known_to_be_one(name: str) -> None:
    """A new flag that names a file has to expand `~` too: its type is PathText, and it stands in PATHS."""
    for flag in flags_of(getattr(module_of(name), f"{name.title()}Command")):
        kind = getattr(module_of(name), f"{name.title()}Command")
        for part in flag.path[:-1]:
            kind = kind.model_fields[part].annotation
        says = kind.model_fields[flag.path[-1]].description or ""
        named = says.startswith(("File ", "Folder ", "CSV file", "Checkpoint ", "Picture ", "Run folder"))
        assert not named or flag.name in PATHS, flag.name


def test_a_place_that_is_closed_to_the_user_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def closed(args: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", "/closed/runs/r")

    assert hrm_rl.ended(closed, []) == 2
    assert capsys.readouterr().err == "error: cannot read or write /closed/runs/r: Permission denied\n"
