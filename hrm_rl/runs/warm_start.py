"""`train.init_from`: a run that starts from the weights of another, for fine-tuning or for training the
puzzle embeddings of a finished network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from hrm_rl.models import RecurrentModel
from hrm_rl.runs.loading import load_model
from hrm_rl.utils.errors import UserError

OWN = ("puzzle_emb.weight", "dropout_stream")
"""Not taken over where it does not fit: puzzles have other identifiers in another data set."""


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """The weights of the model in any folder that `load_model` takes. Raises UserError."""
    try:
        return dict(load_model(folder).model.state_dict())
    except UserError as error:
        raise UserError(f"train.init_from: {error}") from None


def check(weights: dict[str, Tensor], model: RecurrentModel, folder: str) -> dict[str, Tensor]:
    """Those of `weights` that `model`, which may be on the meta device, starts from. Raises UserError that
    names what does not fit."""
    wanted = model.state_dict()
    misfits = [
        f"{name} is missing"
        if name not in weights
        else f"{name} has {_shape(weights[name])} for {_shape(value)}"
        for name, value in wanted.items()
        if name not in OWN and (name not in weights or weights[name].shape != value.shape)
    ]
    misfits += [f"{name} is not part of it" for name in weights if name not in wanted and name not in OWN]
    if misfits:
        more = f" and {len(misfits) - 3} more" if len(misfits) > 3 else ""
        raise UserError(
            f"train.init_from: the network in {folder} is not the one that is configured: "
            f"{'; '.join(misfits[:3])}{more}; give its --model settings"
        )
    return {
        name: weights[name]
        for name, value in wanted.items()
        if name in weights and weights[name].shape == value.shape and name != "dropout_stream"
    }


@torch.no_grad()
def start_from(folder: str, model: RecurrentModel) -> None:
    """Give `model` the weights in `folder`. Raises UserError."""
    model.load_state_dict(check(read_weights(folder), model, folder), strict=False)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
