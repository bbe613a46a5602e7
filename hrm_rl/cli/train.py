"""`hrm-rl train`: from flags to a run folder, and from there to Ray or to this process."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from hrm_rl.cli.flags.common import flag_value, parse
from hrm_rl.cli.flags.resuming import failed, folder_named, resume_command, retyped, without
from hrm_rl.config import (
    Config,
    PathText,
    Section,
    absolute_paths,
    get_preset,
    load_config,
    over,
    read_settings,
    validate,
)
from hrm_rl.utils import output, stops
from hrm_rl.utils.claims import FolderKind
from hrm_rl.utils.console import (
    duration,
    held_out_result,
    program,
    shown_path,
    slow_work,
    typed,
    typed_command,
    typed_path,
)
from hrm_rl.utils.errors import NotResumable, UserError, nearest, refused_by_disk
from hrm_rl.utils.locks import held_by

if TYPE_CHECKING:
    from hrm_rl.runs.folder import RunFolder
    from hrm_rl.runs.stored import Kept
    from hrm_rl.training.resources import Plan
    from hrm_rl.training.worker import RunOutcome
    from hrm_rl.utils.stores import Store

DEFAULT_PRESET = "sudoku9-curriculum"
RUN = FolderKind("run", "run-name", "config.yaml")
RESOURCE_FLAGS = ("num-workers", "gpus-per-worker", "cpus-per-worker")


class Launch(Section):
    """How and where the run is started."""

    num_workers: str | None = None
    """Ray workers: N, LOW:HIGH (elastic), or 0 to train in this process; one for each GPU, else 1."""
    gpus_per_worker: float | None = None
    """GPUs of each worker, a fraction to share one; 1 if there are GPUs, else 0."""
    cpus_per_worker: float | None = None
    """CPUs, and so threads, of each worker; an even share of the machine."""
    address: str | None = None
    """Ray cluster to run on, for example auto; Ray is started on this machine if not given."""
    config: Annotated[PathText | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file of settings, put over the preset: the one that it names, else the one given."""
    run_name: str | None = None
    """Name of the run's folder; the preset and the time, and a number if that is taken, if not given."""
    storage_path: PathText = "runs"
    """Folder that holds the run folders; on a cluster, one that all nodes share. Or a URI, such as
    s3://BUCKET/runs: the run is kept there as well."""
    resume: bool = False
    """Resume the run called --run-name from its last checkpoint."""
    max_updates: int | None = None
    """Short for --train.max-updates."""
    dry_run: bool = False
    """Build everything, do one update, print the plan, and stop. Starts no Ray, writes no run folder."""
    verbose: bool = False
    """Show Ray's own messages too."""


class TrainCommand(Section):
    """Train a recurrent reasoning model. Settings come from the preset, then --config, then flags."""

    launch: tyro.conf.OmitArgPrefixes[Launch] = Launch()
    """How and where the run is started"""
    settings: Annotated[Config, tyro.conf.arg(name="")] = Config()
    """Every setting of the run"""

    @property
    def config(self) -> Config:
        """The run's settings."""
        if self.launch.max_updates is None:
            return self.settings
        values = self.settings.model_dump()
        values["train"]["max_updates"] = self.launch.max_updates
        return validate(values, "--max-updates")


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(TrainCommand(settings=_defaults(args)), args, "train")
    config, launch = absolute_paths(command.config), command.launch

    from hrm_rl.runs.stored import Kept, folder_for

    name = _name(launch, config)
    path = folder_named(name, "run-name", launch.storage_path)
    if launch.dry_run:
        if not launch.resume:
            RUN.refuse_taken(path)
        return _train(config, launch, Kept(path), args)
    if launch.resume:
        _refuse_trial_of_running_sweep(path)
    given = launch.run_name is not None
    with folder_for(launch.storage_path, name, given, launch.resume, RUN) as kept:
        status = _train(config, launch, kept, args)
    return status or int(bool(kept.left))


