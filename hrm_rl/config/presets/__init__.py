"""Named configurations: what each sets, what it is for, and what it was seen to reach. One module a task,
or a file in the task's folder."""

from __future__ import annotations

from typing import NamedTuple

from hrm_rl.config.config import Config
from hrm_rl.config.presets.arc import ARC_PRESETS
from hrm_rl.config.presets.base import Preset
from hrm_rl.config.presets.folders import all_presets
from hrm_rl.config.presets.maze import MAZE_PRESETS
from hrm_rl.config.presets.patterns import PATTERN_PRESETS
from hrm_rl.config.presets.sudoku import SUDOKU_PRESETS
from hrm_rl.config.presets.text import TEXT_PRESETS
from hrm_rl.utils.errors import unknown

_ALL: dict[str, Preset] = {
    found.config.preset: found
    for found in (
        *SUDOKU_PRESETS,
        *MAZE_PRESETS,
        *ARC_PRESETS,
        *PATTERN_PRESETS,
        *TEXT_PRESETS,
        *all_presets(),
    )
}
PRESETS: dict[str, Config] = {name: found.config for name, found in _ALL.items()}


class PresetNote(NamedTuple):
    """A preset in words, as the documentation shows it."""

    purpose: str
    reaches: str


def get_preset(name: str) -> Config:
    """The preset called `name`. Raises UserError with the nearest name."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def describe(name: str) -> PresetNote:
    """What a preset is for. Raises UserError as `get_preset` does."""
    get_preset(name)
    return PresetNote(_ALL[name].purpose, _ALL[name].reaches)
