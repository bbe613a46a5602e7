"""An exported segment in the place of the network that it was made of, so that the package's own loops and
figures can be put to it: proof, evaluation, search.

Legend: B slots, S positions, D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from hrm_rl.export.program import SegmentProgram
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.utils.errors import UserError, one_line

Run = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""One segment, tensors by name."""


class PortableModel(nn.Module):
    """What the engine asks of a network, answered by a program. It cannot be trained."""

    def __init__(self, segment: SegmentProgram, run: Run):
        super().__init__()
        twin = segment.model
        self.takes_identifier, self.states, self.positions = (
            segment.takes_identifier,
            segment.states,
            twin.positions,
        )
        # A parameter, since it is from these that a solver tells the device.
        self.h_init = nn.Parameter(twin.h_init.clone(), requires_grad=False)
        self.l_init = nn.Parameter(twin.l_init.clone(), requires_grad=False)
        self.run = run

    def initial_carry(self, slots: int) -> Carry:
        return Carry(
            self.h_init.expand(slots, self.positions, -1), self.l_init.expand(slots, self.positions, -1)
        )

    def forward(self, carry: Carry, tokens: Tensor, identifier: Tensor) -> tuple[Carry, Tensor, Tensor]:
        """As RecurrentModel.forward."""
        given = {"tokens": tokens} | {name: getattr(carry, name).contiguous() for name in self.states}
        found = self.run(given | ({"identifier": identifier} if self.takes_identifier else {}))
        return Carry(found["z_h"], found.get("z_l", carry.z_l)), found["logits"], found["q"]

    def as_network(self) -> RecurrentModel:
        """Itself, for those who take a network."""
        return cast(RecurrentModel, self)


def open_portable(path: Path, kind: str, segment: SegmentProgram) -> PortableModel:
    """The model in a file. kind: pt2, aoti or onnx. Raises UserError for one that this machine cannot run."""
    try:
        if kind == "onnx":
            return PortableModel(segment, _onnx(path))
        if kind == "aoti":
            inductor: Any = torch._inductor
            return PortableModel(segment, _by_keyword(inductor.aoti_load_package(str(path))))
        return PortableModel(segment, _by_keyword(torch.export.load(path).module()))
    except Exception as error:  # of onnxruntime, of the loader of programs
        raise UserError(f"cannot run {path.name} here: {one_line(error, 160)}") from None


def _by_keyword(program: Any) -> Run:
    def run(given: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            found: dict[str, Tensor] = program(**given)
        return found

    return run


def _onnx(path: Path) -> Run:
    from hrm_rl.export.runner import Runner  # onnxruntime comes with the extra `export` only

    runner = Runner(path, threads=torch.get_num_threads())

    def run(given: dict[str, Tensor]) -> dict[str, Tensor]:
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in given.items()}
        tokens, identifier = arrays.pop("tokens"), arrays.pop("identifier", None)
        state, logits, q = runner.segment(tokens, arrays, identifier)
        found: dict[str, np.ndarray[Any, Any]] = {**state, "logits": logits, "q": q}
        return {name: torch.from_numpy(array) for name, array in found.items()}

    return run
