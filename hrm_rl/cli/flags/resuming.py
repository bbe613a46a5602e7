"""Commands typed again: the user's own without some flags, and the one that resumes a run or a sweep. What
scripts/train_ray.py and scripts/tune_ray.py have in common."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from hrm_rl.cli.flags.common import flag_value
from hrm_rl.utils.console import shown_path, typed_command
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.stores import is_uri

LONGEST_NAME = 200
"""Of a run or sweep, in bytes; file systems take 255, and a number may come behind it."""


def without(args: Sequence[str], flags: Sequence[str]) -> list[str]:
    """The arguments without some flags, each of which takes one value. flags: names without dashes."""
    kept, skip = [], False
    for arg in args:
        typed, equals, _ = arg.partition("=")
        if skip:
            skip = False
        elif typed.startswith("--") and typed[2:].replace("_", "-") in flags:
            skip = not equals
        else:
            kept.append(arg)
    return kept


def retyped(name: str, args: Sequence[str]) -> str:
    """The command `name` with these arguments, as one would type it here."""
    return f"{typed_command(name)} {shlex.join(args)}".strip()


def resume_command(name: str, name_flag: str, folder: Path, args: Sequence[str], kept: Sequence[str]) -> str:
    """The command that resumes what is in `folder`. name_flag: the flag that gives the folder's name. kept:
    flags that are typed again if they are in `args`; all else is in the folder."""
    words = [f"--{name_flag}", folder.name]
    for flag in ("storage-path", *kept, "address"):
        value = flag_value(args, flag)
        if value is not None:
            words += [f"--{flag}", value]
    return retyped(name, [*words, "--resume"])


def folder_named(name: str, name_flag: str, storage_path: str) -> Path:
    """The folder of a run or sweep; for one that is kept under a URI, the one here. Raises UserError for a
    name that is none."""
    if not name or Path(name).name != name or name.startswith((".", "-")):
        raise UserError(
            f"--{name_flag} {name or repr(name)} must be a plain folder name; --storage-path says where it "
            "lies"
        )
    if not name.isprintable():  # a line break, or bytes that are no text
        raise UserError(f"--{name_flag} {name!a} must be one line of text")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise UserError(f"--{name_flag} {name[:20]}... is too long for the name of a folder")
    if is_uri(storage_path):
        from hrm_rl.runs.stored import folder_of

        return folder_of(storage_path, "runs") / name
    return Path(storage_path).absolute() / name


def failed(error: Exception, error_log: Path, resume: str) -> int:
    """Say an unexpected error in one line, with its traceback in `error_log`. Returns the exit status."""
    with contextlib.suppress(OSError):
        error_log.write_text("".join(traceback.format_exception(error)))
    summary = " ".join(str(error).split())[:500]
    print(f"error: {type(error).__name__}: {summary} (traceback: {shown_path(error_log)})", file=sys.stderr)
    print(f"resume from the last checkpoint with: {resume}", file=sys.stderr)
    return 1
