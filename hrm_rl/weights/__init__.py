"""The models that come with this project: a folder each, with config.json, model.safetensors (float16) and a
card. docs/weights.md has what they reach; `hrm-rl weights` lists them and makes them again."""

from __future__ import annotations

from pathlib import Path

from hrm_rl.weights.recipes import RECIPES


def shipped() -> tuple[str, ...]:
    """Their names, the default first."""
    return tuple(RECIPES)


def folder_of(name: str) -> Path | None:
    """The folder of the model called `name`; None if there is none."""
    return Path(__file__).parent / name if name in RECIPES else None
