"""Every setting of a run: typed, checked, read from presets, YAML and flags."""

from hrm_rl.config.base import Decay, Options, PathText, Positive, Probability, Section, Seed
from hrm_rl.config.config import RESUMABLE_FIELDS, Config, differences, field_names, flatten
from hrm_rl.config.loading import absolute_paths, load_config, over, read_settings, validate
from hrm_rl.config.model import ModelConfig
from hrm_rl.config.presets import PRESETS, PresetNote, describe, get_preset
from hrm_rl.config.sections import (
    CurriculumConfig,
    DataConfig,
    EnvConfig,
    HaltingConfig,
    OptimConfig,
    SearchConfig,
    TrainConfig,
    parse_weights,
)

__all__ = [
    "PRESETS",
    "RESUMABLE_FIELDS",
    "Config",
    "CurriculumConfig",
    "DataConfig",
    "Decay",
    "EnvConfig",
    "HaltingConfig",
    "ModelConfig",
    "OptimConfig",
    "Options",
    "PathText",
    "Positive",
    "PresetNote",
    "Probability",
    "SearchConfig",
    "Section",
    "Seed",
    "TrainConfig",
    "absolute_paths",
    "describe",
    "differences",
    "field_names",
    "flatten",
    "get_preset",
    "load_config",
    "over",
    "parse_weights",
    "read_settings",
    "validate",
]
