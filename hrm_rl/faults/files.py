"""Faults that damage a file: of a run, or of a folder that was exported from it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hrm_rl.faults.commands import Running, verdict
from hrm_rl.faults.subject import UPDATES, Subject
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.selection import checkpoints

LONGER = UPDATES + 4
"""Updates that a damaged run is resumed to."""


def cut(file: Path, other: Path, chance: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: chance.randrange(len(content))] if content else b"")


def empty(file: Path, other: Path, chance: random.Random) -> None:
    file.write_bytes(b"")


def flip(file: Path, other: Path, chance: random.Random) -> None:
    """One bit."""
    content = bytearray(file.read_bytes())
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def remove(file: Path, other: Path, chance: random.Random) -> None:
    file.unlink()


def swap(file: Path, other: Path, chance: random.Random) -> None:
    """The file of that name of another run."""
    if other.exists():
        shutil.copyfile(other, file)
    else:
        file.unlink()


def rewrite(file: Path, other: Path, chance: random.Random) -> None:
    """Something else: text where there were numbers, numbers where there was text."""
    file.write_bytes(b"{}\n" if file.suffix != ".json" else bytes(chance.randrange(256) for _ in range(64)))


DAMAGES: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "cut": cut,
    "emptied": empty,
    "one bit flipped": flip,
    "removed": remove,
    "from another run": swap,
    "overwritten": rewrite,
}


@dataclass
class Sound:
    """What commands find in the undamaged run."""

    whole: RunFolder
    other: RunFolder
    """Another run, of other settings."""
    longer: RunFolder
    """The undamaged run, resumed to LONGER updates."""
    evaluations: list[object]
    """The results of all its checkpoints."""


def prepare(subject: Subject, whole: RunFolder) -> Sound:
    """Make what damaged runs are compared with."""
    other = subject.folder("other")
    if not other.path.exists():
        arguments = [
            *subject.command("other"),
            "--model.hidden-size",
            "24",
            "--train.max-updates",
            str(UPDATES),
        ]
        assert subject.commands.run(arguments).status == 0
    longer = subject.folder("longer")
    if not longer.path.exists():
        shutil.copytree(whole.path, longer.path)
        assert subject.commands.run(_resume(subject, longer)).status == 0
    evaluations = [_result(subject.commands.run(_evaluate(p))) for p in checkpoints(whole.checkpoints)]
    return Sound(whole, other, longer, evaluations)


def damaged(subject: Subject, sound: Sound, damage: str, chance: random.Random) -> str | None:
    """Damage a random file of a copy of the run, then evaluate, resume or export it. Each has to succeed with
    the right result (of a checkpoint that is sound), or to say in one line what is wrong. Returns what is
    wrong with that."""
    folder = subject.folder(f"damaged-{chance.randrange(10**9)}")
    shutil.copytree(sound.whole.path, folder.path)
    file = chance.choice(sorted(p for p in folder.path.rglob("*") if p.is_file()))
    within = file.relative_to(folder.path)
    DAMAGES[damage](file, sound.other.path / within, chance)
    act = chance.choice(("evaluate", "resume", "export"))
    if act == "evaluate":
        ended = subject.commands.run(_evaluate(folder.path))
        wrong = verdict(ended) or (
            "another result" if ended.status == 0 and _result(ended) not in sound.evaluations else None
        )
    elif act == "resume":
        ended = subject.commands.run(_resume(subject, folder))
        wrong = verdict(ended) or (
            "other weights" if ended.status == 0 and not _alike(folder, sound.longer) else None
        )
    else:
        out = folder.path.with_suffix(".out")
        ended = subject.commands.run(["export", "--checkpoint", str(folder.path), "--out", str(out)])
        wrong = verdict(ended) or _exported(subject, out, sound, ended.status == 0)
        shutil.rmtree(out, ignore_errors=True)
    if wrong is None:
        shutil.rmtree(folder.path)
        return None
    return f"{within} {damage}, then {act}: {wrong}: {ended.output.strip().splitlines()[-1:]}"


def _exported(subject: Subject, out: Path, sound: Sound, succeeded: bool) -> str | None:
    if not succeeded:
        return "half a folder is left" if out.exists() else None
    ended = subject.commands.run(_evaluate(out))
    return verdict(ended) or (None if _result(ended) in sound.evaluations else "another result")


def _alike(run: RunFolder, longer: RunFolder) -> bool:
    mine, theirs = checkpoints(run.checkpoints)[0], checkpoints(longer.checkpoints)[0]
    return all((mine / p.name).read_bytes() == p.read_bytes() for p in theirs.glob("*.safetensors"))


def _evaluate(model: Path) -> list[str]:
    return ["evaluate", "--checkpoint", str(model), "--puzzles", "8", "--seed", "5", "--json"]


def _resume(subject: Subject, folder: RunFolder) -> list[str]:
    return [*subject.command(folder.name), "--max-updates", str(LONGER)]


def _result(ended: Running) -> object:
    """What an evaluation found, without its speed."""
    text = ended.output
    found = json.loads(text[text.index("{") :])
    return found["all"]
