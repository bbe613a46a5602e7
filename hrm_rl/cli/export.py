"""`hrm-rl export`: a run's model as a folder with a model card, for others or for the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrm_rl.cli.flags.common import CheckpointFlag, WeightsFlag, parse
from hrm_rl.config import PathText, Section
from hrm_rl.export.push import push_to_hub
from hrm_rl.export.run import export_run
from hrm_rl.models.saving import Stored
from hrm_rl.utils.console import shown_path, typed_command
from hrm_rl.utils.errors import UserError


class ExportCommand(Section):
    """Write a trained model as a folder for others, with a model card.

    The folder holds config.json, model.safetensors and the card, and loads without Ray: with
    RecurrentModel.from_pretrained(DIR), or as the --checkpoint of other commands. With --push, the folder is
    uploaded too."""

    checkpoint: CheckpointFlag = ""
    out: PathText = ""
    """Folder to write, which must not exist yet; without --checkpoint, a folder written earlier. Required."""
    weights: WeightsFlag = None
    dtype: Stored = "float32"
    """Type of the weights in the file; float16 halves it. A loaded model has float32 in either case."""
    push: str | None = None
    """Model repository on the Hugging Face hub, OWNER/NAME, to upload the folder to."""
    private: bool = False
    """Make that repository a private one, if it is not there yet."""


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(ExportCommand(), args, "export")
    if not command.out or not (command.checkpoint or command.push):
        raise UserError(
            f"say which model and where to: {typed_command('export')} --checkpoint runs/NAME --out DIR"
        )
    out = Path(command.out)
    if command.checkpoint:
        if out.exists():
            raise UserError(f"{out} exists already: give another --out, or delete it first")
        try:
            about = export_run(command.checkpoint, out, command.weights, command.dtype)
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            raise UserError(f"cannot read or write{where}: {error.strerror or error}") from None
        print(f"wrote {shown_path(out)}: {about.weights} weights of update {about.update}")
        if not about.results:
            print("these weights have no held-out results in the run's log: the model card says so")
    if command.push:
        print(f"pushed to {push_to_hub(out, command.push, command.private)}")
    return 0
