"""`hrm-rl export`: a trained model for others: a folder with a model card, further formats in it, the format
of another project, the Hugging Face hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from envs import PuzzleBatch
from hrm_rl.cli.convert import show_upstream
from hrm_rl.cli.flags.common import ALSO_MODEL, CHECKPOINT, ThreadsFlag, WeightsFlag, parse
from hrm_rl.compat.upstream import Project, export_upstream
from hrm_rl.config import PathText
from hrm_rl.evaluation.puzzles import PuzzleChoice, choose_puzzles, for_folder, refuse_strangers
from hrm_rl.export.bundle import WrittenFormat, install, make_formats, warning_of, workshop
from hrm_rl.export.formats import FORMATS, Exporter, Format, missing_for, refuse_missing
from hrm_rl.export.onnx_file import OPSET
from hrm_rl.export.program import in_float32
from hrm_rl.export.proof import compare
from hrm_rl.export.push import push_to_hub
from hrm_rl.export.report import REPORT, Reporter
from hrm_rl.export.run import export_run, write_folder
from hrm_rl.models.saving import Stored
from hrm_rl.runs.loading import LoadedModel, load_model
from hrm_rl.utils.console import progress_bar, shown_path, typed_command
from hrm_rl.utils.devices import choose_threads
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically
from hrm_rl.weights import shipped

PROVED, REPORTED = 100, 1000
"""Puzzles that formats are compared over if nothing is said, without and with --report."""


class ExportCommand(PuzzleChoice):
    """Write a trained model as a folder for others, with a model card.

    The folder holds config.json, model.safetensors and the card, and loads without Ray: with
    RecurrentModel.from_pretrained(DIR), or as the --checkpoint of other commands. With --formats it holds the
    model for other runtimes too, each held against the network over some puzzles before it is written. With
    --push, the folder is uploaded."""

    checkpoint: Annotated[
        tuple[PathText, ...], Field(description=f"{CHECKPOINT} Several for --page."), ALSO_MODEL
    ] = ()
    out: PathText = ""
    """Folder to write, which must not exist yet; without --checkpoint, a folder written earlier, to add
    --formats to or to push. Required, but for --report."""
    weights: WeightsFlag = None
    dtype: Stored = "float32"
    """Type of the weights in the file; float16 halves it. A loaded model has float32 in either case."""
    formats: tuple[Format, ...] = ()
    """Write these too: programs of torch.export (pt2) and AOTInductor (aoti), ONNX in float32 (onnx) and
    smaller."""
    opset: int = OPSET
    """Version of ONNX's operators."""
    identifier: Annotated[int | None, Field(ge=0)] = None
    """Keep this row of the puzzle embeddings alone in --formats; the whole table if not given."""
    report: bool = False
    """Print size, accuracy, halting, fidelity and speed of --formats, of all that this machine can write if
    none are given; with --out, into the folder too."""
    to: Project | None = None
    """Write the format of sapientinc/HRM or TinyRecursiveModels (trm) instead, as `convert --to official`."""
    page: PathText = ""
    """Write a page that thinks in the browser, without a server, into this folder, which must not exist yet;
    with all shipped models if none is named."""
    push: str | None = None
    """Model repository on the Hugging Face hub, OWNER/NAME, to upload the folder to."""
    private: bool = False
    """Make that repository a private one, if it is not there yet."""
    threads: ThreadsFlag = None

    @property
    def model(self) -> str:
        """The one that is exported; empty if none is named."""
        return self.checkpoint[0] if self.checkpoint else ""


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(ExportCommand(), args, "export")
    _refuse_contradictions(command)
    choose_threads(command.threads)
    try:
        if command.page:
            _export_page(command)
        elif command.to is not None:
            written = export_upstream(command.model, Path(command.out), command.weights, command.to)
            show_upstream(written)
        elif command.formats or command.report:
            _export_formats(command)
        elif command.model:
            about = export_run(command.model, Path(command.out), command.weights, command.dtype)
            print(f"wrote {shown_path(Path(command.out))}: {about.weights} weights of update {about.update}")
            if not about.results:
                print("these weights have no held-out results in the run's log: the model card says so")
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise UserError(f"cannot read or write{where}: {error.strerror or error}") from None
    if command.push:
        print(f"pushed to {push_to_hub(Path(command.out), command.push, command.private)}")
    return 0


