"""Checkpoints of other projects to ours and back: the network's sizes from the shapes,
every key accounted for.

Legend: D hidden size, V vocabulary, L tokens, P positions before them, S = P + L.
"""

from __future__ import annotations

import numpy as np
import torch

from hrm_rl.compat.names import Source
from hrm_rl.compat.sizes import Sizes, infer, refuse
from hrm_rl.models import RecurrentModel, build_model
from hrm_rl.models.layers.positions import rope_frequencies, rotation
from hrm_rl.models.saving import not_finite
from hrm_rl.utils.errors import UserError


def convert(source: Source, sizes: Sizes, vocab_size: int | None = None) -> RecurrentModel:
    """Our network with the file's weights.

    vocab_size: of the task it is for. Raises UserError that names all missing, unexpected and misshapen
    keys, one line for each of the three, and for weights that are no finite numbers.
    """
    config, length = infer(source, sizes)
    tensors = source.tensors
    tokens, identifiers = len(tensors["embed_tokens.weight"]), 1
    if "puzzle_emb.weight" in tensors:
        identifiers = len(tensors["puzzle_emb.weight"])
    if vocab_size is not None and tokens != vocab_size:
        raise UserError(
            f"the checkpoint knows {tokens} tokens, the task has {vocab_size}: name the task it was trained "
            "on"
        )
    model = build_model(config, tokens, np.zeros((length, 1), np.int64), identifiers)
    refuse_misfits(source, model)
    model.load_state_dict(tensors)
    fault = not_finite(model.state_dict())
    if fault is not None:
        raise UserError(f"the checkpoint is of no use, {fault}: take one from before its training diverged")
    return model


def rotary_error(source: Source, theta: float) -> float:
    """By how much the tables of cos and sin in a file miss those that are computed here; 0 without tables."""
    if not source.tables:
        return 0.0
    cos, sin = (table[:, 0] for table in source.tables)
    places = torch.arange(len(cos))[:, None]
    exact, signed = rotation(places, [rope_frequencies(cos.shape[1] // 2, theta)])
    half = cos.shape[1] // 2
    plain = torch.cat((-signed[:, :half], signed[:, half:]), dim=1)
    return float(max((cos - exact).abs().max(), (sin - plain).abs().max()))


def refuse_misfits(source: Source, model: RecurrentModel) -> None:
    """Raise UserError if the file's tensors are not exactly those of the model."""
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    given = {name: tuple(t.shape) for name, t in source.tensors.items()}
    refuse(
        source,
        missing=[name for name in expected if name not in given],
        unexpected=[name for name in given if name not in expected],
        misshapen={name: shape for name, shape in expected.items() if given.get(name, shape) != shape},
    )
