"""Networks saved as a folder and loaded from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm_rl.models import HRM, TRM, RecurrentModel
from hrm_rl.utils.errors import UserError
from tests.helpers.small_models import batch, small

NETWORKS: dict[str, dict[str, Any]] = {
    "hrm": {},
    "learned": {"pos_encodings": "learned", "puzzle_emb_ndim": 20},
    "axial": {"pos_encodings": "axial", "prefix": "cls"},
    "trm": {
        "name": "trm",
        "mixer": "mlp",
        "pos_encodings": "none",
        "puzzle_emb_ndim": 16,
        "puzzle_emb_len": 3,
    },
    "transformer": {"name": "transformer", "num_kv_heads": 1, "dropout": 0.1},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_network_thinks_as_the_saved_one_bit_for_bit(name: str, tmp_path: Path) -> None:
    model = small(**NETWORKS[name]).eval()
    if "puzzle_emb_ndim" in NETWORKS[name]:
        model.puzzle_emb.weight.normal_()
    model.save_pretrained(tmp_path / "folder")
    loaded = RecurrentModel.from_pretrained(tmp_path / "folder").eval()
    assert loaded.config == model.config
    carry, other = model.initial_carry(3), loaded.initial_carry(3)
    with torch.no_grad():
        for _ in range(2):
            carry, logits, q = model(carry, *batch())
            other, other_logits, other_q = loaded(other, *batch())
    assert torch.equal(logits, other_logits)
    assert torch.equal(q, other_q)


def test_the_class_that_loads_is_the_class_that_was_saved(tmp_path: Path) -> None:
    small().save_pretrained(tmp_path / "f")
    assert isinstance(HRM.from_pretrained(tmp_path / "f"), HRM)
    with pytest.raises(UserError, match="holds a network 'HRM', not 'TRM'"):
        TRM.from_pretrained(tmp_path / "f")


def test_a_folder_that_is_no_network_is_refused_in_one_line(tmp_path: Path) -> None:
    def refused() -> str:
        with pytest.raises(UserError) as error:
            RecurrentModel.from_pretrained(tmp_path / "f")
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "no config.json" in refused()
    small().save_pretrained(tmp_path / "f")
    config = tmp_path / "f" / "config.json"
    values = json.loads(config.read_text())
    config.write_text("{")
    assert "cannot read" in refused()
    for change, part in (
        ({"format": "other"}, "not of this project"),
        ({"version": 99}, "of version 99"),
        ({"version": 1}, "of version 1, this code reads 2: make it again"),
        ({"model": {**values["model"], "hiden_size": 1}}, "model.hiden_size"),
        ({"vocab_size": None}, "does not describe a network"),
        ({"vocab_size": 9}, "size mismatch"),
    ):
        config.write_text(json.dumps({**values, **change}))
        assert part in refused()
    config.write_text(json.dumps(values))
    (tmp_path / "f" / "model.safetensors").write_bytes(b"x")
    assert "cannot load" in refused()
