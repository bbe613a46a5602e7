"""The networks: (carry, tokens, identifier) -> (carry, logits, q); torch only."""

from hrm_rl.models.carry import Carry
from hrm_rl.models.hrm import HRM
from hrm_rl.models.recurrent import RecurrentModel
from hrm_rl.models.registry import MODELS, build_model, count_parameters
from hrm_rl.models.transformer import Transformer
from hrm_rl.models.trm import TRM

__all__ = [
    "HRM",
    "MODELS",
    "TRM",
    "Carry",
    "RecurrentModel",
    "Transformer",
    "build_model",
    "count_parameters",
]
