"""`scripts/train_ray.py`: from flags to a run folder, and from there to Ray or to this process."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from hrm_rl.cli.flags import flag_value, parse
from hrm_rl.config import Config, absolute_paths, get_preset, load_config, validate
from hrm_rl.data.streams import build_data
from hrm_rl.runs import checkpoint, selection
from hrm_rl.training.local import train_here
from hrm_rl.training.plan import banner, dry_run
from hrm_rl.training.resources import Machine, Plan, check, make_plan, this_machine
from hrm_rl.training.worker import RunOutcome
from hrm_rl.utils.console import duration, held_out_result, shown_path, slow_work, typed
from hrm_rl.utils.errors import UserError, one_line, refused_by_disk
from hrm_rl.utils.files import provenance, write_atomically

DEFAULT_PRESET = "sudoku9-curriculum"
SCRIPT = "scripts/train_ray.py"
RESOURCE_FLAGS = ("--num-workers", "--gpus-per-worker", "--cpus-per-worker")


class TrainCommand(Config):
    """Flags of scripts/train_ray.py: those of the launch, and every setting of the run."""

    num_workers: str | None = None
    """Ray workers: N, LOW:HIGH (elastic), or 0 to train in this process; one for each GPU, else 1."""
    gpus_per_worker: float | None = None
    """GPUs of each worker, a fraction to share one; 1 if there are GPUs, else 0."""
    cpus_per_worker: float | None = None
    """CPUs, and so threads, of each worker; an even share of the machine."""
    address: str | None = None
    """Ray cluster to run on, for example auto; Ray is started on this machine if not given."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file of settings, put over the preset."""
    run_name: str | None = None
    """Name of the run's folder; the preset and the time if not given."""
    storage_path: str = "runs"
    """Folder that holds the run folders; on a cluster, one that all nodes share."""
    resume: bool = False
    """Go on with the run called --run-name from its last checkpoint."""
    max_updates: int | None = None
    """Short for --train.max-updates."""
    dry_run: bool = False
    """Build everything, do one update, print the plan, and stop. Starts no Ray, writes no run folder."""
    verbose: bool = False
    """Show Ray's own messages too."""

    def settings(self) -> Config:
        """The run's settings alone."""
        values = {name: getattr(self, name) for name in Config.model_fields}
        config = validate(
            {k: v.model_dump() if hasattr(v, "model_dump") else v for k, v in values.items()}, "flags"
        )
        if self.max_updates is None:
            return config
        dumped = config.model_dump()
        dumped["train"]["max_updates"] = self.max_updates
        return validate(dumped, "--max-updates")


def main(args: Sequence[str]) -> int:
    """Run scripts/train_ray.py. Returns the exit status; raises UserError."""
    command = parse(
        TrainCommand(**_defaults(args).model_dump()),
        args,
        "Train a recurrent reasoning model. Settings: preset, then --config, then flags.",
        f"python {SCRIPT}",
    )
    config = absolute_paths(command.settings())
    run_dir = _run_dir(command, config)
    retyped = _without(args, RESOURCE_FLAGS)

    machine = this_machine()
    remote = command.address or os.environ.get("RAY_ADDRESS")
    if remote and not command.dry_run:
        from hrm_rl.distributed.cluster import connect

        machine = connect(remote, machine, command.verbose)
    plan = make_plan(
        command.num_workers, command.cpus_per_worker, command.gpus_per_worker, machine, config.train.device
    )
    check(plan, machine, config.train.global_batch_size, f"{typed('python')} {SCRIPT} {retyped}".strip())
    if command.dry_run:
        dry_run(config, plan, machine, run_dir)
        return 0
    with slow_work() as progress:
        # What is wrong with files, levels and sizes is said, and what is slow to make is made, before any
        # worker starts.
        data = build_data(config, progress=progress)
    data.source.close()
    about = banner(config, data, plan, run_dir)
    if command.resume:
        _check_resumable(run_dir, config)
    _create(run_dir, config, args)
    print(about, *data.notes, sep="\n", flush=True)
    return _run(command, config, plan, machine, run_dir, _resume_command(run_dir, args))


def _run(
    command: TrainCommand, config: Config, plan: Plan, machine: Machine, run_dir: Path, resume: str
) -> int:
    try:
        if plan.high == 0:
            outcome = train_here(config, run_dir, plan.threads)
        else:
            from hrm_rl.distributed.cluster import connect
            from hrm_rl.distributed.train import RunFailed, train_with_ray

            connect(command.address or os.environ.get("RAY_ADDRESS"), machine, command.verbose)
            try:
                outcome = train_with_ray(config, run_dir, plan, command.verbose)
            except RunFailed as failure:
                print(f"error: {failure}\nresume with: {resume}", file=sys.stderr)
                return 1
    except UserError as error:
        if selection.checkpoints(run_dir / "checkpoints"):
            raise UserError(f"{error}; resume with: {resume}") from None
        raise
    except OSError as error:
        refused = refused_by_disk(error)
        if refused is None:
            return _failed(error, run_dir, resume)
        raise UserError(f"{refused}; resume with: {resume}") from None
    except KeyboardInterrupt:
        print(f"stopped at once; resume from the last checkpoint with: {resume}", file=sys.stderr)
        return 130
    except Exception as error:
        return _failed(error, run_dir, resume)
    _print_summary(outcome, config, run_dir, resume)
    return 0 if outcome.finished else 130