def _train(config: Config, launch: Launch, kept: Kept, args: Sequence[str]) -> int:
    """Train in a folder whose lock is held, or do a dry run."""
    from hrm_rl.runs.folder import RunFolder
    from hrm_rl.runs.stored import refuse_nodes
    from hrm_rl.training.resources import check, cluster_address, in_this_process, make_plan, this_machine

    run = RunFolder(kept.path)
    machine = this_machine()
    remote = None
    if not in_this_process(launch.num_workers, launch.address) and not launch.dry_run:
        remote = cluster_address(launch.address)
    if remote:
        from hrm_rl.distributed.cluster import connect

        machine = connect(remote, machine, launch.verbose)
    plan = make_plan(
        launch.num_workers, launch.cpus_per_worker, launch.gpus_per_worker, machine, config.train.device
    )
    refuse_nodes(kept, len(machine.nodes))
    check(plan, machine, config.train.global_batch_size, retyped("train", without(args, RESOURCE_FLAGS)))
    start = None
    if plan.high and not remote and not launch.dry_run and stops.shields():  # Ray ends with this process
        from hrm_rl.distributed.cluster import Start

        start = Start(machine, launch.verbose, launch.verbose, _summon, partial(print, flush=True))
    from hrm_rl.data.streams import build_data  # slow to import, beside the start of Ray
    from hrm_rl.training.plan import banner, dry_run

    if launch.dry_run:
        dry_run(config, plan, machine, run.path)
        return 0
    with slow_work() as progress:
        # What is wrong with files, levels and sizes is said, and what is slow to make is made, before any
        # worker starts.
        data = build_data(config, progress=progress)
    data.source.close()
    about = banner(config, data, plan, run.path, kept.store.located() if kept.store else None)
    if launch.resume:
        _check_resumable(run, config)
    output.say_when_lost(f"nobody reads the output any more: the run goes on in {shown_path(run.path)}")
    print(about, *data.notes, sep="\n", flush=True)
    if plan.high:
        if start is not None:
            start.wait()
        from hrm_rl.distributed.cluster import connect

        connect(remote, machine, launch.verbose)
    run.begin(config, f"{program('train')} {shlex.join(args)}")
    resume = resume_command("train", "run-name", run.path, args, RESOURCE_FLAGS)
    with stops.at_once(f"stopped at once; resume with: {resume}"):
        return _run(launch, config, plan, run, kept.store, resume)


def _summon() -> None:
    """Beside the preparation of a run with Ray workers: import what starts them, and start what they need."""
    import hrm_rl.distributed.train  # noqa: F401
    from hrm_rl.distributed.group import summon_coordinator

    summon_coordinator()


def _run(launch: Launch, config: Config, plan: Plan, run: RunFolder, store: Store | None, resume: str) -> int:
    from hrm_rl.runs import selection
    from hrm_rl.training.local import train_here

    at_once = f"stopped at once; resume with: {resume}"
    try:
        if plan.high == 0:
            outcome = train_here(config, run.path, plan.threads, at_once=at_once)
        else:
            from hrm_rl.distributed.train import RunFailed, train_with_ray

            try:
                outcome = train_with_ray(config, run.path, plan, launch.verbose, at_once=at_once)
            except RunFailed as failure:
                print(f"error: {failure}\nresume with: {resume}", file=sys.stderr)
                return 1
    except NotResumable:
        raise
    except UserError as error:
        if selection.checkpoints(run.checkpoints):
            raise UserError(f"{error}; resume with: {resume}") from None
        raise
    except OSError as error:
        refused = refused_by_disk(error)
        if refused is None:
            return failed(error, run.error_log, resume)
        raise UserError(f"{refused}; resume with: {resume}") from None
    except KeyboardInterrupt as error:
        raise stops.Stopped.of(error, at_once) from None
    except Exception as error:
        return failed(error, run.error_log, resume)
    _print_summary(outcome, config, run, store, resume)
    return 0 if outcome.finished else stops.status()


def _defaults(args: Sequence[str]) -> Config:
    """Preset and file that the other flags are put over; of a resumed run, its own configuration."""
    if "--resume" in args:
        name = flag_value(args, "run-name")
        if name is None:
            raise UserError("--resume needs --run-name NAME, the run to resume")
        for flag in ("config", "preset"):
            if flag_value(args, flag) is not None:
                raise UserError(
                    f"--resume takes the run's own settings: leave out --{flag}, or start a new run"
                )
        from hrm_rl.runs.stored import file_of

        storage = os.path.expanduser(flag_value(args, "storage-path") or "runs")
        folder_named(name, "run-name", storage)  # refuses
        stored = file_of(storage, name, RUN.mark)
        if stored is None:
            raise UserError(
                f"there is no run to resume in {storage}/{name}{nearest(name, _runs_in(Path(storage)))}; "
                "leave out --resume to start it"
            )
        return load_config(stored, Config())
    preset, file = flag_value(args, "preset"), flag_value(args, "config")
    if file is None:
        return get_preset(preset or DEFAULT_PRESET)
    settings = read_settings(path := Path(os.path.expanduser(file)))
    return over(_preset_under(path, settings, preset), settings, str(path))


