"""`hrm-rl convert`: another project's checkpoint to a folder that the other commands read, or back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field

from envs.task import PuzzleTask
from hrm_rl.cli.flags.common import parse
from hrm_rl.compat.convert import convert, rotary_error
from hrm_rl.compat.names import read
from hrm_rl.compat.sizes import ARCH_FILE, Arch, Sizes, read_arch
from hrm_rl.compat.upstream import WrittenUpstream, export_upstream
from hrm_rl.config import Config, CurriculumConfig, EnvConfig, Options, PathText, Positive, Section
from hrm_rl.data.streams import build_task
from hrm_rl.export.card import model_card
from hrm_rl.export.run import without_paths
from hrm_rl.models import RecurrentModel, count_parameters
from hrm_rl.runs.pretrained import About
from hrm_rl.utils.console import shown_path, typed_command, typed_path
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import provenance

ROUNDING = 1e-3
"""Difference of rotary tables that float32 explains and bfloat16 does not."""


class ConvertCommand(Section):
    """Convert a checkpoint of another HRM or TRM implementation, or write one for it.

    Reads checkpoints of sapientinc/HRM, TinyRecursiveModels and the MLX Swift version of HRM, and writes a
    folder that the other commands and from_pretrained read; with --to official, a run or such a folder to the
    format of the first two. Only tensors are unpickled: a file that holds anything else is refused."""

    source: Annotated[PathText, tyro.conf.arg(name="from")] = ""
    """Checkpoint file to convert; with --to official a run, a checkpoint's folder, or a folder made by this
    command or by `export`. Required."""
    out: PathText = ""
    """Folder to write; it must not exist yet. Required."""
    to: Literal["hrm-rl", "official"] = "hrm-rl"
    """What to write: this project's folder, or state dict and all_config.yaml of sapientinc/HRM
    (for a trm, of TinyRecursiveModels)."""
    format: Literal["hrm", "trm", "mlx"] | None = None
    """Layout of the file; found out from its names if not given."""
    task: str | None = None
    """Task that it was trained on, as in envs.TASKS. Without one the folder can be
    loaded, but not evaluated."""
    size: Positive | None = None
    """Edge of the board; the task's own default if not given."""
    options: Options = Field(default_factory=dict)
    """Further options of the task, as `name value` pairs."""
    seq_len: Positive | None = None
    """Tokens of a puzzle, where no --task says so."""
    config: PathText | None = None
    """all_config.yaml of the run; if not given, the one in the checkpoint's folder, if there is one. The
    flags below win over it."""
    num_heads: Positive | None = None
    """Attention heads."""
    h_cycles: Positive | None = None
    """High-level updates a segment."""
    l_cycles: Positive | None = None
    """Low-level updates for each high-level one."""
    pos_encodings: Literal["rope", "none"] | None = None
    """Positions of a network without learned ones (rope; none for a TRM without attention)."""
    puzzle_emb_len: Annotated[int | None, Field(ge=0)] = None
    """Positions that the puzzle embedding of a TRM fills, 0 for as many as it needs (16)."""
    halt_max_steps: Positive | None = None
    """Budget of segments (16)."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Type of the computation; that of the file's initial states if not given."""


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(ConvertCommand(), args, "convert")
    if not command.source or not command.out:
        raise UserError(
            "say what to convert and where to: "
            f"{typed_command('convert')} --from FILE --task sudoku --out DIR"
        )
    out = Path(command.out)
    if out.exists():
        raise UserError(f"{out} exists already: give another --out, or delete it first")
    try:
        if command.to == "official":
            show_upstream(export_upstream(command.source, out))
        else:
            _to_ours(command, Path(command.source), out)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise UserError(f"cannot read or write{where}: {error.strerror or error}") from None
    return 0


def _to_ours(command: ConvertCommand, path: Path, out: Path) -> None:
    source = read(path, command.format)
    arch_file = Path(command.config) if command.config else path.parent / ARCH_FILE
    if command.config and not arch_file.exists():
        raise UserError(f"cannot read {arch_file}: No such file or directory")
    arch = read_arch(arch_file)
    env = EnvConfig(task=command.task or "sudoku", size=command.size, options=command.options)
    task = build_task(Config(env=env)) if command.task else None
    if task and command.seq_len not in (None, task.length):
        raise UserError(
            f"--seq-len {command.seq_len} and --task {task.name}, of {task.length}: leave one out"
        )
    model = convert(source, _sizes(command, arch, task), task.vocab_size if task else None)

    if task is None:
        model.save_pretrained(out)
    else:
        about = About(
            origin=f"converted from {path.name}, layout {source.layout}",
            converted=True,
            config=without_paths(_run(command, arch, env, task, model)).model_dump(mode="json"),
            versions=provenance(),
        )
        config = Config.model_validate(about.config)
        model.save_pretrained(out, about.model_dump(), model_card(model, config, about))
    print(f"wrote {shown_path(out)}: {model.config.name}, {count_parameters(model):,} parameters")
    error = rotary_error(source, model.config.rope_theta)
    if error > ROUNDING:
        print(
            f"warning: the network was trained with rotary positions that are off by up to {error:.2f} "
            "(rounded to bfloat16); here they are exact, so it may solve fewer puzzles than there",
            file=sys.stderr,
        )
    if task is not None:
        print(f"evaluate: {typed_command('evaluate')} --checkpoint {typed_path(out)}")


def _sizes(command: ConvertCommand, arch: Arch, task: PuzzleTask | None) -> Sizes:
    names = ("num_heads", "h_cycles", "l_cycles", "pos_encodings", "puzzle_emb_len", "dtype")
    given = {name: getattr(command, name) for name in names if getattr(command, name) is not None}
    length = task.length if task else command.seq_len
    return Sizes(**(arch.sizes() | given | {"length": length}))


def _run(
    command: ConvertCommand, arch: Arch, env: EnvConfig, task: PuzzleTask, model: RecurrentModel
) -> Config:
    """The configuration that evaluation goes by: task, network, budget and the rule by which it halts."""
    halting = arch.halting(model.config.name)
    if command.halt_max_steps:
        halting = halting.model_copy(update={"halt_max_steps": command.halt_max_steps})
    return Config(
        preset="converted",
        env=env,
        model=model.config,
        halting=halting,
        curriculum=CurriculumConfig(stages=(",".join(f"{level}=1" for level in task.levels),)),
    )


def show_upstream(written: WrittenUpstream) -> None:
    """Say what `export_upstream` wrote."""
    for file in written.files:
        print(f"wrote {shown_path(file)}")
    for caveat in written.caveats:
        print(f"warning: {caveat}", file=sys.stderr)
