"""Faults of the surroundings: disks that fill, users without a home, odd folders, few open files."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hrm_rl.faults.commands import verdict
from hrm_rl.faults.subject import Subject, differences
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.selection import damage, latest_sound

NOBODY = 12345
"""A user number without a name."""


def full_by_quota(subject: Subject, whole: RunFolder, chance: random.Random) -> str | None:
    """No file may grow beyond a few kilobytes: some checkpoints and records cannot be written."""
    folder = subject.folder(f"quota-{chance.randrange(10**9)}")
    limit = {"RLIMIT_FSIZE": chance.choice((2_000, 8_000, 20_000, 60_000))}
    ended = subject.commands.run(subject.command(folder.name), limits=limit)
    return verdict(ended) or _goes_on(subject, folder, whole)


def full_disk(subject: Subject, whole: RunFolder, chance: random.Random) -> str | None:
    """A file system of a few hundred kilobytes, which another file fills. Needs the right to mount."""
    with mounted(subject.runs.parent / "small", chance.choice((300, 500, 800))) as disk:
        if disk is None:
            return None
        small = Subject(subject.commands, disk, subject.settings)
        folder = small.folder("full")
        ended = small.commands.run(small.command(folder.name))
        wrong = verdict(ended)
        if wrong is not None:
            return wrong
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        return _goes_on(small, folder, whole)


@contextmanager
def mounted(place: Path, kilobytes: int) -> Iterator[Path | None]:
    """A file system in memory; None where this process may not mount one."""
    place.mkdir(exist_ok=True)
    options = f"size={kilobytes}k"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True)
    try:
        yield place if made.returncode == 0 else None
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "-l", str(place)], check=True)


def _goes_on(subject: Subject, folder: RunFolder, whole: RunFolder) -> str | None:
    """Once there is space, the run has to finish as if nothing had been."""
    said: list[str] = []
    latest_sound(folder.checkpoints, said.append)
    if said:
        return f"a checkpoint is not sound: {said[0]}"
    ended = subject.finish(folder.name)
    if ended.status == 2 and "is finished at update" in ended.output:  # only records were refused
        found = [line for path in folder.checkpoints.iterdir() if (line := damage(path))]
    elif ended.status == 0:
        found = [line for line in differences(folder, whole) if not line.startswith("metrics.jsonl")]
    else:
        return verdict(ended) or f"exit {ended.status}: {ended.output.strip().splitlines()[-1]}"
    if not found:
        shutil.rmtree(folder.path)
    return "; ".join(found) or None


def odd(subject: Subject, whole: RunFolder, chance: random.Random) -> str | None:
    """A run in one of ODD's surroundings has to end like any other, or say in one line why it cannot."""
    name = chance.choice(sorted(ODD))
    folder = subject.folder(f"odd-{chance.randrange(10**9)}")
    changes = ODD[name](subject.runs.parent)
    if "user" in changes:
        if not can_be_another():
            return None
        for path in (subject.runs.parent, subject.runs):
            path.chmod(0o777)
    ended = subject.commands.run(subject.command(folder.name), **changes)
    wrong = verdict(ended)
    if wrong is None and ended.status == 0:
        wrong = "; ".join(differences(folder, whole)) or None
    if wrong is None:
        shutil.rmtree(folder.path, ignore_errors=True)
    return None if wrong is None else f"{name}: {wrong}: {ended.output.strip().splitlines()[-1:]}"


def can_be_another() -> bool:
    """Whether this process may become another user, who may read this code."""
    return os.geteuid() == 0 and all(path.stat().st_mode & 0o001 for path in Path(__file__).parents)


def _long_folder(place: Path) -> dict[str, Any]:
    long = place / ("t" * 90)
    long.mkdir(exist_ok=True)
    return {"env": {"TMPDIR": str(long)}}


ODD: dict[str, Callable[[Path], dict[str, Any]]] = {
    "no home folder": lambda place: {"env": {"HOME": str(place / "nowhere")}},
    "no HOME at all": lambda place: {"env": {"HOME": None, "USER": None, "LOGNAME": None}},
    "a user without a name": lambda place: {"user": NOBODY, "env": {"HOME": "/", "USER": None}},
    "64 open files": lambda place: {"limits": {"RLIMIT_NOFILE": 64}},
    "a temporary folder with a name of 90 characters": _long_folder,
    "no temporary folder": lambda place: {"env": {"TMPDIR": str(place / "nowhere")}},
    "nothing on the PATH": lambda place: {"env": {"PATH": str(place / "nowhere")}},
    "a language without UTF-8": lambda place: {"env": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}},
    "a terminal of 20 columns": lambda place: {"env": {"COLUMNS": "20"}},
    "another time zone": lambda place: {"env": {"TZ": "Pacific/Kiritimati"}},
}
