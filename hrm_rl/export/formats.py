"""The formats in which a model can be written, and the files of each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from torch.export import ExportedProgram

from hrm_rl.export import onnx_file, smaller
from hrm_rl.export.description import describe
from hrm_rl.export.program import (
    SegmentProgram,
    save_compiled,
    save_program,
    segment_program,
    with_identifier,
)
from hrm_rl.models import RecurrentModel
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.utils.errors import UserError

Format = Literal["pt2", "aoti", "onnx", "float16", "bfloat16", "int8", "int8-dynamic", "int4", "int4-naive"]
FORMATS: tuple[Format, ...] = get_args(Format)
FULL_PRECISION: tuple[Format, ...] = ("pt2", "aoti", "onnx")
"""Those that have to do the same as the network."""
ABOUT: dict[Format, str] = {
    "pt2": "torch.export",
    "aoti": "AOTInductor, for processors like this one",
    "onnx": "ONNX, float32",
    "float16": "ONNX, weights in float16",
    "bfloat16": "ONNX, weights in bfloat16",
    "int8": "ONNX, weights in int8, a scale a channel",
    "int8-dynamic": "ONNX, products in int8 (onnxruntime)",
    "int4": f"ONNX, weights in 4 bits, a scale for every {smaller.BLOCK} (onnxruntime)",
    "int4-naive": "ONNX, weights in 4 bits, a scale a channel",
}
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What it takes to write and to prove ONNX."""
DESCRIPTION, RUNNER = "segment.json", "runner.py"


def file_of(kind: Format) -> str:
    """`segment.int8.onnx`."""
    endings = {"pt2": "pt2", "aoti": "aoti.pt2", "onnx": "onnx"}
    return f"segment.{endings.get(kind, f'{kind}.onnx')}"


def runtime_of(kind: Format) -> str:
    """What opens it: pt2, aoti or onnx."""
    return kind if kind in ("pt2", "aoti") else "onnx"


def missing_for(kind: Format) -> str | None:
    """Why this machine cannot write a format; None if it can."""
    if kind == "aoti" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        return "AOTInductor needs a C++ compiler, such as g++"
    if runtime_of(kind) == "onnx":
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            many = f"packages {', '.join(missing)}" if len(missing) > 1 else f"package {missing[0]}"
            return f"{kind} needs the {many}: pip install 'hrm-rl[export]'"
    return None


@dataclass(frozen=True)
class Exporter:
    """Writes one model in several formats. What they have in common is made once."""

    loaded: LoadedModel
    opset: int = onnx_file.OPSET
    identifier: int | None = None
    """Row of the puzzle embedding that is kept alone."""

    def __post_init__(self) -> None:
        onnx_file.refuse_opset(self.opset)

    @cached_property
    def network(self) -> RecurrentModel:
        """What is exported."""
        model = self.loaded.model
        return model if self.identifier is None else with_identifier(model, self.identifier)

    @cached_property
    def segment(self) -> SegmentProgram:
        return SegmentProgram(self.network).eval()

    @cached_property
    def about(self) -> dict[str, Any]:
        return describe(self.loaded, self.segment, self.identifier)

    @cached_property
    def program(self) -> ExportedProgram:
        return segment_program(self.network)

    @cached_property
    def onnx(self) -> Any:
        """The onnx.ModelProto in float32."""
        return onnx_file.to_onnx(self.program, self.segment, self.opset, self.about)

    def in_words(self, kind: Format) -> str:
        """What a format is, with the version of ONNX's operators."""
        return f"{ABOUT[kind]}, opset {self.opset}" if runtime_of(kind) == "onnx" else ABOUT[kind]

    def write(self, kind: Format, folder: Path) -> Path:
        """Write one format. Returns its file; raises UserError."""
        path = folder / file_of(kind)
        if kind == "pt2":
            save_program(self.program, path, json.dumps(self.about))
        elif kind == "aoti":
            save_compiled(self.program, path, json.dumps(self.about))
        else:
            with onnx_file.quiet():
                path.write_bytes(self._smaller(kind).SerializeToString())
        return path

    def _smaller(self, kind: Format) -> Any:
        if kind == "onnx":
            return self.onnx
        if kind in ("float16", "bfloat16"):
            made = smaller.in_half(self.onnx, kind)
        elif kind == "int8-dynamic":
            made = smaller.dynamic_int8(self.onnx)
        elif kind == "int4":
            made = smaller.blocks_of_int4(self.onnx)
        else:
            made = smaller.in_integers(self.onnx, 8 if kind == "int8" else 4)
        onnx_file.describe_in(made, self.about | {"weights": kind})
        return made


def refuse_missing(kinds: Sequence[Format]) -> None:
    """Raise UserError if this machine cannot write one of the formats."""
    for kind in kinds:
        why = missing_for(kind)
        if why is not None:
            raise UserError(why)