def _preset_under(file: Path, settings: dict[str, Any], given: str | None) -> Config:
    """The preset that the settings of a file are put over: the one that the file names, or that --preset
    gives. Raises UserError where they differ."""
    named = settings.get("preset")
    if not isinstance(named, str):  # one that is no name is refused with the other settings
        return get_preset(given or DEFAULT_PRESET)
    if given not in (None, named):
        raise UserError(f"{file} is on preset {named}, and --preset says {given}: leave one of them out")
    try:
        return get_preset(named)
    except UserError as error:
        raise UserError(f"{file}: {error}; leave out preset: if the file holds every setting") from None


def _name(launch: Launch, config: Config) -> str:
    if launch.run_name is not None:
        return launch.run_name
    return f"{config.preset}-{time.strftime('%Y%m%d-%H%M%S')}"


def _runs_in(storage: Path) -> list[str]:
    """Names of the runs there."""
    return [path.parent.name for path in storage.glob("*/config.yaml")]


def _refuse_trial_of_running_sweep(path: Path) -> None:
    """Refuse to resume a trial as a run while its sweep may train it. Raises UserError."""
    sweep = path.parent.parent
    by = held_by(sweep) if (sweep / "sweep.yaml").exists() else None
    if by is not None:
        raise UserError(
            f"run {path.name} is a trial of sweep {sweep.name}, which is in use by {by}: wait for its end"
        )


def _check_resumable(run: RunFolder, config: Config) -> None:
    """Raise UserError now for what would make every worker fail later."""
    from hrm_rl.runs import checkpoint, dependencies, selection

    said: list[str] = []
    path = selection.latest_sound(run.checkpoints, said.append)
    if path is None:
        if said:
            raise UserError(f"no checkpoint of {run.name} is sound: {'; '.join(said)}; start a new run")
        return
    state = checkpoint.read_state(path)
    checkpoint.refuse_changes(path, state, config)
    changed = dependencies.moved(state.digests, dependencies.digests(config))
    if changed:
        raise UserError(dependencies.refusal(changed, "run"))
    if state.update >= config.train.max_updates:
        raise UserError(
            f"run {run.name} is finished at update {state.update}: give a larger --max-updates "
            f"(now {config.train.max_updates}) to train on"
        )


def _best(score: float) -> str:
    """The best score of a run, in words (see `hrm_rl.evaluation.summaries.score_of`)."""
    return f"{score:.1%}" if score >= 0 else f"{-score:.3f} bits a byte"


def _print_summary(
    outcome: RunOutcome, config: Config, run: RunFolder, store: Store | None, resume: str
) -> None:
    shown = shlex.quote(store.located()) if store else typed_path(run.path)
    end = "finished" if outcome.finished else "stopped"
    print(
        f"\n{end} at update {outcome.update} of {config.train.max_updates} after {duration(outcome.seconds)}"
    )
    if outcome.accuracy is not None and outcome.solved is not None and outcome.segments_mean is not None:
        best = f" (best {_best(outcome.best_solved)})" if outcome.best_solved is not None else ""
        print(
            f"  held-out {held_out_result(outcome.accuracy, outcome.solved, best)}, "
            f"{outcome.segments_mean:.1f} segments of {config.halting.halt_max_steps}"
        )
    if len(config.curriculum.stages) > 1:
        print(f"  stage {outcome.stage + 1} of {len(config.curriculum.stages)}")
    if outcome.update:
        print(f"  evaluate:    {typed_command('evaluate')} --checkpoint {shown}")
    print(f"  watch:       {typed('tensorboard')} --logdir {typed_path(run.tensorboard)}")
    print(f"  resume:      {resume}" if not outcome.finished else f"  train on:    {resume} --max-updates N")