def _failed(error: Exception, run_dir: Path, resume: str) -> int:
    """One line for an error that is nobody's mistake known here; the traceback goes to error.log."""
    with contextlib.suppress(OSError):
        (run_dir / "error.log").write_text("".join(traceback.format_exception(error)))
    summary = one_line(error, 500)
    print(
        f"error: {type(error).__name__}: {summary} (all of it: {shown_path(run_dir)}/error.log)",
        file=sys.stderr,
    )
    print(f"resume from the last checkpoint with: {resume}", file=sys.stderr)
    return 1


def _defaults(args: Sequence[str]) -> Config:
    """Preset and file that the other flags are put over; of a resumed run, its own configuration."""
    if "--resume" in args:
        name = flag_value(args, "run-name")
        if name is None:
            raise UserError("--resume needs --run-name NAME, the run to go on with")
        for flag in ("config", "preset"):
            if flag_value(args, flag) is not None:
                raise UserError(
                    f"--resume takes the run's own settings: leave out --{flag}, or start a new run"
                )
        stored = Path(flag_value(args, "storage-path") or "runs") / name / "config.yaml"
        if not stored.exists():
            raise UserError(f"there is no run to resume in {stored.parent}; leave out --resume to start it")
        return load_config(stored, Config())
    config = get_preset(flag_value(args, "preset") or DEFAULT_PRESET)
    file = flag_value(args, "config")
    return load_config(Path(file), config) if file else config


def _run_dir(command: TrainCommand, config: Config) -> Path:
    name = command.run_name or f"{config.preset}-{time.strftime('%Y%m%d-%H%M%S')}"
    if Path(name).name != name or name.startswith("."):
        raise UserError(f"--run-name {name} must be a plain folder name; --storage-path says where it lies")
    run_dir = Path(command.storage_path).absolute() / name
    if run_dir.exists() and not command.resume:
        raise UserError(
            f"run {name} exists in {run_dir.parent}: resume it with --run-name {name} --resume, "
            "or choose another --run-name"
        )
    return run_dir


def _check_resumable(run_dir: Path, config: Config) -> None:
    """Raise UserError now for what would make every worker fail later."""
    said: list[str] = []
    path = selection.latest_sound(run_dir / "checkpoints", said.append)
    if path is None:
        if said:
            raise UserError(f"no checkpoint of {run_dir.name} is sound: {'; '.join(said)}; start a new run")
        return
    state = checkpoint.read_state(path)
    checkpoint.refuse_changes(path, state, config)
    if state.update >= config.train.max_updates:
        raise UserError(
            f"run {run_dir.name} is finished at update {state.update}: give a larger --max-updates "
            f"(now {config.train.max_updates}) to train on"
        )


def _create(run_dir: Path, config: Config, args: Sequence[str]) -> None:
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(run_dir / "config.yaml", config.to_yaml())
        record = {"command": f"python {SCRIPT} {shlex.join(args)}", **provenance()}
        with (run_dir / "versions.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise UserError(f"cannot write the run folder {run_dir}: {error.strerror}") from None


def _without(args: Sequence[str], flags: Sequence[str]) -> str:
    """The command line without some flags and their values."""
    kept, skip = [], False
    for arg in args:
        if skip:
            skip = False
        elif arg in flags:
            skip = True
        elif not arg.startswith(tuple(f"{flag}=" for flag in flags)):
            kept.append(arg)
    return shlex.join(kept)


def _resume_command(run_dir: Path, args: Sequence[str]) -> str:
    """The command that goes on with this run: its resources as typed, its settings from the run folder."""
    parts = [typed("python"), SCRIPT, "--run-name", shlex.quote(run_dir.name)]
    for name in ("storage-path", "num-workers", "gpus-per-worker", "cpus-per-worker", "address"):
        value = flag_value(args, name)
        if value is not None:
            parts += [f"--{name}", shlex.quote(value)]
    return " ".join([*parts, "--resume"])


def _print_summary(outcome: RunOutcome, config: Config, run_dir: Path, resume: str) -> None:
    shown = shown_path(run_dir)
    end = "finished" if outcome.finished else "stopped"
    print(
        f"\n{end} at update {outcome.update} of {config.train.max_updates} after {duration(outcome.seconds)}"
    )
    if outcome.accuracy is not None and outcome.solved is not None and outcome.segments_mean is not None:
        best = f" (best {outcome.best_solved:.1%})" if outcome.best_solved is not None else ""
        print(
            f"  held-out {held_out_result(outcome.accuracy, outcome.solved, best)}, "
            f"{outcome.segments_mean:.1f} segments of {config.halting.halt_max_steps}"
        )
    if len(config.curriculum.stages) > 1:
        print(f"  stage {outcome.stage + 1} of {len(config.curriculum.stages)}")
    print(f"  evaluate:    {typed('python')} scripts/evaluate.py --checkpoint {shown}")
    print(f"  watch:       {typed('tensorboard')} --logdir {shown}/tensorboard")
    print(f"  resume:      {resume}" if not outcome.finished else f"  train on:    {resume} --max-updates N")
