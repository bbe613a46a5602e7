"""Presets that a task brings along, in `presets.yaml` of its folder in envs/.

By name, `purpose`, `reaches` ("" if left out), `base` (a name of BASES) and sections as a configuration file
has them.
"""

from __future__ import annotations

from pathlib import Path

import yaml

import envs
from hrm_rl.config.presets.base import BEST, PAPER, SMALL, TRM, Preset, preset

BASES = {"small": SMALL, "best": BEST, "paper": PAPER, "trm": TRM}
FILE = "presets.yaml"


def presets_of(folder: Path) -> tuple[Preset, ...]:
    """The presets of a task's folder, none without the file."""
    path = folder / FILE
    if not path.is_file():
        return ()
    found = []
    for name, about in yaml.safe_load(path.read_text("utf-8")).items():
        words = (about.pop("purpose"), BASES[about.pop("base")], about.pop("reaches", ""))
        found.append(preset(name, *words, **about))
    return tuple(found)


def all_presets() -> tuple[Preset, ...]:
    """Those of all tasks' folders, in the order of their names."""
    folders = sorted(path.parent for path in Path(envs.__file__).parent.glob(f"*/{FILE}"))
    return tuple(found for folder in folders for found in presets_of(folder))
