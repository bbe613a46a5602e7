"""The model card: what was trained, how, and what it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hrm_rl.config import Config
from hrm_rl.models import RecurrentModel, count_parameters
from hrm_rl.models.saving import front_matter, how_to_load
from hrm_rl.runs.pretrained import About

RESULTS = ("exact_accuracy", "solved", "cell_accuracy", "segments_mean")

ONLY_BLANKS = (
    "It was trained on the blank cells alone (`train.loss_on: blanks`): its logits for given cells mean "
    "nothing. Copy these from the puzzle, as `hrm_rl.agents.act.answers.fill_in` does."
)
"""For the model card of such a network."""

FORMATS_HEAD, NEXT_HEAD = "## Other formats", "## Configuration"


def model_card(model: RecurrentModel, config: Config, about: About) -> str:
    """README.md of a folder: what it solves, how well, how it was made and how to load it."""
    env, halting = config.env, config.halting
    size = f" of size {env.size}" if env.size else ""
    lines = [
        front_matter(),
        f"# {config.model.name} on {env.task}{size}",
        "",
        f"{count_parameters(model):,} parameters; thinks for at most {halting.halt_max_steps} segments a "
        "puzzle and decides itself when to stop.",
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
    lines += ["`hrm-rl evaluate --checkpoint this-folder` evaluates it.", "", NEXT_HEAD, ""]
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


def with_formats(card: str, formats: Mapping[str, Any]) -> str:
    """A card whose section on other formats lists these, as `segment.json` knows them, in place of the one it
    had."""
    before, _, old = card.partition(f"{FORMATS_HEAD}\n")
    rest = old[old.find("\n## ") + 1 :] if "\n## " in old else ""
    if not old:
        before, head, after = card.partition(NEXT_HEAD)
        rest = head + after
    section = "\n".join([FORMATS_HEAD, "", *_formats_table(formats), ""])
    return f"{before.rstrip()}\n\n{section}\n{rest}"


def _formats_table(formats: Mapping[str, Any]) -> list[str]:
    """What each format is and how it agrees."""
    some = next(iter(formats.values()))["agreement"]
    files = [one["file"] for one in formats.values() if one["file"].endswith(".onnx")]
    hint = f" `python runner.py {files[0]} PUZZLE` needs onnxruntime and numpy alone." if files else ""
    lines = [
        "One segment each, computing in float32: tokens and state in; state, logits and Q-values out. What a "
        f"host has to know stands in `segment.json` and in the files.{hint} Compared with the network in "
        f"float32 over {some['puzzles']} puzzles x {some['budget']} segments; logits from equal states.",
        "",
        "| file | what | KiB | logits within | same halting | same answer | state cosine | exact (network) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in formats.values():
        found = one["agreement"]
        lines.append(
            f"| {one['file']} | {one['about']} | {one['bytes'] / 1024:,.0f} | {found['logits']:.1e} | "
            f"{found['halting']:.1%} | {found['handed_in']:.1%} | {found['fidelity'][-1]:.4f} | "
            f"{found['exact']:.1%} ({found['exact_network']:.1%}) |"
        )
    return lines
