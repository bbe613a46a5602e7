"""How a network is told where a cell is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from envs import make_task
from hrm_rl.config import ModelConfig
from hrm_rl.models import build_model
from hrm_rl.models.layers.positions import board_frequencies, rotate, rotation, shares
from hrm_rl.utils.errors import UserError
from tests.helpers.small_models import BOARD, SLOTS, batch, small
from tests.helpers.tiny import grid


def sudoku(size: int) -> np.ndarray:
    return make_task("sudoku", size=size).coordinates()


@pytest.mark.parametrize(("size", "box_rows", "box_columns"), [(4, 2, 2), (6, 2, 3), (9, 3, 3)])
def test_a_sudoku_cell_is_at_its_row_column_and_box(size: int, box_rows: int, box_columns: int) -> None:
    boxes = size // box_columns
    expected = [(r, c, r // box_rows * boxes + c // box_columns) for r in range(size) for c in range(size)]
    assert sudoku(size).tolist() == [list(place) for place in expected]


def test_a_cell_of_any_other_task_is_at_its_row_and_column() -> None:
    task = make_task("maze", size=6)
    assert task.coordinates().tolist() == [[r, c] for r in range(6) for c in range(6)]
    assert len(task.coordinates()) == task.length


def products(coordinates: np.ndarray, width: int = 16) -> torch.Tensor:
    """(S, S) of one query and one key at every pair of places."""
    torch.manual_seed(0)
    query, key = torch.randn(2, width)
    extents = coordinates.max(0) + 1
    by = rotation(
        torch.tensor(coordinates),
        [
            board_frequencies(n, int(e))
            for n, e in zip(shares(width // 2, len(extents)), extents, strict=True)
        ],
    )
    everywhere = torch.Size((1, 1, len(coordinates), width))
    return (rotate(query.expand(everywhere), by) @ rotate(key.expand(everywhere), by).mT)[0, 0]


@pytest.mark.parametrize("board", [grid(5, 7), sudoku(6)], ids=["grid", "sudoku"])
def test_axial_products_depend_on_the_differences_of_coordinates_alone(board: np.ndarray) -> None:
    found: dict[tuple[int, ...], float] = {}
    product = products(board)
    for i, j in np.ndindex(len(board), len(board)):
        difference = tuple(int(d) for d in board[i] - board[j])
        first = found.setdefault(difference, float(product[i, j]))
        assert float(product[i, j]) == pytest.approx(first, rel=1e-3, abs=1e-3)
    values = sorted(found.values())
    assert min(np.diff(values)) > 0, "every difference has a product of its own"


def test_axial_products_are_the_sum_of_a_rotary_product_for_each_coordinate() -> None:
    """Written out with complex numbers: pairs (i, i + H/2), shared out 3 + 3 + 2."""
    board = sudoku(4)
    turns = [
        torch.tensor([math.pi / 4, math.pi / 2, math.pi]),
        torch.tensor([math.pi / 4, math.pi / 2, math.pi]),
        torch.tensor([math.pi / 4, math.pi]),
    ]
    torch.manual_seed(0)
    query, key = torch.randn(2, 8, dtype=torch.complex64)
    angle = torch.zeros(16, 8)
    pair = 0
    for k in range(3):
        for turn in turns[k]:
            angle[:, pair] = torch.tensor(board[:, k]) * turn
            pair += 1
    turn = torch.polar(torch.ones(16, 8), angle)
    expected = ((query * turn) @ (key * turn).conj().T).real
    by = rotation(torch.tensor(board), [board_frequencies(n, 4) for n in shares(8, 3)])
    q, k = (torch.cat((v.real, v.imag)).expand(1, 1, 16, 16) for v in (query, key))
    torch.testing.assert_close((rotate(q, by) @ rotate(k, by).mT)[0, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("pairs", "places"), [(1, 9), (2, 9), (5, 9), (8, 30), (3, 4), (3, 1)])
def test_wavelengths_reach_from_two_places_to_twice_the_board(pairs: int, places: int) -> None:
    wavelengths = 2 * math.pi / board_frequencies(pairs, places)
    assert float(wavelengths[0]) == pytest.approx(2 * places)
    assert len(wavelengths) == pairs
    assert pairs == 1 or float(wavelengths[-1]) == pytest.approx(2)
    ratios = wavelengths[:-1] / wavelengths[1:]
    assert torch.allclose(ratios, ratios[:1].expand_as(ratios))


def test_no_two_places_of_a_board_look_alike() -> None:
    """The longest wavelength turns less than half a circle over the board."""
    longest = board_frequencies(4, 9)[0] * torch.arange(9)
    assert (longest.cos().diff() < 0).all()


def test_axial_places_a_prefix_before_the_first_cell_in_every_coordinate() -> None:
    model = small(pos_encodings="axial", puzzle_emb_ndim=32)
    places = torch.tensor([[0, 0], [1, 1], *(BOARD + 2).tolist()])
    extents = (places.amax(0) + 1).tolist()
    assert torch.equal(model.rope_sin, rotation(places, [board_frequencies(2, e) for e in extents])[1])


def test_axial_draws_the_weights_of_rope_and_has_no_more() -> None:
    rope, axial = small(), small(pos_encodings="axial")
    assert rope.state_dict().keys() == axial.state_dict().keys()
    for name, value in rope.state_dict().items():
        assert torch.equal(value, axial.state_dict()[name])


@pytest.mark.parametrize(
    ("hidden", "heads", "advice"),
    [
        (48, 12, "num_heads could be 8"),
        (64, 16, "num_heads could be 8"),
        (4, 1, "hidden_size must be at least 6"),
    ],
)
def test_too_narrow_heads_for_the_coordinates_are_refused_with_the_right_number(
    hidden: int, heads: int, advice: str
) -> None:
    config = ModelConfig(hidden_size=hidden, num_heads=heads, pos_encodings="axial")
    with pytest.raises(UserError, match=f"need heads of at least 6 numbers; .* they have 4: {advice}"):
        build_model(config, 6, sudoku(4))
    if "num_heads" in advice:
        build_model(config.model_copy(update={"num_heads": 8}), 6, sudoku(4))


def test_without_positions_the_network_cannot_tell_them_apart() -> None:
    model = small(pos_encodings="none")
    tokens, identifier = batch()
    order = torch.randperm(tokens.shape[1])
    _, logits, _ = model(model.initial_carry(SLOTS), tokens, identifier)
    _, permuted, _ = model(model.initial_carry(SLOTS), tokens[:, order], identifier)
    torch.testing.assert_close(permuted, logits[:, order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["hrm", "trm", "transformer"])
@pytest.mark.parametrize("kind", ["rope", "learned", "axial"])
def test_every_encoding_tells_positions_apart_in_every_model(name: str, kind: str) -> None:
    model = small(name, pos_encodings=kind)
    tokens, identifier = batch()
    _, logits, _ = model(model.initial_carry(SLOTS), tokens, identifier)
    _, flipped, _ = model(model.initial_carry(SLOTS), tokens.flip(1), identifier)
    assert (logits - flipped.flip(1)).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["rope", "axial"])
def test_rotations_are_refused_where_there_is_no_attention_to_rotate(kind: str) -> None:
    with pytest.raises(
        ValidationError, match=f"pos_encodings={kind} is for attention .* set pos_encodings to none"
    ):
        ModelConfig(mixer="mlp", pos_encodings=kind)
    ModelConfig(mixer="mlp", pos_encodings="learned")
