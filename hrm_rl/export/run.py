"""A trained model as a folder for others: weights, settings, card."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from hrm_rl.config import Config
from hrm_rl.export.card import RESULTS, model_card
from hrm_rl.models.saving import Stored
from hrm_rl.runs import checkpoint
from hrm_rl.runs.checkpoint import Weights
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.loading import LoadedModel, load_model
from hrm_rl.runs.pretrained import About, read_about
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import whole_folder


def export_run(
    path: str | Path, out: Path, weights: Weights | None = None, dtype: Stored = "float32"
) -> About:
    """Write the model of a run, or of one of its checkpoints, as a folder for others. dtype: of the weights
    in the file. Raises UserError."""
    loaded = load_model(path, weights)
    if loaded.run is None:
        raise UserError(
            f"{path} is no run: it is a folder for others already (--formats adds to it, as in "
            f"{typed_command('export')} --out {path} --formats onnx)"
        )
    return write_folder(loaded, out, dtype)


def write_folder(
    loaded: LoadedModel,
    out: Path,
    dtype: Stored = "float32",
    further: Callable[[Path], None] = lambda folder: None,
) -> About:
    """Write a model as a folder for others, whole or not at all. further: writes more into it before it is in
    its place. Raises UserError."""
    about = about_of(loaded)
    with whole_folder(out) as folder:
        card = model_card(loaded.model, loaded.config, about)
        loaded.model.save_pretrained(folder, about.model_dump(), card, dtype)
        further(folder)
    return about


def about_of(loaded: LoadedModel) -> About:
    """What its folder says of it."""
    if loaded.run is None:
        return read_about(loaded.path)
    config, evaluated = loaded.config, loaded.weights == loaded.config.evaluated_weights
    return About(
        origin=f"trained: run {loaded.run.name}, {loaded.path.name}",
        config=without_paths(config).model_dump(mode="json"),
        update=loaded.update,
        weights=loaded.weights,
        results=_results(loaded.run, loaded.update) if evaluated else {},
        versions=checkpoint.versions(loaded.path),
    )


def without_paths(config: Config) -> Config:
    """The configuration without the folders of the machine it ran on: names of files alone, and no option
    that names a file."""
    values = config.model_dump()
    for key in ("path", "eval_path"):
        if values["data"][key] is not None:
            values["data"][key] = Path(values["data"][key]).name
    if values["train"]["init_from"] is not None:
        values["train"]["init_from"] = Path(values["train"]["init_from"]).name
    options = values["env"]["options"]
    values["env"]["options"] = {k: v for k, v in options.items() if not _names_a_file(v)}
    return Config.model_validate(values)


def _names_a_file(option: int | float | bool | str) -> bool:
    """Whether an option of a task looks like a file's name, whether or not the file is there."""
    if not isinstance(option, str):
        return False
    if re.search(r"[/\\]|\.[A-Za-z]\w*$", option):
        return True
    try:
        return Path(option).is_file()
    except OSError:  # too long for a name, such as the levels of a curriculum of mazes
        return False


def _results(run: RunFolder, update: int) -> dict[str, dict[str, float]]:
    """RESULTS by level that a run logged at an update; empty if it did not evaluate there."""
    found: dict[str, dict[str, float]] = {}
    for record in run.read_metrics() if run.metrics.exists() else []:
        if record.get("update") != update:
            continue
        for tag, value in record.items():
            parts = tag.split("/")
            if parts[0] == "eval" and parts[-1] in RESULTS and value is not None:
                found.setdefault("all" if len(parts) == 2 else parts[1], {})[parts[-1]] = value
    return found
