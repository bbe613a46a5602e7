"""Networks for others: a run's checkpoint as a folder with its model card, such a folder opened again, and pushed.

The folder is that of hrm_rl/models/saving.py; `run` in its config.json says what is known beyond the weights.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hrm_rl.config import Config, validate
from hrm_rl.data.streams import build_task
from hrm_rl.models import RecurrentModel, build_model, count_parameters
from hrm_rl.models.saving import CONFIG, WEIGHTS, description, front_matter, how_to_load, load
from hrm_rl.runs import checkpoint
from hrm_rl.utils.errors import UserError

Weights = Literal["raw", "ema"]
"""The trained weights, or their exponential moving average where the run keeps one."""

RESULTS = ("exact_accuracy", "solved", "cell_accuracy", "segments_mean")

ONLY_BLANKS = (
    "It was trained on the blank cells alone (`train.loss_on: blanks`): its logits for given cells mean nothing. "
    "Copy these from the puzzle, as `hrm_rl.agents.act.answers.answer_of` does."
)
"""For the model card of such a network."""


class About(BaseModel):
    """`run` in config.json."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    origin: str
    """Where the weights come from, in words."""
    converted: bool = False
    """From another project's checkpoint: no run of this project has held-out puzzles of its own for it."""
    config: dict[str, Any]
    """The run's whole configuration."""
    update: int = 0
    weights: Weights = "raw"
    results: dict[str, dict[str, float]] = {}
    """By level, and `all`: RESULTS on the run's held-out puzzles at this update; empty if it was not evaluated."""
    versions: dict[str, str] = {}
    """Of Python, packages and this code."""


@dataclass(frozen=True)
class Opened:
    """A folder, read."""

    model: RecurrentModel
    config: Config
    about: About


def is_pretrained(folder: Path) -> bool:
    """Whether this looks like a folder of save_pretrained, and not like a run or a checkpoint."""
    return (folder / CONFIG).exists() and (folder / WEIGHTS).exists()


