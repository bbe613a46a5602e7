"""The folder of a run or a sweep, made and locked before anything is written: two that start in the same
second never share one."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hrm_rl.utils.errors import UserError
from hrm_rl.utils.locks import LOCK, FolderLock, Held


@dataclass(frozen=True)
class FolderKind:
    """What the folder is of."""

    name: str
    """`run`"""
    flag: str
    """The flag that gives the folder's name, without dashes."""
    mark: str
    """The file that every such folder has."""

    def refuse_taken(self, path: Path) -> None:
        """Raise UserError if a new one may not lie at `path`, as far as can be seen without its lock."""
        try:
            there, foreign = (path / self.mark).exists(), _foreign(path)
        except OSError as error:
            raise self.unwritable(path, error) from None
        if there:
            raise UserError(
                f"{self.name} {path.name} exists in {path.parent}: resume it with --{self.flag} "
                f"{shlex.quote(path.name)} --resume, or choose another --{self.flag}"
            )
        if foreign:
            raise UserError(
                f"{path} is there, and is no {self.name}: choose another --{self.flag} or --storage-path"
            )

    def unwritable(self, path: Path, error: OSError) -> UserError:
        return UserError(f"cannot write the {self.name} folder {path}: {error.strerror}")


def _foreign(path: Path) -> bool:
    """Whether something lies at `path` other than a folder with nothing in it but perhaps a lock."""
    if not path.is_dir():
        return path.exists() or path.is_symlink()
    return any(p.name.lstrip(".").split(".")[0] != LOCK for p in path.iterdir())


@contextmanager
def new_folder(root: Path, name: str, given: bool, kind: FolderKind) -> Iterator[Path]:
    """Make root/name and hold its lock. given: the user named it, so that it may be no other; else a number
    is put behind a name that is taken. Raises UserError.

    A folder that holds nothing at the end but the lock is removed again.
    """
    try:
        missing = [folder for folder in (root / name, root, *root.parents) if not folder.exists()]
        path, lock = _made(root, name, given, kind)
    except OSError as error:
        raise kind.unwritable(root / name, error) from None
    if path.name != name:
        missing[:0] = [path]
    try:
        yield path
    finally:
        lock.release()
        with contextlib.suppress(OSError):  # one that is not empty
            for folder in missing:
                folder.rmdir()


def _made(root: Path, name: str, given: bool, kind: FolderKind) -> tuple[Path, FolderLock]:
    number = 1
    while True:
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)  # of several processes one makes it, also over NFS
        except FileExistsError:
            if not given:
                number += 1
                continue
            kind.refuse_taken(path)
        try:
            lock = FolderLock(path, _note)
        except FileNotFoundError:  # somebody else has just removed it
            continue
        except Held as error:
            if given:
                raise UserError(
                    f"{kind.name} {name} is in use by {error.by}: choose another --{kind.flag}"
                ) from None
            number += 1
            continue
        try:
            kind.refuse_taken(path)  # begun and ended since
        except UserError:
            lock.release()
            raise
        return path, lock


@contextmanager
def resumed_folder(path: Path, kind: FolderKind) -> Iterator[Path]:
    """Hold the lock of a folder that is there. Raises UserError if another process writes to it."""
    try:
        lock = FolderLock(path, _note)
    except Held as error:
        raise UserError(
            f"{kind.name} {path.name} is in use by {error.by}: stop that one first, or choose another "
            f"--{kind.flag}"
        ) from None
    except OSError as error:
        raise kind.unwritable(path, error) from None
    try:
        yield path
    finally:
        lock.release()


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
