"""A bad input: what somebody types, the files it meets, and what comes of it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import torch

from hrm_rl.cli.main import main
from hrm_rl.utils import console

SHOWN = 90
"""Characters of a file that the page shows as they are."""


@dataclass(frozen=True)
class BadInput:
    """A command that cannot be right."""

    typed: str
    """As in a shell, from `hrm-rl` on."""
    about: str
    """What a reader must know of the files it names."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Written before it into the current folder."""
    make: Callable[[], object] | None = None
    """Called before it in the current folder, after the files are there."""
    stdin: str | None = None


def bad(
    typed: str,
    about: str = "",
    files: Mapping[str, str | bytes] | None = None,
    make: Callable[[], object] | None = None,
    stdin: str | None = None,
) -> BadInput:
    """`hrm-rl TYPED`. about: not needed where the files are short texts."""
    files = files or {}
    if files and not about:
        for name, content in files.items():
            assert isinstance(content, str), f"say what {name} is"
            assert len(content) <= SHOWN, f"say what is in {name}"
        about = "; ".join(f"`{name}`: `{_visible(str(content))}`" for name, content in files.items())
    assert about or make is None, f"say what is made before {typed}"
    return BadInput(f"hrm-rl {typed}".strip(), about, files, make, stdin)


def _visible(content: str) -> str:
    return content.strip("\n").replace("\n", " ⏎ ").replace("\t", "⇥")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: object
    """The exit status; the exception of a command that ended in none."""
    stderr: str
    """With the current folder as /home/you."""
    left: frozenset[str]
    """What is there afterwards and was not before, or has changed, by its path."""

    @property
    def wrong(self) -> str | None:
        """What is wrong with this outcome of a bad input; None if nothing is."""
        lines = self.stderr.splitlines()
        if self.status != 2:
            return f"ended with {self.status!r}: {self.stderr}"
        if len(lines) != 1 or not lines[0].startswith("error: ") or "Traceback" in self.stderr:
            return f"not one line: {self.stderr}"
        if self.left:
            return f"left behind: {', '.join(sorted(self.left))}"
        return None


@contextlib.contextmanager
def small_machine() -> Iterator[None]:
    """Inside, there are 8 CPUs, no GPU, no Ray cluster, no colours, and `hrm-rl` is on the path."""
    answers: tuple[tuple[object, str, object], ...] = (
        (os, "sched_getaffinity", set(range(8))),
        (os, "cpu_count", 8),
        (torch.cuda, "is_available", False),
        (torch.cuda, "device_count", 0),
        (torch.backends.mps, "is_available", False),
    )
    with contextlib.ExitStack() as stack:
        for module, name, value in answers:
            stack.enter_context(mock.patch.object(module, name, return_value=value, create=True))
        stack.enter_context(mock.patch.object(console, "typed", str))
        environment = {"NO_COLOR": "1", "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}
        stack.enter_context(mock.patch.dict(os.environ, environment))
        for begun in ("hrm_rl.runs.folder.RunFolder.begin", "hrm_rl.sweeps.results.records.write_sweep"):
            stack.enter_context(mock.patch(begun, side_effect=AssertionError("it was begun")))
        for name in ("RAY_ADDRESS", "FORCE_COLOR"):
            os.environ.pop(name, None)
        yield


def outcome(case: BadInput, place: Path, folder: Path) -> Outcome:
    """What comes of `case`, typed in `folder`, a copy of `place`. It stays for the next one if nothing in it
    has changed."""
    if not folder.exists():
        shutil.copytree(place, folder)
    errors = io.StringIO()
    status: object = None
    entry = sys.stdin
    with contextlib.chdir(folder) if sys.version_info >= (3, 11) else _inside(folder), small_machine():
        for name, content in case.files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        if case.make is not None:
            case.make()
        before = _files()
        if case.stdin is not None:
            sys.stdin = io.TextIOWrapper(io.BytesIO(case.stdin.encode()))
        words = shlex.split(case.typed)[1:]
        try:
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
                status = main(words)
        except BaseException as error:
            status = error
        finally:
            sys.stdin = entry
        left = frozenset(name for name, stamp in _files().items() if before.get(name) != stamp)
    if case.files or case.make or left:
        shutil.rmtree(folder)
    said = re.sub(rf"(/private)?{re.escape(str(folder))}", "/home/you", errors.getvalue())
    said = re.sub(r"\d{8}-\d{6}", "DATE-TIME", said)
    return Outcome(status, said, left)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _files() -> dict[str, tuple[int, int]]:
    """Size and time of everything in the current folder and below."""
    found = {}
    for path in Path().rglob("*"):
        with contextlib.suppress(OSError):  # a loop of links
            status = path.lstat()
            found[str(path)] = (0, 0) if path.is_dir() else (status.st_size, status.st_mtime_ns)
    return found