def open_folder(folder: Path) -> Opened:
    """The network and its run's configuration. Raises UserError, also where nothing is known of a run."""
    values = description(folder)
    if "run" not in values:
        raise UserError(
            f"{folder} holds a network without its task: load it with RecurrentModel.from_pretrained, or make the "
            "folder from a run with scripts/export.py (from another project's file: with --task)"
        )
    try:
        about = About.model_validate(values["run"])
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{folder / CONFIG}: run.{'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None
    return Opened(load(folder), validate(about.config, str(folder / CONFIG)), about)


def load_checkpoint(path: Path, weights: Weights | None = None) -> tuple[RecurrentModel, Config]:
    """The network of a run's checkpoint. weights: those that its evaluations judged if not given. Raises
    UserError."""
    config = checkpoint.read_state(path).config
    weights = weights or config.evaluated_weights
    if weights == "ema" and not (path / "averaged.safetensors").exists():
        raise UserError(f"{path} holds no averaged weights (optim.ema_decay was 0): leave out --weights ema")
    task = build_task(config)
    model = build_model(config.model, task.vocab_size, task.coordinates(), checkpoint.identifiers(path))
    checkpoint.load_weights(path, model, weights)
    return model, config


def export_run(path: Path, out: Path, weights: Weights | None = None) -> About:
    """Write the checkpoint at `path` as a folder for others. Raises UserError."""
    model, config = load_checkpoint(path, weights)
    state = json.loads((path / "state.json").read_text())
    judged = config.evaluated_weights
    exported = weights or judged
    about = About(
        origin=f"trained: run {path.parent.parent.name}, {path.name}",
        config=without_paths(config).model_dump(mode="json"),
        update=state["update"],
        weights=exported,
        results=_results(path.parent.parent / "metrics.jsonl", state["update"]) if judged == exported else {},
        versions=state["versions"],
    )
    model.save_pretrained(out, about.model_dump(), model_card(model, config, about))
    return about


def without_paths(config: Config) -> Config:
    """The configuration without the folders of the machine it ran on: names of files alone, and no option that
    names a file."""
    values = config.model_dump()
    for key in ("path", "eval_path"):
        if values["data"][key] is not None:
            values["data"][key] = Path(values["data"][key]).name
    options = values["env"]["options"]
    values["env"]["options"] = {k: v for k, v in options.items() if not _names_a_file(v)}
    return Config.model_validate(values)


def _names_a_file(option: int | float | bool | str) -> bool:
    """Whether an option of a task looks like a file's name, be the file there or not."""
    if not isinstance(option, str):
        return False
    if re.search(r"[/\\]|\.[A-Za-z]\w*$", option):
        return True
    try:
        return Path(option).is_file()
    except OSError:  # too long for a name, such as the levels of a curriculum of mazes
        return False


def _results(metrics: Path, update: int) -> dict[str, dict[str, float]]:
    """RESULTS by level that a run logged at an update; empty if it did not evaluate there."""
    from hrm_rl.training.telemetry import read_metrics

    if not metrics.exists():
        return {}
    found: dict[str, dict[str, float]] = {}
    for record in read_metrics(metrics):
        if record.get("update") != update:
            continue
        for tag, value in record.items():
            parts = tag.split("/")
            if parts[0] == "eval" and parts[-1] in RESULTS and value is not None:
                found.setdefault("all" if len(parts) == 2 else parts[1], {})[parts[-1]] = value
    return found


def model_card(model: RecurrentModel, config: Config, about: About) -> str:
    """README.md of a folder: what it solves, how well, how it was made and how to load it."""
    env, halting = config.env, config.halting
    size = f" of size {env.size}" if env.size else ""
    lines = [
        front_matter(),
        f"# {config.model.name} on {env.task}{size}",
        "",
        f"{count_parameters(model):,} parameters; thinks for at most {halting.halt_max_steps} segments a puzzle and "
        "decides itself when to stop.",
        "",
        f"- origin: {about.origin}",
    ]
    if not about.converted:
        lines += [
            f"- data: {_data_line(config)}",
            f"- {about.weights} weights of update {about.update:,} of {config.train.max_updates:,}, "
            f"{config.train.global_batch_size} slots, preset {config.preset}",
            f"- seed {config.seed}, code at commit {about.versions.get('commit', 'unknown')}",
        ]
    lines += ["", "## Held-out results", "", *_results_table(about), "", "## Use", "", how_to_load()]
    if config.train.loss_on == "blanks":
        lines += [ONLY_BLANKS, ""]
    lines += ["`python scripts/evaluate.py --checkpoint this-folder` judges it.", "", "## Configuration", ""]
    known = ("env", "model", "halting") if about.converted else tuple(about.config)
    settings = {key: value for key, value in about.config.items() if key in known}
    lines += ["```yaml", yaml.safe_dump(settings, sort_keys=False).rstrip(), "```", ""]
    return "\n".join(lines)


def _data_line(config: Config) -> str:
    stages = "; ".join(config.curriculum.stages)
    where = "generated while training" if config.data.path is None else f"from {Path(config.data.path).name}"
    return f"{where}, levels by stage: {stages}"


def _results_table(about: About) -> list[str]:
    if not about.results:
        return ["None are recorded for these weights."]
    lines = ["| level | exact | solved by the rule | cells | mean segments |", "|---|---|---|---|---|"]
    for level in sorted(about.results, key=lambda name: name == "all"):
        row = about.results[level]
        exact, solved, cells = (f"{row[name]:.1%}" if name in row else "-" for name in RESULTS[:3])
        segments = f"{row['segments_mean']:.2f}" if "segments_mean" in row else "-"
        lines.append(f"| {level} | {exact} | {solved} | {cells} | {segments} |")
    return lines


def push_to_hub(folder: Path, repository: str, private: bool = False) -> str:
    """Upload a folder to the model repository OWNER/NAME, made if need be. Returns its address.

    Uses the token of `hf auth login`. Raises UserError.
    """
    if not is_pretrained(folder):
        raise UserError(f"{folder} has no {CONFIG} and {WEIGHTS}: make it with scripts/export.py first")
    if repository.count("/") != 1:
        raise UserError(f"'{repository}' is no name of a model on the hub: it looks like OWNER/NAME")
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise UserError("pushing needs the package huggingface_hub: pip install 'hrm-rl[hub]'") from None
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Upload of hrm-rl",
            allow_patterns=["config.json", "model.safetensors", "README.md"],
        )  # fmt: skip
    except Exception as error:  # its HTTP errors have no common base from one version to the next
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot push to '{repository}': {first} (is there a token? hf auth login)") from None
    return str(address)
