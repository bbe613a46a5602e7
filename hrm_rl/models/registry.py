"""The networks by name. A model is one file in this package and one line in MODELS."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import nn

from hrm_rl.config import ModelConfig
from hrm_rl.models.hrm import HRM
from hrm_rl.models.recurrent import RecurrentModel
from hrm_rl.models.transformer import Transformer
from hrm_rl.models.trm import TRM
from hrm_rl.utils.errors import UserError, nearest

MODELS: dict[str, type[RecurrentModel]] = {model.name: model for model in (HRM, TRM, Transformer)}


def build_model(
    config: ModelConfig, vocab_size: int, coordinates: NDArray[Any], identifiers: int = 1
) -> RecurrentModel:
    """The network `config.name` for a task, with freshly drawn weights.

    coordinates: (L, K) where each cell is, as PuzzleTask.coordinates() says.
    identifiers: rows of the puzzle-embedding table. Raises UserError for an unknown name.
    """
    if config.name not in MODELS:
        raise UserError(f"unknown model '{config.name}'{nearest(config.name, MODELS)}")
    return MODELS[config.name](config, vocab_size, coordinates, identifiers)


def count_parameters(model: nn.Module) -> int:
    """Trained numbers: parameters and puzzle-embedding rows."""
    rows = getattr(model, "puzzle_emb", None)
    return sum(p.numel() for p in model.parameters()) + (rows.weight.numel() if rows is not None else 0)
