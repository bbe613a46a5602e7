"""Faults that end a process: at any moment, and at those that matter most."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable

from hrm_rl.faults.commands import LONGEST, Running, verdict
from hrm_rl.faults.subject import Subject, differences
from hrm_rl.runs.folder import RunFolder, parse_metrics
from hrm_rl.runs.selection import checkpoints, update_of

Moment = Callable[[Running, RunFolder, random.Random, float], None]
"""Waits, with a running command, its folder, a source of chance and the length of an undisturbed run in
seconds, for the moment of the fault."""


def any_moment(running: Running, folder: RunFolder, chance: random.Random, length: float) -> None:
    running.until(lambda: False, chance.uniform(0, length))


def in_a_checkpoint(running: Running, folder: RunFolder, chance: random.Random, length: float) -> None:
    """While its files are being written."""
    running.until(_appeared(folder, ".update-*", chance.randrange(4)), every=0.0005)
    running.until(lambda: False, chance.uniform(0, 0.004), every=0.0005)


def after_a_checkpoint(running: Running, folder: RunFolder, chance: random.Random, length: float) -> None:
    """When it has its name and older ones are being deleted."""
    running.until(_appeared(folder, "update-*", chance.randrange(4)), every=0.0005)


def _appeared(folder: RunFolder, pattern: str, before: int) -> Callable[[], bool]:
    """Whether a checkpoint's folder has been seen, after `before` others."""
    seen: set[str] = set()

    def there() -> bool:
        seen.update(path.name for path in folder.checkpoints.glob(pattern))
        return len(seen) > before

    return there


def in_a_record(running: Running, folder: RunFolder, chance: random.Random, length: float) -> None:
    """As metrics.jsonl grows."""
    which = chance.randrange(1, 18)
    sizes: set[int] = set()

    def grown() -> bool:
        if folder.metrics.exists():
            sizes.add(folder.metrics.stat().st_size)
        return len(sizes) > which

    running.until(grown, every=0.0005)


MOMENTS: dict[str, Moment] = {
    "kill -9 at any moment": any_moment,
    "kill -9 in a checkpoint": in_a_checkpoint,
    "kill -9 just after a checkpoint": after_a_checkpoint,
    "kill -9 in a metrics line": in_a_record,
}


def killed(
    subject: Subject, whole: RunFolder, length: float, moment: str, chance: random.Random
) -> str | None:
    """Kill a run at a moment, half of them once more after resuming, let it finish and compare it with the
    whole one. Returns what is wrong, or None."""
    folder = subject.folder(f"killed-{chance.randrange(10**9)}")
    for _ in range(1 + (chance.random() < 0.5)):
        running = subject.start(folder.name)
        MOMENTS[moment](running, folder, chance, length)
        running.kill()
        if moment == "kill -9 in a metrics line":
            _cut_last_line(folder, chance)
    return finished(subject, folder, whole)


def asked_to_stop(
    subject: Subject, whole: RunFolder, length: float, number: int, chance: random.Random
) -> str | None:
    """Ask a run to stop by a signal at any moment. It has to end with a checkpoint and 128 + the signal, or
    not to have begun; then let it finish."""
    folder = subject.folder(f"stopped-{chance.randrange(10**9)}")
    running = subject.start(folder.name)
    any_moment(running, folder, chance, length)
    running.kill(number)
    if running.wait() is None:
        return f"no end after {signal.Signals(number).name}"
    allowed = (0, 128 + number)  # it was over before; it stopped
    if running.status not in allowed or "Traceback" in running.output:
        return f"exit {running.status} after {signal.Signals(number).name}"
    return finished(subject, folder, whole)


def killed_exporting(subject: Subject, whole: RunFolder, chance: random.Random) -> str | None:
    """Kill an export. Its folder has to be absent or whole."""
    out = subject.runs / f"exported-{chance.randrange(10**9)}"
    running = subject.commands.start(["export", "--checkpoint", str(whole.path), "--out", str(out)])
    seen: Callable[[], bool] = lambda: any(out.parent.glob(f"*{out.name}*"))  # noqa: E731
    if chance.random() < 0.5:
        running.until(seen, every=0.0005)
    else:
        running.until(lambda: False, chance.uniform(0, 1.0))
    running.kill()
    if out.exists():
        used = subject.commands.run(["evaluate", "--checkpoint", str(out), "--puzzles", "4", "--json"])
        if used.status != 0:
            return "a folder is there that cannot be used"
    again = subject.commands.run(["export", "--checkpoint", str(whole.path), "--out", str(out)])
    said = verdict(again)
    shutil.rmtree(out, ignore_errors=True)
    return said


def finished(subject: Subject, folder: RunFolder, whole: RunFolder, seconds: float = LONGEST) -> str | None:
    """Let a run that was struck finish, and compare it with the whole one. Returns what is wrong, or None."""
    if not _complete(folder, whole):
        ended = subject.finish(folder.name, seconds)
        if ended.status != 0 and "is finished at update" not in ended.output:
            return verdict(ended) or f"exit {ended.status}: {ended.output.strip().splitlines()[-1]}"
    found = differences(folder, whole)
    if not found:
        shutil.rmtree(folder.path)
    return "; ".join(found) or None


def _complete(folder: RunFolder, whole: RunFolder) -> bool:
    """Whether the fault came too late."""
    last = max(p.name for p in whole.checkpoints.glob("update-*"))
    return folder.checkpoint(int(last.removeprefix("update-"))).exists()


def _cut_last_line(folder: RunFolder, chance: random.Random) -> None:
    """What a crash of the machine leaves of a line that was being written. Lines of before a checkpoint are
    on the disk."""
    if not folder.metrics.exists():
        return
    content = folder.metrics.read_bytes()
    line = content.rstrip(b"\n").rsplit(b"\n", 1)[-1]
    saved = max((update_of(path) for path in checkpoints(folder.checkpoints)), default=-1)
    records = parse_metrics(line.decode())
    if records and records[0]["update"] > saved:
        folder.metrics.write_bytes(content[: len(content) - chance.randrange(1, len(line) + 1)])