def _refuse_contradictions(command: ExportCommand) -> None:
    """Flags that say nothing together, or too little. Raises UserError."""
    if command.page:
        return _refuse_beside_page(command)
    if len(command.checkpoint) > 1:
        raise UserError("several models are for --page DIR: name one")
    more = bool(command.formats or command.report)
    named = command.model and (command.out or (command.report and not command.push))
    if not named and not (command.out and (command.push or more)):
        raise UserError(
            f"say which model and where to: {typed_command('export')} --checkpoint runs/NAME --out DIR"
        )
    if command.to is not None and (more or command.push or not command.model):
        raise UserError(
            "--to writes a --checkpoint for another project: leave out --formats, --report and --push"
        )
    if command.model and command.out and Path(command.out).exists():
        raise UserError(f"{command.out} exists already: give another --out, or delete it first")
    if command.dtype != "float32" and (command.to is not None or not (command.out and command.model)):
        raise UserError(
            "--dtype is of the weights in a new folder: it takes --checkpoint and --out, without --to"
        )
    given = {
        "--identifier": command.identifier is not None, "--opset": command.opset != OPSET,
        "--data": command.data is not None, "--level": command.level is not None,
        "--puzzles": command.puzzles is not None, "--seed": command.seed is not None,
    }  # fmt: skip
    if not more and (stray := next((flag for flag, there in given.items() if there), None)):
        raise UserError(f"{stray} belongs to --formats or --report: leave it out, or give one of these")
    if len(set(command.formats)) < len(command.formats):
        raise UserError("--formats names one of them twice")


def _refuse_beside_page(command: ExportCommand) -> None:
    """Raise UserError for flags that say nothing of a page."""
    plain = ExportCommand(
        checkpoint=command.checkpoint, page=command.page, weights=command.weights, threads=command.threads
    )
    fields = ExportCommand.model_fields
    stray = next((name for name in fields if getattr(command, name) != getattr(plain, name)), None)
    if stray is not None:
        raise UserError(f"--{stray.replace('_', '-')} does not go with --page: leave one of them out")
    twice = next((name for i, name in enumerate(command.checkpoint) if name in command.checkpoint[:i]), None)
    if twice is not None:
        raise UserError(f"--model {twice} is given twice: name each model once")


def _export_page(command: ExportCommand) -> None:
    """The page in a folder."""
    from hrm_rl.serving.onnx_page.folder import write_page  # with fastapi, which takes half a second

    names = command.checkpoint or shipped()
    models: dict[str, LoadedModel] = {}
    for name in names:
        loaded = load_model(name, command.weights)
        called = loaded.run.name if loaded.run else loaded.path.name
        if called in models:
            raise UserError(f"two models are called {called}: export them from folders with other names")
        models[called] = loaded
    with progress_bar("exporting", len(models)) as progress:
        written = write_page(models, Path(command.page), progress=progress)
    for name, made in written.models.items():
        print(f"{name}: {made.comparison.agreement().in_words()}")
    where = shown_path(written.path)
    print(f"wrote {where}: {written.files} files, {written.size / 1e6:.1f} MB; to see it:")
    print(f"  python -m http.server --directory {where}")


def _export_formats(command: ExportCommand) -> None:
    """Further formats: in a new folder, in one written earlier, or only for the report."""
    kinds = command.formats or tuple(kind for kind in FORMATS if missing_for(kind) is None)
    refuse_missing(kinds)
    if not command.formats:
        for why in filter(None, map(missing_for, FORMATS)):
            print(f"left out: {why}", file=sys.stderr)
    loaded = load_model(command.model or command.out, command.weights)
    exporter = Exporter(loaded, command.opset, command.identifier)
    _ = exporter.network  # refuses
    puzzles = _puzzles(command, loaded)
    with workshop(Path(command.out) if command.out else None) as folder:
        with progress_bar("comparing", len(puzzles)) as progress:
            made = make_formats(exporter, kinds, folder, puzzles, progress)
        tables = _tables(exporter, puzzles, made) if command.report else None

        def further(out: Path) -> None:
            install(out, exporter, made)
            if tables is not None:
                write_atomically(out / REPORT, tables)

        if command.out and command.model:
            about = write_folder(loaded, Path(command.out), command.dtype, further)
            print(f"wrote {shown_path(Path(command.out))}: {about.weights} weights of update {about.update}")
        elif command.out:
            further(Path(command.out))
    for one in made:
        print(one.line())
        if (warning := warning_of(one)) is not None:
            print(f"warning: {warning}", file=sys.stderr)
    if tables is not None:
        print(f"\n{tables}", end="")


def _puzzles(command: ExportCommand, loaded: LoadedModel) -> PuzzleBatch:
    """What formats are compared over."""
    count = command.puzzles or (None if command.data else REPORTED if command.report else PROVED)
    choice = command.model_copy(update={"puzzles": count, "seed": command.chosen_seed})
    puzzles = choose_puzzles(for_folder(choice, loaded), loaded.config, loaded.task)
    if command.identifier is not None:
        return replace(puzzles, identifier=np.zeros(len(puzzles), np.int64))
    refuse_strangers(puzzles, loaded)
    return puzzles


def _tables(exporter: Exporter, puzzles: PuzzleBatch, made: Sequence[WrittenFormat]) -> str:
    loaded, network = exporter.loaded, in_float32(exporter.network)
    as_trained = None
    if network.compute_dtype != getattr(torch, loaded.config.model.dtype):
        own = exporter.network.eval()
        as_trained = compare(loaded.solver, network, [own], puzzles, loaded.config.halting.halt_max_steps)[0]
    return Reporter(loaded.task, puzzles, network, made, as_trained).tables()
