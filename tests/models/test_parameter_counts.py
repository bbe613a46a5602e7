"""The published models have the published numbers of parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hrm_rl.config import ModelConfig, get_preset
from hrm_rl.models import RecurrentModel, build_model, count_parameters
from tests.helpers.tiny import grid

WIDTH = 512
HRM_PAPER: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_heads": 8,
    "h_layers": 4,
    "l_layers": 4,
    "puzzle_emb_ndim": WIDTH,
}
TRM_PAPER: dict[str, Any] = {
    "name": "trm", "hidden_size": WIDTH, "num_heads": 8, "l_layers": 2, "puzzle_emb_ndim": WIDTH,
    "puzzle_emb_len": 16,
}  # fmt: skip
ATTENTION = 4 * WIDTH * WIDTH
SWIGLU = 3 * WIDTH * 1536
POSITIONS = 16 + 81
MIXER = 3 * POSITIONS * 512  # 4 * 97 * 2/3 = 259, rounded up to a multiple of 256
HEADS_AND_TOKENS = 2 * 11 * WIDTH + 2 * WIDTH + 2


def shapes(config: ModelConfig, vocabulary: int, rows: int) -> RecurrentModel:
    with torch.device("meta"):  # shapes without numbers
        return build_model(config, vocabulary, grid(rows, rows))


@pytest.mark.parametrize(
    ("settings", "vocabulary", "rows", "published"),
    [
        pytest.param(HRM_PAPER, 11, 9, 27_275_266, id="hrm-sudoku"),
        pytest.param(HRM_PAPER, 6, 30, 27_270_146, id="hrm-maze"),
        pytest.param(TRM_PAPER, 11, 9, 6_828_034, id="trm-attention"),
        pytest.param(TRM_PAPER | {"mixer": "mlp", "pos_encodings": "none"}, 11, 9, 5_028_866, id="trm-mlp"),
        pytest.param(HRM_PAPER | {"name": "transformer"}, 11, 9, 27_275_266, id="transformer-as-hrm"),
    ],
)
def test_dense_parameters_are_as_many_as_published(
    settings: dict[str, Any], vocabulary: int, rows: int, published: int
) -> None:
    """Dense: without the puzzle embedding, which count_parameters adds."""
    model = shapes(ModelConfig(**settings), vocabulary, rows)
    assert sum(p.numel() for p in model.parameters()) == published
    assert count_parameters(model) == published + WIDTH


def test_published_numbers_follow_from_the_shapes() -> None:
    assert 8 * (ATTENTION + SWIGLU) + HEADS_AND_TOKENS == 27_275_266
    assert 2 * (ATTENTION + SWIGLU) + HEADS_AND_TOKENS == 6_828_034
    assert 2 * (MIXER + SWIGLU) + HEADS_AND_TOKENS == 5_028_866


@pytest.mark.parametrize(
    ("preset", "vocabulary", "rows", "expected"),
    [
        ("sudoku-extreme-1k", 11, 9, 27_275_266),
        ("maze-hard-1k", 6, 30, 27_270_146),
        ("hrm-sudoku-full", 11, 9, 27_275_266 + (1 + 81) * WIDTH),  # learned positions
        ("trm-sudoku-extreme-1k", 11, 9, 6_828_034),
        ("trm-sudoku-extreme-1k-mlp", 11, 9, 5_028_866),
        ("trm-maze-hard-1k", 6, 30, 6_828_034 - 2 * 5 * WIDTH),  # five tokens fewer, in and out
    ],
)
def test_presets_of_the_papers_have_the_papers_networks(
    preset: str, vocabulary: int, rows: int, expected: int
) -> None:
    model = shapes(get_preset(preset).model, vocabulary, rows)
    assert sum(p.numel() for p in model.parameters()) == expected
