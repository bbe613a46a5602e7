"""Every setting of a run: typed, checked, read from presets, YAML and flags."""

from hrm_rl.config.config import (
    RESUMABLE_FIELDS,
    Config,
    CurriculumConfig,
    DataConfig,
    EnvConfig,
    HaltingConfig,
    OptimConfig,
    TrainConfig,
    differences,
    field_names,
    flatten,
    load_config,
    parse_weights,
    validate,
)
from hrm_rl.config.model import Decay, ModelConfig, Positive, Probability, Section
from hrm_rl.config.presets import PRESETS, get_preset

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
    "Positive",
    "Probability",
    "Section",
    "TrainConfig",
    "differences",
    "field_names",
    "flatten",
    "get_preset",
    "load_config",
    "parse_weights",
    "validate",
]
