"""`hrm-rl tune`: from flags to a sweep's folder, from there to Ray Tune, and to the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
import yaml

import hrm_rl
from hrm_rl.cli.flags.common import flag_value, parse
from hrm_rl.cli.flags.resuming import failed, folder_named, resume_command, retyped, without
from hrm_rl.config import PathText, Section, Seed, absolute_paths, flatten
from hrm_rl.utils import output, stops
from hrm_rl.utils.claims import FolderKind
from hrm_rl.utils.console import duration, shown_path, typed_path
from hrm_rl.utils.errors import UserError, nearest
from hrm_rl.utils.locks import held_by

if TYPE_CHECKING:
    from hrm_rl.runs.stored import Kept
    from hrm_rl.sweeps.space import Space
    from hrm_rl.utils.stores import Store

RESOURCE_FLAGS = ("workers-per-trial", "cpus-per-trial", "gpus-per-trial", "max-concurrent")
SWEEP = FolderKind("sweep", "sweep-name", "sweep.yaml")
SPACES = Path(hrm_rl.__file__).parents[1] / "tune_configs"
"""The sweeps that come with the package, in a checkout as in a wheel."""


class TuneCommand(Section):
    """Search over settings: many runs, the worse ones stopped early."""

    space: Annotated[PathText | None, tyro.conf.arg(metavar="FILE")] = None
    """The sweep: base preset, settings to try, scheduler, searcher and budget. A YAML file, or the name of
    one that comes with hrm-rl, such as quick."""
    num_samples: int | None = None
    """Trials, times the combinations of grid settings; as in the file if not given."""
    max_updates: int | None = None
    """Updates of a trial; as in the file if not given."""
    seed: Seed = 0
    """Seed of the samples. What is random in a trial goes by its own setting `seed`."""
    sweep_name: str | None = None
    """Name of the sweep's folder; the file's name and the time, and a number if that is taken, if not
    given."""
    storage_path: PathText = "sweeps"
    """Folder that holds the sweeps; on a cluster, one that all nodes share. Or a URI, such as
    s3://BUCKET/sweeps: the sweep is kept there as well."""
    resume: bool = False
    """Resume the sweep called --sweep-name; finished trials are left alone. --num-samples adds to it."""
    report: Annotated[PathText | None, tyro.conf.arg(metavar="DIR")] = None
    """Make table, results.csv, best.yaml and pictures of the sweep in DIR again, even while it runs or after
    a crash."""
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
    """Print the space, the first samples, the plan and the time it would take. Starts no Ray, writes
    nothing."""
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
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(TuneCommand(), args, "tune")
    if command.report is not None:
        from hrm_rl.runs.stored import small_files
        from hrm_rl.sweeps.results.report import write_report

        print(write_report(small_files(command.report)))
        return 0

    from hrm_rl.runs.stored import Kept, folder_for

    sweep = _resumed(command, args) if command.resume else _new(command)
    if command.dry_run:
        return _search(command, sweep, args, Kept(sweep.folder))

    if command.resume:
        _refuse_trials_in_use(sweep.folder)
    name, given = sweep.folder.name, command.sweep_name is not None
    with folder_for(command.storage_path, name, given, command.resume, SWEEP) as kept:
        status = _search(command, replace(sweep, folder=kept.path), args, kept)
    return status or int(bool(kept.left))


def _search(command: TuneCommand, sweep: SweepPlan, args: Sequence[str], kept: Kept) -> int:
    """Run the sweep in its folder, whose lock is held, or do a dry run."""
    from hrm_rl.runs.stored import refuse_nodes
    from hrm_rl.sweeps.plan import check_data, dry_run, first_samples, plan_resources
    from hrm_rl.sweeps.results.records import Book, write_sweep
    from hrm_rl.training.resources import cluster_address, this_machine

    machine = this_machine()
    remote = None if command.dry_run else cluster_address(command.address)
    if remote:
        from hrm_rl.distributed.cluster import connect

        machine = connect(remote, machine, command.verbose)
    refuse_nodes(kept, len(machine.nodes))
    resources = plan_resources(
        command.workers_per_trial,
        command.cpus_per_trial,
        command.gpus_per_trial,
        command.max_concurrent,
        machine,
        sweep.space,
        retyped("tune", without(args, RESOURCE_FLAGS)),
    )
    if command.dry_run:
        shown = yaml.safe_dump(sweep.content, sort_keys=False)
        dry_run(sweep.space, shown, sweep.seed, sweep.trials, resources, machine)
        return 0
    from hrm_rl.distributed.cluster import Start, connect

    start = None
    if not remote and stops.shields():  # Ray ends with this process
        then = partial(import_module, "hrm_rl.distributed.sweep")
        start = Start(machine, command.verbose, True, then, partial(print, flush=True))
    notes = check_data(sweep.space, first_samples(sweep.space, sweep.seed, sweep.trials))
    if start is not None:
        start.wait()
    connect(remote, machine, command.verbose)
    write_sweep(sweep.folder, sweep.content, sweep.file, sweep.space, sweep.seed, sweep.trials)
    book = Book.open(sweep.folder)
    over = sum(record.over for record in book.records.values())
    about = _banner(sweep, resources.describe(sweep.trials, machine), over, kept.store)
    output.say_when_lost(f"nobody reads the output any more: the sweep goes on in {shown_path(sweep.folder)}")
    print(about, *notes, sep="\n", flush=True)

    from hrm_rl.distributed.sweep import run_sweep
    from hrm_rl.distributed.trial import TrialPlan
    from hrm_rl.sweeps.results.display import Display
    from hrm_rl.sweeps.results.report import write_report

    plan = TrialPlan(book.folder, sweep.space, resources.group, resources.cpus, resources.gpus)
    resume = resume_command("tune", "sweep-name", sweep.folder, args, RESOURCE_FLAGS)
    at_once = f"stopped at once; resume with: {resume}"
    with stops.at_once(at_once):
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
                    at_once,
                )
        except UserError as error:
            raise UserError(f"{error}; resume with: {resume}") from None
        except KeyboardInterrupt as error:
            raise stops.Stopped.of(error, at_once) from None
        except Exception as error:
            return failed(error, sweep.folder / "error.log", resume)
        print(write_report(sweep.folder))
    print(
        f"updates    {spent.share:.0%} of the time since the first trial started "
        f"({duration(spent.seconds)} x {spent.concurrent} trials at once) was spent in updates"
    )
    if not spent.complete:
        print(f"stopped; resume with: {resume}")
        return stops.status()
    return 1 if all(record.status == "failed" for record in book.records.values()) else 0


