"""`scripts/tune_ray.py`: from flags to a sweep's folder, from there to Ray Tune, and to the report."""

from __future__ import annotations

import os
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
import yaml

from hrm_rl.cli.flags import flag_value, parse
from hrm_rl.config import Section, absolute_paths, flatten
from hrm_rl.sweeps.checks import build_space
from hrm_rl.sweeps.file import read_content
from hrm_rl.sweeps.plan import check_data, dry_run, first_samples, plan_resources
from hrm_rl.sweeps.results.folder import SweepFolder
from hrm_rl.sweeps.results.records import Book, write_sweep
from hrm_rl.sweeps.search import number_of_trials
from hrm_rl.sweeps.space import Space
from hrm_rl.training.resources import this_machine
from hrm_rl.utils.console import duration, shown_path, typed
from hrm_rl.utils.errors import UserError, nearest, one_line

SCRIPT = "scripts/tune_ray.py"
RESOURCE_FLAGS = ("workers-per-trial", "cpus-per-trial", "gpus-per-trial", "max-concurrent")
SPACES = Path("tune_configs")


class TuneCommand(Section):
    """Flags of scripts/tune_ray.py."""

    space: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """The sweep: base preset, settings to try, scheduler, searcher and budget, as in tune_configs/."""
    num_samples: int | None = None
    """Trials, times the combinations of grid settings; as in the file if not given."""
    max_updates: int | None = None
    """Updates of a trial; as in the file if not given."""
    seed: int = 0
    """Seed of the samples. What is random in a trial goes by its own setting `seed`."""
    sweep_name: str | None = None
    """Name of the sweep's folder; the file's name and the time if not given."""
    storage_path: str = "sweeps"
    """Folder that holds the sweeps; on a cluster, one that all nodes share."""
    resume: bool = False
    """Go on with the sweep called --sweep-name; trials that are over are left alone.
    --num-samples adds to it."""
    report: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
    """Make table, results.csv, best.yaml and pictures of the sweep in DIR again,
    running or broken as it may be."""
    workers_per_trial: int = 1
    """1: a trial is one process. More: each trial is a Ray Train run of so many workers."""
    cpus_per_trial: float | None = None
    """CPUs, and so threads, of a whole trial; 1 a process, or the GPUs' even share."""
    gpus_per_trial: float | None = None
    """GPUs of a whole trial, a fraction to share one; 1 a process if there are GPUs."""
    max_concurrent: int | None = None
    """Trials at once; as many as fit if not given."""
    address: str | None = None
    """Ray cluster to run on, for example auto; Ray is started on this machine if not given."""
    dry_run: bool = False
    """Print the space, the first samples, the plan and the time it would take. Starts
    no Ray, writes nothing."""
    verbose: bool = False
    """Show Ray's own messages too."""


@dataclass(frozen=True)
class SweepPlan:
    """What is to be run, where."""

    folder: Path
    content: dict[str, Any]
    """The sweep's file."""
    file: str
    space: Space
    seed: int
    trials: int


def main(args: Sequence[str]) -> int:
    """Run scripts/tune_ray.py. Returns the exit status; raises UserError."""
    command = parse(
        TuneCommand(),
        args,
        "Search over settings: many runs, the worse ones stopped early.",
        f"python {SCRIPT}",
    )
    if command.report is not None:
        from hrm_rl.sweeps.results.report import write_report

        print(write_report(Path(command.report)))
        return 0
    sweep = _resumed(command, args) if command.resume else _new(command)
    machine = this_machine()
    remote = command.address or os.environ.get("RAY_ADDRESS")
    if remote and not command.dry_run:
        from hrm_rl.distributed.cluster import connect

        machine = connect(remote, machine, command.verbose)
    resources = plan_resources(
        command.workers_per_trial,
        command.cpus_per_trial,
        command.gpus_per_trial,
        command.max_concurrent,
        machine,
        sweep.space,
        f"{typed('python')} {SCRIPT} {_without(args, RESOURCE_FLAGS)}".strip(),
    )
    if command.dry_run:
        shown = yaml.safe_dump(sweep.content, sort_keys=False)
        dry_run(sweep.space, shown, sweep.seed, sweep.trials, resources, machine)
        return 0
    notes = check_data(sweep.space, first_samples(sweep.space, sweep.seed, sweep.trials))
    write_sweep(sweep.folder, sweep.content, sweep.file, sweep.space, sweep.seed, sweep.trials)
    book = Book.open(sweep.folder)
    over = sum(record.over for record in book.records.values())
    print(_banner(sweep, resources.describe(sweep.trials, machine), over), *notes, sep="\n", flush=True)

    from hrm_rl.distributed.cluster import connect
    from hrm_rl.distributed.sweep import run_sweep
    from hrm_rl.distributed.trial import TrialPlan
    from hrm_rl.sweeps.results.display import Display
    from hrm_rl.sweeps.results.report import write_report

    connect(remote, machine, command.verbose)
    plan = TrialPlan(book.folder, sweep.space, resources.group, resources.cpus, resources.gpus)
    resume = _resume_command(sweep.folder, args)
    try:
        display = Display(book, sweep.trials, resources.concurrent, sweep.space.file.budget.max_updates)
        with display:
            spent = run_sweep(
                plan,
                book,
                sweep.seed,
                sweep.trials,
                resources.concurrent,
                display,
                display.say,
            )
    except UserError as error:
        raise UserError(f"{error}; go on with: {resume}") from None
    except KeyboardInterrupt:
        print(f"stopped at once; go on with: {resume}", file=sys.stderr)
        return 130
    except Exception as error:
        return _failed(error, sweep.folder, resume)
    print(write_report(sweep.folder))
    print(
        f"updates    {spent.share:.0%} of the time since the first trial started ({duration(spent.seconds)} "
        "x "
        f"{spent.concurrent} trials at once) was spent in updates"
    )
    if not spent.complete:
        print(f"stopped; go on with: {resume}")
        return 130
    failed = sum(record.status == "failed" for record in book.records.values())
    return 1 if failed == len(book.records) else 0


