"""ONNX of a network with a table of puzzle embeddings and an MLP over positions; the fixture has neither."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest
import torch

from hrm_rl.export.onnx_file import refuse_opset, to_onnx
from hrm_rl.export.program import SegmentProgram, in_float32, segment_program
from hrm_rl.utils.errors import UserError
from tests.helpers.small_models import batch, small


def test_a_network_that_knows_its_puzzles_gives_the_same_numbers_for_any_batch(tmp_path: Path) -> None:
    sizes = {"mixer": "mlp", "pos_encodings": "none", "puzzle_emb_ndim": 16, "h_cycles": 1, "l_cycles": 1}
    model = small("trm", **sizes)
    model.puzzle_emb.weight.normal_(generator=torch.Generator().manual_seed(2))
    segment = SegmentProgram(model)
    made = to_onnx(segment_program(model), segment, 20, {"task": "sudoku", "rows": 3})
    assert made.opset_import[0].version == 20
    assert {entry.key: json.loads(entry.value) for entry in made.metadata_props} == {
        "task": "sudoku",
        "rows": 3,
    }
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in made.graph.input
    }
    positions = model.positions
    assert shapes == {
        "tokens": ["batch", 9], "identifier": ["batch"],
        "z_h": ["batch", positions, 16], "z_l": ["batch", positions, 16],
    }  # fmt: skip

    (tmp_path / "x.onnx").write_bytes(made.SerializeToString())
    session, twin = onnxruntime.InferenceSession(tmp_path / "x.onnx"), in_float32(model)
    for slots in (1, 4):
        tokens, identifier = batch(slots)
        carry = twin.initial_carry(slots)
        given = {"tokens": tokens, "identifier": identifier, "z_h": carry.z_h, "z_l": carry.z_l}
        found = session.run(None, {key: value.contiguous().numpy() for key, value in given.items()})
        with torch.no_grad():
            after, logits, q = twin(carry, tokens, identifier)
        for one, other in zip(found, (after.z_h, after.z_l, logits, q), strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("opset", [17, 24])
def test_versions_that_the_runtime_lacks_are_refused(opset: int) -> None:
    with pytest.raises(UserError, match=f"--opset {opset}: torch's exporter and onnxruntime have 18 to 23"):
        refuse_opset(opset)
