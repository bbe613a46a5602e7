"""A segment in ONNX, through torch's own exporter. It has no loop with a condition, so one segment is a file.

Legend: B slots, L tokens.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.export import ExportedProgram

from hrm_rl.export.program import SegmentProgram
from hrm_rl.utils.errors import UserError, one_line

OPSET, OPSETS = 21, range(18, 24)
"""The version of ONNX's operators that is written if none is asked for, and those that torch's exporter and
onnxruntime know. 21 is the first with 4-bit weights."""


def refuse_opset(opset: int) -> None:
    """Raise UserError for a version that is not in OPSETS."""
    if opset not in OPSETS:
        raise UserError(
            f"--opset {opset}: torch's exporter and onnxruntime have {OPSETS[0]} to {OPSETS[-1]} in common "
            f"({OPSET} if not given)"
        )


def to_onnx(program: ExportedProgram, segment: SegmentProgram, opset: int, about: Mapping[str, Any]) -> Any:
    """The checked onnx.ModelProto of a program. Inputs have the names of the program's, outputs too, but for
    the states, which come out as `next_z_h` and `next_z_l`. Raises UserError."""
    import onnx
    from onnx_ir.passes.common import DeduplicateInitializersPass

    inputs = segment.example(2)
    outputs = [f"next_{name}" for name in segment.states] + ["logits", "q"]
    with quiet():
        try:
            made: Any = torch.onnx.export(
                program, (), kwargs=inputs, input_names=list(inputs), output_names=outputs, dynamo=True,
                opset_version=opset, optimize=True, verbose=False,
            )  # fmt: skip
        except Exception as error:  # its errors have no common base
            raise UserError(
                f"torch's ONNX exporter cannot write this network: {one_line(error, 160)}"
            ) from None
    DeduplicateInitializersPass()(made.model)  # a network meets its blocks more than once
    model = made.model_proto
    written = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if written != opset:
        raise UserError(
            f"--opset {opset}: torch's exporter wrote {written} for this network; ask for that one"
        )
    _name_dimensions(model)
    _forget_origin(model)
    describe_in(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model


def describe_in(model: Any, about: Mapping[str, Any]) -> None:
    """Let the metadata of a ModelProto be these values, each as JSON."""
    del model.metadata_props[:]
    for key, value in about.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    model.producer_name = "hrm-rl"
    model.graph.name = "segment"


def _forget_origin(model: Any) -> None:
    """Leave out from which lines of code each node came: half of a small file, and not for others to see."""
    for entry in (
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        model.graph,
    ):
        del entry.metadata_props[:]
        entry.doc_string = ""


def _name_dimensions(model: Any) -> None:
    """Call B `batch` and L `length`, where they are free."""
    (tokens,) = (value for value in model.graph.input if value.name == "tokens")
    names = {
        dimension.dim_param: name
        for dimension, name in zip(tokens.type.tensor_type.shape.dim, ("batch", "length"), strict=True)
        if dimension.dim_param
    }
    for values in (model.graph.input, model.graph.output, model.graph.value_info):
        for value in values:
            for dimension in value.type.tensor_type.shape.dim:
                if dimension.dim_param in names:
                    dimension.dim_param = names[dimension.dim_param]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what exporters and quantizers say of packages and of steps that they would like too."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
