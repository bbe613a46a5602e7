"""An ONNX file made smaller: weights in fewer bits, and products of integers.

Weights only: they are stored in a smaller type and become float32 again where they are used, by standard
operators of ONNX (Cast, DequantizeLinear), so that any runtime can. One scale a channel, that is for each
number that a product gives; symmetric. Dynamic int8 and 4 bits in blocks are onnxruntime's own quantizers.

What is made smaller are the matrices of the layers, for float16 and bfloat16 also the tables. The heads stay
as they are in int8 and int4: they are small, and halting is read from one of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm_rl.utils.errors import UserError

BLOCK = 32
"""Weights that share a scale in `int4`."""
INT4_OPSET = 21


def in_half(model: Any, kind: str) -> Any:
    """Matrices and tables stored as `float16` or `bfloat16`."""
    import onnx

    made, name_of_type = _copy(model), {"float16": "FLOAT16", "bfloat16": "BFLOAT16"}[kind]
    casts = []
    for initializer, weight in list(_matrices(made)):
        stored = _tensor(weight, name_of_type, f"{initializer.name}_{kind}")
        made.graph.initializer.remove(initializer)
        made.graph.initializer.append(stored)
        casts.append(
            onnx.helper.make_node("Cast", [stored.name], [initializer.name], to=onnx.TensorProto.FLOAT)
        )
    return _begun_with(made, casts)


def in_integers(model: Any, bits: int) -> Any:
    """Matrices of the layers as integers of 8 or 4 bits with a scale a channel. Raises UserError for 4 bits
    in an old version of ONNX."""
    import onnx

    if bits == 4 and model.opset_import[0].version < INT4_OPSET:
        raise UserError(f"int4-naive needs --opset {INT4_OPSET} or later: there were no 4-bit numbers before")
    made, nodes = _copy(model), []
    for initializer, weight in list(_matrices(made)):
        if not _of_layer(initializer.name):
            continue
        most = 2 ** (bits - 1) - 1
        scale = np.maximum(np.abs(weight).max(axis=0) / most, 1e-12).astype(np.float32)
        whole = np.clip(np.rint(weight / scale), -most - 1, most).astype(np.int8)
        stored = _tensor(whole, f"INT{bits}", f"{initializer.name}_int{bits}")
        scales = onnx.numpy_helper.from_array(scale, f"{initializer.name}_scale")
        made.graph.initializer.remove(initializer)
        made.graph.initializer.extend([stored, scales])
        inputs = [stored.name, scales.name]
        nodes.append(onnx.helper.make_node("DequantizeLinear", inputs, [initializer.name], axis=1))
    return _begun_with(made, nodes)


def dynamic_int8(model: Any) -> Any:
    """Products of integers: weights of 8 bits, a scale a channel, and activations that are rounded to 8 bits
    as they come, by onnxruntime.quantization."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dynamic.onnx"
        quantize_dynamic(
            _copy(model), out, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8,
            nodes_to_exclude=_other_products(model),
        )  # fmt: skip
        return onnx.load(out)


def blocks_of_int4(model: Any) -> Any:
    """4 bits with a scale and a zero for every BLOCK weights, by onnxruntime's quantizer. Its operator is
    onnxruntime's own (MatMulNBits)."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        _copy(model), block_size=BLOCK, is_symmetric=False, nodes_to_exclude=_other_products(model)
    )
    quantizer.process()
    return quantizer.model.model


def _matrices(model: Any) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    """Weights of two dimensions, with their numbers; no constants of positions."""
    import onnx

    used = {
        name
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gather", "Gemm")
        for name in node.input
    }
    for initializer in model.graph.initializer:
        floats = initializer.data_type == onnx.TensorProto.FLOAT and len(initializer.dims) == 2
        if floats and initializer.name in used:
            yield initializer, onnx.numpy_helper.to_array(initializer)


def _of_layer(name: str) -> bool:
    return ".layers." in name


def _other_products(model: Any) -> list[str]:
    """Names of the products that are not with a matrix of a layer."""
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and not any(_of_layer(name) for name in node.input)
    ]


def _tensor(values: NDArray[Any], kind: str, name: str) -> Any:
    """A TensorProto of this type."""
    import onnx_ir as ir

    return ir.to_proto(
        ir.tensor(values.astype(ir.DataType[kind].numpy()), dtype=ir.DataType[kind], name=name)
    )


def _begun_with(model: Any, nodes: list[Any]) -> Any:
    """The model with more nodes before its first, checked."""
    import onnx

    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(model)
    return model


def _copy(model: Any) -> Any:
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    return made
