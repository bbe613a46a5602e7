"""What a run is about to do, in a few lines: the banner, and `--dry-run`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.slots import slots_of_rank
from hrm_rl.agents.build import build_learner
from hrm_rl.config import Config
from hrm_rl.data.streams import Data, build_data
from hrm_rl.models import build_model, count_parameters
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.warm_start import check, read_weights
from hrm_rl.training.resources import Machine, Plan
from hrm_rl.utils.console import count, duration, shown_path, slow_work, typed, typed_path
from hrm_rl.utils.devices import choose_device, computes_bfloat16, use_threads
from hrm_rl.utils.stores import is_uri

DRY_RUN_SLOTS = 16
"""Most slots of the update that --dry-run does; a whole batch can take a minute on a CPU."""


def banner(config: Config, data: Data, plan: Plan, run_dir: Path, kept: str | None = None) -> str:
    """What, where, how large, and how to watch it. kept: the URI where the folder is kept as well. Raises
    UserError if the network cannot be built."""
    rows, columns = data.task.grid_shape
    with torch.device("meta"):
        model = build_model(config.model, data.task.vocab_size, data.task.coordinates(), data.identifiers)
    if config.train.init_from is not None:
        check(read_weights(config.train.init_from), model, config.train.init_from)
    device = (
        choose_device(config.train.device).type
        if plan.high == 0
        else "cuda"
        if plan.gpus_per_worker
        else "cpu"
    )
    shown = shown_path(run_dir)
    batch, budget = config.train.global_batch_size, config.halting.halt_max_steps
    return f"""\
{run_dir.name}: {config.model.name} on {data.task.name} {rows}x{columns}
  parameters   {count(count_parameters(model))} ({config.model.dtype}{_slow(config, device)})
  workers      {plan.describe()}, on {device}
  batch        {batch} slots, budget {budget} segments{_searching(config)}{_started_from(config)}
  folder       {shown}{_kept_in(kept)}
  watch        {typed("tensorboard")} --logdir {typed_path(RunFolder(run_dir).tensorboard)}
"""


def _slow(config: Config, device: str) -> str:
    """What the banner says of a type of numbers that this machine's CPU is slow with."""
    if config.model.dtype != "bfloat16" or computes_bfloat16(torch.device(device)):
        return ""
    return ", slow on this CPU: --model.dtype float32 is not"


def _kept_in(uri: str | None) -> str:
    """The banner's line on it, if there is anything to say."""
    return "" if uri is None else f"\n  kept in      {uri}, uploaded beside the updates"


def _searching(config: Config) -> str:
    """What the banner's line on slots says of search, if there is any."""
    search = config.search
    return f"; {search.share:.0%} search, up to {search.budget} segments" if search.share else ""


def _started_from(config: Config) -> str:
    """The banner's line on it, if there is anything to say."""
    folder = config.train.init_from
    if folder is None:
        return ""
    return f"\n  weights      of {folder if is_uri(folder) else shown_path(Path(folder))}"


def dry_run(config: Config, plan: Plan, machine: Machine, run_dir: Path) -> None:
    """Build env and model, do one update with up to DRY_RUN_SLOTS slots, print what the run would be."""
    started = time.perf_counter()
    use_threads(plan.threads)
    slots = slots_of_rank(config.train.global_batch_size, 0, max(1, plan.high))
    at_once = -(-slots // config.train.micro_batches)  # slots whose activations are kept at a time
    with small_learner(config, slots) as (learner, tried):
        activations = _saved_bytes_of_an_update(learner)

    parameters = count_parameters(learner.model)
    # Weights, gradients, two moments, averaged weights.
    copies = 4 + (learner.optimisation.averaged is not None)
    print(config.to_yaml())
    print(f"parameters     {count(parameters)}")
    print(
        f"memory         {count(4 * parameters * copies)}B weights, gradients, optimiser; about "
        f"{count(activations / tried * at_once)}B activations for {slots} slots a worker"
    )
    print(f"plan           {plan.describe()}")
    print(f"machine        {machine.name}: {machine.cpus:g} CPUs, {machine.gpus:g} GPUs")
    sums = learner.tally.sums
    outcome = "NOT DONE, its loss or gradient is not finite" if sums["skipped_updates"] else "done"
    print(
        f"update         one with {tried} of {slots} slots {outcome}: loss "
        f"{sums['loss'] / sums['slots']:.3f}, "
        f"{duration(sums['seconds'])}"
    )
    print(f"run folder     {run_dir} (not created)")
    print(f"dry run        done in {duration(time.perf_counter() - started)}; no run was started")


@contextmanager
def small_learner(config: Config, slots: int) -> Iterator[tuple[Learner, int]]:
    """A learner with up to DRY_RUN_SLOTS of `slots` slots, which are started, and how many they are."""
    tried = min(slots, DRY_RUN_SLOTS)
    plain = {"global_batch_size": tried, "batch_warmup_updates": 0, "micro_batches": 1}
    small = config.model_copy(update={"train": config.train.model_copy(update=plain)})
    with slow_work() as progress:
        data = build_data(small, progress=progress)
    learner = build_learner(small, data, choose_device(config.train.device), rank=0, world_size=1)
    learner.start()
    yield learner, tried
    data.source.close()


def _saved_bytes_of_an_update(learner: Learner) -> int:
    """Do one update; bytes of the tensors that its forward pass kept for the backward pass."""
    seen: dict[int, int] = {}
    weights = {p.data_ptr() for p in learner.optimisation.params}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        learner.update()
    learner.counts()
    return sum(seen.values())
