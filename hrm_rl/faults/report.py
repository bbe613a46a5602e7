"""Many faults, drawn from a seed, and the table of what came of them."""

from __future__ import annotations

import itertools
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hrm_rl.faults import cluster
from hrm_rl.faults.cluster import VICTIMS, killed_in_a_sweep, killed_under_ray, swept
from hrm_rl.faults.commands import Commands
from hrm_rl.faults.files import DAMAGES, damaged, prepare
from hrm_rl.faults.kills import MOMENTS, asked_to_stop, killed, killed_exporting
from hrm_rl.faults.replicas import killed_serving
from hrm_rl.faults.subject import Subject
from hrm_rl.faults.surroundings import full_by_quota, full_disk, odd
from hrm_rl.utils.errors import UserError

Fault = Callable[[random.Random], str | None]
"""Strikes once, with a source of chance. Returns what was wrong afterwards, or None."""
RAY_EVERY = 25
"""One fault in so many is under Ray, if there are as many."""
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@dataclass
class Outcome:
    """What came of the faults of one kind."""

    kind: str
    times: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def kinds_of_fault(subject: Subject) -> dict[str, Fault]:
    """Every kind by its name. Makes the runs that they compare with. Raises UserError if that fails."""
    began = time.monotonic()
    ended = subject.finish("whole")
    if ended.status != 0:
        raise UserError(f"the run to compare with ended with exit status {ended.status}; see {ended.log}")
    whole, length = subject.folder("whole"), time.monotonic() - began
    sound = prepare(subject, whole)
    kinds: dict[str, Fault] = {
        moment: lambda chance, moment=moment: killed(subject, whole, length, moment, chance)  # type: ignore[misc]
        for moment in MOMENTS
    }
    kinds["kill -9 of an export"] = lambda chance: killed_exporting(subject, whole, chance)
    for number in STOPS:
        kinds[f"{number.name} at any moment"] = lambda chance, number=number: asked_to_stop(  # type: ignore[misc]
            subject, whole, length, number, chance
        )
    for damage in DAMAGES:
        kinds[f"a file {damage}"] = lambda chance, damage=damage: damaged(  # type: ignore[misc]
            subject, sound, damage, chance
        )
    kinds["a quota of file size"] = lambda chance: full_by_quota(subject, whole, chance)
    kinds["a full disk"] = lambda chance: full_disk(subject, whole, chance)
    kinds["odd surroundings"] = lambda chance: odd(subject, whole, chance)
    return kinds


def kinds_under_ray(subject: Subject) -> dict[str, Fault]:
    """Those of a run with two workers, which takes most of a minute."""
    ended = subject.finish("whole", cluster.LONGEST)
    if ended.status != 0:
        raise UserError(f"the run under Ray ended with exit status {ended.status}; see {ended.log}")
    whole, sweep = subject.folder("whole"), subject.runs / "sweep"
    swept(subject, sweep.name).wait(cluster.LONGEST)
    kinds: dict[str, Fault] = {
        f"kill -9 of {victim}": lambda chance, victim=victim: killed_under_ray(  # type: ignore[misc]
            subject, whole, victim, chance
        )
        for victim in VICTIMS
    }
    kinds["kill -9 of a trial of a sweep"] = lambda chance: killed_in_a_sweep(subject, sweep, chance)
    kinds["kill -9 of a replica that serves"] = lambda chance: killed_serving(subject, whole, chance)
    return kinds


def strike(times: int, seed: int, say: Callable[[str], None]) -> list[Outcome]:
    """Break things `times` times, every second time by a kill, one time in RAY_EVERY under Ray, each kind in
    turn, the rest drawn from `seed`. What went wrong is left in a folder that `say` is told of."""
    place = Path(tempfile.mkdtemp(prefix="hrm-rl-faults-"))
    place.chmod(0o755)
    for name in ("runs", "ray"):
        (place / name).mkdir()
    outcomes: dict[str, Outcome] = {}
    with Commands(place) as commands:
        here = kinds_of_fault(Subject(commands, place / "runs"))
        remote = kinds_under_ray(Subject(commands, place / "ray", workers=2)) if times >= RAY_EVERY else {}
        kills = {kind: fault for kind, fault in here.items() if kind.startswith("kill")}
        others = {kind: fault for kind, fault in here.items() if kind not in kills}
        turns = [(group, itertools.cycle(group)) for group in (kills, others, remote)]
        for n in range(times):
            group, turn = turns[2 if remote and n % RAY_EVERY == RAY_EVERY - 1 else n % 2]
            kind = next(turn)
            outcome, began = outcomes.setdefault(kind, Outcome(kind)), time.monotonic()
            wrong = group[kind](random.Random(f"{seed} {n}"))
            outcome.times += 1
            outcome.seconds += time.monotonic() - began
            if wrong is not None:
                outcome.wrong.append(f"fault {n}: {wrong}")
                say(f"{kind}: {outcome.wrong[-1]}")
            elif n % 10 == 9:
                say(f"{n + 1} of {times} faults")
    if any(outcome.wrong for outcome in outcomes.values()):
        say(f"what is left of these runs is in {place}")
    else:
        shutil.rmtree(place)
    return [outcomes[kind] for kind in [*here, *remote] if kind in outcomes]


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as a table in Markdown."""
    rows = [f"| {o.kind} | {o.times} | {len(o.wrong)} | {o.seconds / o.times:.1f} |" for o in outcomes]
    total, wrong = sum(o.times for o in outcomes), sum(len(o.wrong) for o in outcomes)
    head = ["| fault | times | wrong afterwards | seconds each |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, f"| all | {total} | {wrong} | |"])
