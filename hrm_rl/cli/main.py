"""`hrm-rl`, and what scripts/*.py share: choose a command, run it, end every mistake in one line.

A command is a module of this package, with a class of its flags (`TrainCommand` in train.py) and a function
`main(args)`. It is imported when it is chosen, since what a command needs takes seconds to import.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType

from hrm_rl.utils import output, stops  # light; all else is imported when Ctrl-C is heard already

COMMANDS = {
    "train": "Train a recurrent reasoning model.",
    "tune": "Search over settings: many runs, the worse ones stopped early.",
    "evaluate": "Evaluate trained models on puzzles.",
    "solve": "Watch a trained model solve one puzzle.",
    "generate": "Let a trained model go on with a text.",
    "serve": "Serve models: an API, and a page on which one watches them think.",
    "analyze": "Report on how a trained model thinks.",
    "dataset": "Make or check a folder of puzzles to train on.",
    "convert": "Convert a checkpoint of another HRM or TRM implementation, or write one for it.",
    "export": "Write a trained model as a folder for others, with a model card.",
    "weights": "List the models that come with this project, or make them again.",
    "benchmark": "Time the parts of the system.",
    "recipes": "Compare models, gradients and Q-targets on small Sudokus.",
}
SHIELDED = ("train", "tune", "serve")
"""Those that start Ray and end what they have begun when they are asked to stop."""
CLOSED = (
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ESTALE,
)
"""What is wrong with a place that the user named."""
SHELLS = ("bash", "zsh", "fish", "tcsh")
COMPLETION = f"""Usage: hrm-rl completion {"|".join(SHELLS)}

Print a completion script for a shell. For bash, once:
  hrm-rl completion bash > ~/.local/share/bash-completion/completions/hrm-rl
For zsh, into a folder of your $fpath:
  hrm-rl completion zsh > ~/.zfunc/_hrm-rl"""


def main(args: Sequence[str] | None = None) -> int:
    """`hrm-rl`. Returns the exit status. Without `args` this process is the command: its arguments are taken,
    its signals and its output are seen to, and it ends here."""
    if args is None:
        args = sys.argv[1:]
        _begin(args[0] if args else "")
        stops.leave(ended(_chosen, args))
    return ended(_chosen, args)


def _chosen(args: Sequence[str]) -> int | None:
    from hrm_rl.utils.console import commands_by_name

    with commands_by_name():
        return _choose(args)


def run_script(name: str) -> None:
    """Run the command `name` for its file in scripts/, and end the process."""
    _begin(name)
    stops.leave(ended(lambda args: _run(name, args), sys.argv[1:]))


def _begin(name: str) -> None:
    """Make this process the command `name`."""
    stops.listen(shielded=name in SHIELDED)
    output.forgive()


def ended(run: Callable[[Sequence[str]], int | None], args: Sequence[str]) -> int:
    """The exit status of `run(args)`; a UserError, a place that is closed to this user or a signal becomes
    one line on standard error."""
    try:
        from hrm_rl.utils import shadowed

        if (place := shadowed.stranger()) is not None:
            print(f"error: {shadowed.in_words(place)}", file=sys.stderr)
            return 2
        from hrm_rl.utils.errors import UserError

        try:
            return run(args) or 0
        except UserError as error:
            sys.stdout.flush()
            print(f"error: {error}", file=sys.stderr)
            return 2
        except OSError as error:
            if error.filename is None or error.errno not in CLOSED:
                raise
            sys.stdout.flush()
            print(f"error: cannot read or write {error.filename}: {error.strerror}", file=sys.stderr)
            return 2
    except KeyboardInterrupt as error:
        stop = error if isinstance(error, stops.Stopped) else stops.Stopped.of(error)
        print(stop.line, file=sys.stderr)
        return stops.status(stop.signum)
    finally:
        sys.stdout.flush()
        stops.let_go()


def _run(name: str, args: Sequence[str]) -> int | None:
    """Import the command `name`, and run it."""
    module = module_of(name)
    with stops.raising():
        status: int | None = module.main(args)
        return status


def module_of(name: str) -> ModuleType:
    """The module of the command `name`."""
    return import_module(f"hrm_rl.cli.{name}")


def _choose(args: Sequence[str]) -> int | None:
    from hrm_rl import __version__
    from hrm_rl.utils.errors import UserError, nearest

    name, rest = (args[0], args[1:]) if args else ("--help", ())
    if name in ("-h", "--help"):
        print(_overview())
    elif name == "--version":
        print(f"hrm-rl {__version__}")
    elif name == "completion":
        _complete(rest)
    elif name in COMMANDS:
        return _run(name, rest)
    elif name.startswith("-") and (meant := [word for word in rest if word in COMMANDS]):
        raise UserError(f"the command comes before its flags: hrm-rl {meant[0]} {name} ...")
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
    from hrm_rl.utils.errors import UserError

    if args and args[0] in ("-h", "--help"):
        print(COMPLETION)
        return
    if len(args) != 1 or args[0] not in SHELLS:
        wrong = f"there is no completion for {' '.join(args)}: " if args else ""
        raise UserError(f"{wrong}say which shell: hrm-rl completion {' or '.join(SHELLS)}")
    import tyro

    flags = {name: getattr(module_of(name), f"{name.title()}Command")() for name in COMMANDS}
    kinds = tyro.extras.subcommand_type_from_defaults(flags, COMMANDS, sort_subcommands=False)
    tyro.cli(kinds, prog="hrm-rl", args=["--tyro-print-completion", args[0]])


if __name__ == "__main__":
    sys.exit(main())
