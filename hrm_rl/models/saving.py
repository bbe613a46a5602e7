"""A network as a folder that others can load: config.json and model.safetensors, with nothing unpickled.

hrm_rl/runs/pretrained.py adds to it what is known of the run that the network came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from hrm_rl.config import ModelConfig
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError, first_problem, one_line
from hrm_rl.utils.files import whole_folder, write_atomically

Stored = Literal["float32", "float16"]
"""Type of the weights in the file; a loaded network has float32."""

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FORMAT, VERSION = "hrm-rl", 2
"""Version 2: axial positions turn by the board's extent, so that weights of version 1 mean something else."""


class Blueprint(NamedTuple):
    """What a network is built from, as config.json says."""

    config: ModelConfig
    vocab_size: int
    coordinates: NDArray[np.int64]
    """(L, K) where each cell is."""
    identifiers: int
    """Rows of the puzzle-embedding table."""


def write(
    model: Any,
    folder: Path,
    about: dict[str, Any] | None = None,
    card: str = "",
    dtype: Stored = "float32",
) -> None:
    """Write config.json, model.safetensors and README.md of a network into `folder`: over what is there of
    these, and where there is nothing yet, whole or not at all. Raises UserError for weights that `dtype`
    cannot hold."""
    tensors = _rounded(model, dtype)
    if folder.is_dir() and any(folder.iterdir()):
        _write_into(folder, model, tensors, about, card)
    else:
        with whole_folder(folder) as temporary:
            _write_into(temporary, model, tensors, about, card)


def _rounded(model: Any, dtype: Stored) -> dict[str, Tensor]:
    """The weights as they are stored. Raises UserError."""
    kind = {"float32": torch.float32, "float16": torch.float16}[dtype]
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    tensors = {name: t.to(kind) if t.is_floating_point() else t for name, t in tensors.items()}
    if dtype == "float16" and (fault := not_finite(tensors)) is not None:
        raise UserError(f"float16 cannot hold these weights, {fault}: leave them in float32")
    return tensors


def _write_into(
    folder: Path, model: Any, tensors: dict[str, Tensor], about: dict[str, Any] | None, card: str
) -> None:
    write_atomically(folder / WEIGHTS, safetensors.torch.save(tensors, {"format": "pt"}))
    write_atomically(folder / CARD, card or f"{front_matter()}\n{how_to_load()}")
    write_atomically(folder / CONFIG, json.dumps(_description(model, about), indent=1))


def read_blueprint(folder: Path) -> Blueprint:
    """What the network in `folder` is built from. Raises UserError."""
    values = description(folder)
    try:
        config = ModelConfig.model_validate(values["model"])
        return Blueprint(config, int(values["vocab_size"]), _coordinates(values), int(values["identifiers"]))
    except ValidationError as error:
        raise UserError(f"{folder / CONFIG}: model.{first_problem(error)}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / CONFIG} does not describe a network: {error!r}") from None


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """`2 of its 40 tensors hold NaN or infinity, the first lm_head.weight`; None if none does."""
    wrong = [name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if not wrong:
        return None
    hold = "holds" if len(wrong) == 1 else "hold"
    return f"{len(wrong)} of its {len(tensors)} tensors {hold} NaN or infinity, the first {wrong[0]}"


def read_weights_into(model: nn.Module, folder: Path) -> None:
    """Give `model` the weights in `folder`. Raises UserError if they cannot be read or do not fit."""
    try:
        model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"cannot load {folder / WEIGHTS}: {_fault(folder / WEIGHTS, error)}") from None
    fault = not_finite(model.state_dict())
    if fault is not None:
        raise UserError(f"{folder / WEIGHTS} is of no use, {fault}: make the folder again from other weights")


def _fault(path: Path, error: Exception) -> str:
    """Why weights could not be loaded, in one line."""
    if path.is_file() and path.open("rb").read(30).startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; git lfs pull fetches the file"
    if isinstance(error, SafetensorError):
        return f"it is cut off or no safetensors file ({one_line(error)})"
    return one_line(str(error).partition(":")[2] or error)


def description(folder: Path) -> dict[str, Any]:
    """config.json of a folder. Raises UserError."""
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{folder} is no folder made by save_pretrained: it has no {CONFIG}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(f'{path} is not of this project: it should say "format": "{FORMAT}"')
    if values.get("version") != VERSION:
        raise UserError(
            f"{path} is of version {values.get('version')}, this code reads {VERSION}: make it again with "
            f"{typed_command('export')} or {typed_command('convert')}, or use the code that wrote it"
        )
    return values


def _description(model: Any, about: dict[str, Any] | None) -> dict[str, Any]:
    rows = getattr(model, "puzzle_emb", None)
    values = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.config.model_dump(mode="json"),
        "vocab_size": model.embed_tokens.weight.shape[0],
        "length": len(model.coordinates),
        "identifiers": 1 if rows is None else rows.weight.shape[0],
    }
    if model.config.pos_encodings == "axial":
        values["coordinates"] = np.asarray(model.coordinates).tolist()
    return values | ({} if about is None else {"run": about})


def _coordinates(values: dict[str, Any]) -> NDArray[np.int64]:
    """(L, K) where the cells are; only axial positions look at more than L."""
    found = np.array(values.get("coordinates", np.zeros((values["length"], 1))), np.int64)
    if found.ndim != 2 or len(found) != values["length"]:
        raise ValueError("coordinates do not fit length")
    return found


def front_matter() -> str:
    return "---\nlibrary_name: hrm-rl\ntags: [hrm-rl, recurrent-reasoning, adaptive-computation]\n---\n"


def how_to_load() -> str:
    return (
        "```python\nfrom hrm_rl.models import RecurrentModel\n\n"
        'model = RecurrentModel.from_pretrained("this-folder")  # needs neither Ray nor the run\n```\n'
    )
