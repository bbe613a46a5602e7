"""`hrm-rl`, and what scripts/*.py share: choose a command, run it, end every mistake in one line.

A command is a module of this package, with a class of its flags (`TrainCommand` in train.py) and a function
`main(args)`. It is imported when it is chosen, since what a command needs takes seconds to import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from hrm_rl import __version__
from hrm_rl.utils.console import commands_by_name
from hrm_rl.utils.errors import UserError, nearest

COMMANDS = {
    "train": "Train a recurrent reasoning model.",
    "tune": "Search over settings: many runs, the worse ones stopped early.",
    "evaluate": "Evaluate trained models on puzzles.",
    "solve": "Watch a trained model solve one puzzle.",
    "analyze": "Report on how a trained model thinks.",
    "dataset": "Make or check a folder of puzzles to train on.",
    "convert": "Convert a checkpoint of another HRM or TRM implementation, or write one for it.",
    "export": "Write a trained model as a folder for others, with a model card.",
    "benchmark": "Time the parts of the system.",
    "recipes": "Compare models, gradients and Q-targets on small Sudokus.",
}
SHELLS = ("bash", "zsh", "fish", "tcsh")
COMPLETION = f"""Usage: hrm-rl completion {"|".join(SHELLS)}

Print a completion script for a shell. For bash, once:
  hrm-rl completion bash > ~/.local/share/bash-completion/completions/hrm-rl
For zsh, into a folder of your $fpath:
  hrm-rl completion zsh > ~/.zfunc/_hrm-rl"""


def main(args: Sequence[str] | None = None) -> int:
    """`hrm-rl`. Returns the exit status."""
    with commands_by_name():
        return ended(_choose, sys.argv[1:] if args is None else args)


def run_script(name: str) -> NoReturn:
    """Run the command `name` for its file in scripts/."""
    sys.exit(ended(lambda args: module_of(name).main(args), sys.argv[1:]))


def ended(run: Callable[[Sequence[str]], int | None], args: Sequence[str]) -> int:
    """The exit status of `run(args)`; a UserError becomes one line on standard error."""
    try:
        try:
            return run(args) or 0
        finally:
            sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as of `hrm-rl train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def module_of(name: str) -> Any:
    """The module of the command `name`."""
    return import_module(f"hrm_rl.cli.{name}")


def _choose(args: Sequence[str]) -> int | None:
    name, rest = (args[0], args[1:]) if args else ("--help", ())
    if name in ("-h", "--help"):
        print(_overview())
    elif name == "--version":
        print(f"hrm-rl {__version__}")
    elif name == "completion":
        _complete(rest)
    elif name in COMMANDS:
        return module_of(name).main(rest)
    else:
        near = nearest(name, [*COMMANDS, "completion"])
        raise UserError(f"unknown command '{name}'{near} (commands: {', '.join(COMMANDS)})")
    return 0


def _overview() -> str:
    rows = [*COMMANDS.items(), ("completion", f"Print a completion script for {', '.join(SHELLS)}.")]
    listed = "\n".join(f"  {name:<11} {sentence}" for name, sentence in rows)
    return (
        f"Usage: hrm-rl COMMAND [FLAGS]\n\n{listed}\n\n"
        "hrm-rl COMMAND --help lists the flags of a command, hrm-rl --version prints the version."
    )


def _complete(args: Sequence[str]) -> None:
    if args and args[0] in ("-h", "--help"):
        print(COMPLETION)
        return
    if len(args) != 1 or args[0] not in SHELLS:
        raise UserError(f"say which shell: hrm-rl completion {' or '.join(SHELLS)}")
    import tyro

    flags = {name: getattr(module_of(name), f"{name.title()}Command")() for name in COMMANDS}
    kinds = tyro.extras.subcommand_type_from_defaults(flags, COMMANDS, sort_subcommands=False)
    tyro.cli(kinds, prog="hrm-rl", args=["--tyro-print-completion", args[0]])


if __name__ == "__main__":
    sys.exit(main())