def _new(command: TuneCommand) -> SweepPlan:
    if command.space is None:
        files = ", ".join(str(path) for path in sorted(SPACES.glob("*.yaml")))
        raise UserError(f"--space FILE is missing: what to search{f' ({files})' if files else ''}")
    file = Path(command.space)
    if not file.exists():
        near = nearest(str(file), [str(path) for path in SPACES.glob("*.yaml")])
        raise UserError(f"there is no file {file}{near}")
    content = read_content(file)
    space = build_space(content, str(file), command.max_updates)
    space = replace(space, base=absolute_paths(space.base))
    settings = flatten(space.base.model_dump(mode="json"))
    content = {**content, "set": {name: settings[name] for name in space.file.set}}
    trials = number_of_trials(space, command.num_samples)
    name = command.sweep_name or f"{file.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = _folder(command, name)
    if folder.exists():
        raise UserError(
            f"sweep {name} exists in {folder.parent}: go on with it with --sweep-name {name} --resume, or "
            "choose "
            "another --sweep-name"
        )
    return SweepPlan(folder, content, file.name, space, command.seed, trials)


def _resumed(command: TuneCommand, args: Sequence[str]) -> SweepPlan:
    for flag in ("space", "seed", "max-updates"):
        if flag_value(args, flag) is not None:
            raise UserError(
                f"--resume takes the sweep's own settings: leave out --{flag}, or start a new sweep"
            )
    root = Path(command.storage_path)
    if command.sweep_name is None:
        names = sorted(path.name for path in root.glob("*") if SweepFolder(path).file.exists())
        raise UserError(
            f"--resume needs --sweep-name NAME, the sweep to go on with (in {root}: "
            f"{', '.join(names) or 'none'})"
        )
    folder = _folder(command, command.sweep_name)
    stored = SweepFolder(folder).file
    if not stored.exists():
        raise UserError(f"there is no sweep to resume in {folder}; leave out --resume to start it")
    record = read_content(stored)
    try:
        content, file = record["space"], str(record["file"])
        seed, trials, updates = int(record["seed"]), int(record["num_samples"]), int(record["max_updates"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{stored} is damaged ({error}); --report {folder} still works") from None
    space = build_space(content, str(stored), updates)
    if command.num_samples is not None:
        trials = number_of_trials(space, command.num_samples)
    return SweepPlan(folder, content, file, space, seed, trials)


def _folder(command: TuneCommand, name: str) -> Path:
    if Path(name).name != name or name.startswith("."):
        raise UserError(f"--sweep-name {name} must be a plain folder name; --storage-path says where it lies")
    return Path(command.storage_path).absolute() / name


def _banner(sweep: SweepPlan, resources: str, over: int) -> str:
    file = sweep.space.file
    names = ", ".join(sweep.space.dimensions)
    rows = [
        ("search", f"{names} ({file.searcher.name})"),
        (
            "aim",
            f"{file.mode} {file.metric}, {file.budget.max_updates} updates a trial, scheduler "
            f"{file.scheduler.name}",
        ),
        ("trials", resources),
        ("folder", shown_path(sweep.folder)),
    ]
    if over:
        rows.append(("resumed", f"{over} of {sweep.trials} trials over already"))
    lines = [f"{sweep.folder.name}: {sweep.file} on preset {file.base}"]
    return "\n".join([*lines, *(f"  {name:<12} {text}" for name, text in rows), ""])


def _failed(error: Exception, folder: Path, resume: str) -> int:
    """One line for an error that is nobody's mistake known here; the traceback goes to error.log."""
    (folder / "error.log").write_text("".join(traceback.format_exception(error)))
    summary = one_line(error, 500)
    print(
        f"error: {type(error).__name__}: {summary} (all of it: {shown_path(folder)}/error.log)\ngo on with: "
        f"{resume}",
        file=sys.stderr,
    )
    return 1


def _without(args: Sequence[str], flags: Sequence[str]) -> str:
    """The command line without some flags and their values."""
    kept, skip = [], False
    for arg in args:
        name = arg.partition("=")[0].removeprefix("--").replace("_", "-")
        if skip:
            skip = False
        elif arg.startswith("--") and name in flags:
            skip = "=" not in arg
        else:
            kept.append(arg)
    return shlex.join(kept)


def _resume_command(folder: Path, args: Sequence[str]) -> str:
    """The command that goes on with this sweep: its resources as typed, all else from its folder."""
    parts = [typed("python"), SCRIPT, "--sweep-name", shlex.quote(folder.name)]
    for name in ("storage-path", *RESOURCE_FLAGS, "address"):
        value = flag_value(args, name)
        if value is not None:
            parts += [f"--{name}", shlex.quote(value)]
    return " ".join([*parts, "--resume"])