def _new(command: TuneCommand) -> SweepPlan:
    from hrm_rl.sweeps.checks import build_space
    from hrm_rl.sweeps.file import read_content
    from hrm_rl.sweeps.search import number_of_trials

    file = _space_file(command.space)
    content = read_content(file)
    space = build_space(content, str(file), command.max_updates)
    space = replace(space, base=absolute_paths(space.base))
    settings = flatten(space.base.model_dump(mode="json"))
    content = {**content, "set": {name: settings[name] for name in space.file.set}}
    trials = number_of_trials(space, command.num_samples)
    name = command.sweep_name
    if name is None:
        name = f"{file.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = folder_named(name, "sweep-name", command.storage_path)
    if command.sweep_name is not None:
        SWEEP.refuse_taken(folder)
    return SweepPlan(folder, content, file.name, space, command.seed, trials)


def _refuse_trials_in_use(path: Path) -> None:
    """Refuse to resume a sweep while somebody trains one of its trials as a run. Raises UserError."""
    from hrm_rl.sweeps.results.folder import SweepFolder

    folder = SweepFolder(path)
    for id in folder.trial_ids():
        if by := held_by(folder.trial(id).path):
            raise UserError(f"trial {id} of sweep {path.name} is in use by {by}: wait for its end")


def _space_file(given: str | None) -> Path:
    """The sweep's file: a path, or the name of one that comes with the package. Raises UserError."""
    shipped = {path.stem: path for path in sorted(SPACES.glob("*.yaml"))}
    if given is None:
        raise UserError(f"--space FILE is missing: what to search (with hrm-rl come {', '.join(shipped)})")
    file = Path(given) if Path(given).exists() else shipped.get(given, Path(given))
    if not file.is_file():
        names = [*shipped, *(f"tune_configs/{name}.yaml" for name in shipped if SPACES.parent == Path.cwd())]
        raise UserError(
            f"there is no file {file}{nearest(given, names)} (with hrm-rl come {', '.join(shipped)})"
        )
    return file


def _resumed(command: TuneCommand, args: Sequence[str]) -> SweepPlan:
    from hrm_rl.runs.dependencies import moved, refusal
    from hrm_rl.runs.stored import file_of
    from hrm_rl.sweeps.checks import build_space
    from hrm_rl.sweeps.file import read_content
    from hrm_rl.sweeps.results.folder import SweepFolder
    from hrm_rl.sweeps.results.records import digests_of
    from hrm_rl.sweeps.search import number_of_trials

    for flag in ("space", "seed", "max-updates"):
        if flag_value(args, flag) is not None:
            raise UserError(
                f"--resume takes the sweep's own settings: leave out --{flag}, or start a new sweep"
            )
    if command.sweep_name is None:
        root = command.storage_path
        names = sorted(p.name for p in Path(root).glob("*") if SweepFolder(p).file.exists())
        raise UserError(
            f"--resume needs --sweep-name NAME, the sweep to resume (in {root}: {', '.join(names) or 'none'})"
        )
    folder = folder_named(command.sweep_name, "sweep-name", command.storage_path)
    stored = file_of(command.storage_path, command.sweep_name, SWEEP.mark)
    if stored is None:
        raise UserError(
            f"there is no sweep to resume in {command.storage_path}/{command.sweep_name}; leave out --resume "
            "to start it"
        )
    record = read_content(stored)
    try:
        content, file = record["space"], str(record["file"])
        seed, trials, updates = int(record["seed"]), int(record["num_samples"]), int(record["max_updates"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{stored} is damaged ({error}); --report {typed_path(folder)} still works") from None
    space = build_space(content, str(stored), updates)
    changed = moved(record.get("digests") or {}, digests_of(space))
    if changed:
        raise UserError(refusal(changed, "sweep"))
    if command.num_samples is not None:
        trials = number_of_trials(space, command.num_samples)
    return SweepPlan(folder, content, file, space, seed, trials)


def _banner(sweep: SweepPlan, resources: str, over: int, store: Store | None) -> str:
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
    if store is not None:
        rows.append(("kept in", f"{store.located()}, uploaded beside the trials"))
    if over:
        rows.append(("resumed", f"{over} of {sweep.trials} trials over already"))
    lines = [f"{sweep.folder.name}: {sweep.file} on preset {file.base}"]
    return "\n".join([*lines, *(f"  {name:<12} {text}" for name, text in rows), ""])
