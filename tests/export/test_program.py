"""One segment as a program: the same numbers as the network's, for every kind of network."""

from __future__ import annotations

import pytest
import torch

from hrm_rl.export.program import SegmentProgram, in_float32, segment_program, with_identifier
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.utils.errors import UserError
from tests.helpers.small_models import VOCABULARY, batch, small

SHORT = {"h_cycles": 1, "l_cycles": 1}
NETWORKS = {
    "hrm, rope": small("hrm", **SHORT),
    "hrm, axial, shared keys": small("hrm", pos_encodings="axial", num_kv_heads=1, **SHORT),
    "trm, mlp": small("trm", mixer="mlp", pos_encodings="none", **SHORT),
    "trm, puzzle embeddings, bfloat16": small("trm", puzzle_emb_ndim=16, dtype="bfloat16", **SHORT),
    "transformer, learned": small("transformer", pos_encodings="learned", **SHORT),
    "causal, dropout, cls": small("hrm", causal=True, dropout=0.2, prefix="cls", **SHORT),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_thinks_as_its_network_in_float32_whatever_the_batch(name: str) -> None:
    model = NETWORKS[name]
    program, segment, twin = segment_program(model).module(), SegmentProgram(model), in_float32(model)
    for slots in (1, 5):
        tokens, identifier = batch(slots)
        carry = twin.initial_carry(slots)
        state = {key: getattr(carry, key).contiguous() for key in segment.states}
        given = {"identifier": identifier} if segment.takes_identifier else {}
        with torch.no_grad():
            for _ in range(3):
                carry, logits, q = twin(carry, tokens, identifier)
                found = program(tokens=tokens, **state, **given)
                state = {key: found[key] for key in state}
                for one, other in ((found["logits"], logits), (found["q"], q), (found["z_h"], carry.z_h)):
                    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_only_what_a_network_has_goes_in() -> None:
    assert SegmentProgram(NETWORKS["transformer, learned"]).states == ("z_h",)
    assert set(SegmentProgram(NETWORKS["trm, puzzle embeddings, bfloat16"]).example(2)) == {
        "tokens", "z_h", "z_l", "identifier",
    }  # fmt: skip
    assert "identifier" not in SegmentProgram(NETWORKS["trm, mlp"]).example(2)


def test_attention_without_positions_takes_puzzles_of_any_length() -> None:
    model = small("transformer", pos_encodings="none", **SHORT)
    program = segment_program(model).module()
    for length in (4, 13):
        tokens = torch.randint(1, VOCABULARY, (2, length))
        z_h = model.h_init.expand(2, length, -1).contiguous()
        with torch.no_grad():
            expected = model.eval()(Carry(z_h, z_h[..., :0]), tokens, tokens[:, 0])[1]
            torch.testing.assert_close(
                program(tokens=tokens, z_h=z_h)["logits"], expected, rtol=1e-5, atol=1e-5
            )


def test_a_row_of_the_table_can_be_baked_in() -> None:
    model = small("trm", puzzle_emb_ndim=16, **SHORT)
    model.puzzle_emb.weight.normal_()
    tokens, _ = batch(2)
    baked = with_identifier(model, 3)
    assert not SegmentProgram(baked).takes_identifier
    program = segment_program(baked).module()
    with torch.no_grad():
        carry = model.initial_carry(2)
        expected = model.eval()(carry, tokens, torch.tensor([3, 3]))[1]
        other = model(carry, tokens, torch.tensor([0, 0]))[1]
        found = program(tokens=tokens, z_h=carry.z_h.contiguous(), z_l=carry.z_l.contiguous())["logits"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(other, expected, atol=1e-3), "the row makes a difference"


@pytest.mark.parametrize(
    ("model", "row", "part"),
    [
        (NETWORKS["hrm, rope"], 0, "no puzzle embeddings"),
        (NETWORKS["trm, puzzle embeddings, bfloat16"], 4, "rows 0 to 3"),
    ],
)
def test_a_row_that_is_not_there_is_refused(model: RecurrentModel, row: int, part: str) -> None:
    with pytest.raises(UserError, match=part):
        with_identifier(model, row)


def test_a_network_that_cannot_be_followed_is_refused_in_one_line() -> None:
    class Undecided(type(small())):  # type: ignore[misc]
        def think(self, z_h, z_l, x, by, drop):
            return super().think(z_h, z_l, x, by, drop) if z_h.sum() > 0 else (z_h, z_l)

    model = small(**SHORT)
    model.__class__ = Undecided
    with pytest.raises(UserError, match=r"torch\.export cannot follow the network 'hrm'") as error:
        segment_program(model)
    assert "\n" not in str(error.value)
