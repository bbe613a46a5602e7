"""The networks by name. A model is one file in this package and one line in MODELS."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from hrm_rl.config import ModelConfig
from hrm_rl.models.hrm import HRM
from hrm_rl.models.recurrent import RecurrentModel
from hrm_rl.models.transformer import Transformer
from hrm_rl.models.trm import TRM
from hrm_rl.utils.errors import UserError, nearest

MODELS: dict[str, type[RecurrentModel]] = {model.name: model for model in (HRM, TRM, Transformer)}
VERSION_DIGITS = 12


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


def version_of(model: RecurrentModel) -> str:
    """Twelve hexadecimal digits that another network, or the same one with other weights, does not share."""
    digest = hashlib.sha256(json.dumps(model.config.model_dump(mode="json"), sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(flat.numpy().tobytes())
    return digest.hexdigest()[:VERSION_DIGITS]
