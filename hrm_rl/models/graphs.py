"""The kernels of a segment on an NVIDIA GPU, recorded once as a CUDA graph and then started by one call.

A segment is more than a thousand kernels, most of which take less time than a CPU needs to start one.
Recorded are segments with gradient (with their backward pass) and without, each for the number of slots that
is asked for again and again; all else runs as it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hrm_rl.models.layers.linear import Linear
from hrm_rl.models.recurrent import RecurrentModel
from hrm_rl.utils.errors import UserError

Outputs = tuple[Tensor, Tensor, Tensor, Tensor]

RECORDED_AT = 4
"""The time that a kind of segment is asked for at which it is recorded; before it is
compiled and memory settles."""
MOST_RECORDED = 4
"""Kinds that are recorded; each keeps the memory of its activations."""


class _Segment(nn.Module):
    """`RecurrentModel.segment` without dropout, as a module of its own, which is what torch records."""

    def __init__(self, model: RecurrentModel):
        super().__init__()
        self.model = model

    def forward(self, z_h: Tensor, z_l: Tensor, x: Tensor) -> Outputs:
        return self.model.segment(z_h, z_l, x, drop=False)


class SegmentGraphs:
    """`RecurrentModel.segment` of one model, replayed where it was recorded.

    A segment with gradient must go backward, and its gradients be used up, before the next one with
    gradient begins, since both have the same memory; all within one `RecurrentModel.unchanging`. What
    is returned is the caller's to keep.
    """

    def __init__(self, model: RecurrentModel):
        self.model = model
        self._asked: Counter[Any] = Counter()
        self._recorded: dict[Any, Callable[..., Outputs]] = {}
        for module in model.modules():
            if isinstance(module, Linear) and module.weight.dtype != model.compute_dtype:
                module.room = torch.empty_like(module.weight, dtype=model.compute_dtype, requires_grad=False)

    def __call__(self, z_h: Tensor, z_l: Tensor, x: Tensor) -> Outputs:
        kind = (torch.is_grad_enabled(), x.requires_grad, x.shape)
        self._asked[kind] += 1
        run = self._recorded.get(kind)
        if run is None and self._asked[kind] >= RECORDED_AT and len(self._recorded) < MOST_RECORDED:
            try:
                run = _record(self.model, z_h, z_l, x)
            except RuntimeError as error:
                raise UserError(
                    f"the network could not be recorded as a CUDA graph ({str(error).splitlines()[0]}); "
                    "--train.no-cuda-graphs does without"
                ) from error
            self._recorded[kind] = run
        if run is None:
            return self.model.segment(z_h, z_l, x, drop=False)
        z_h, z_l, logits, q = run(z_h, z_l, x)
        return z_h.detach().clone(), z_l.detach().clone(), logits.clone(), q.clone()


def _record(model: RecurrentModel, z_h: Tensor, z_l: Tensor, x: Tensor) -> Callable[..., Outputs]:
    # Memory of its own for each input, made outside inference mode so that later values can be copied there.
    with torch.inference_mode(False):
        held = tuple(t.detach().clone().requires_grad_(t.requires_grad) for t in (z_h, z_l, x))
    segment = _Segment(model).train(model.training)
    if torch.is_grad_enabled():
        recorded: Any = torch.cuda.make_graphed_callables(segment, held, allow_unused_input=True)
        return recorded
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        segment(*held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs: Outputs = segment(*held)

    def replay(*values: Tensor) -> Outputs:
        for room, value in zip(held, values, strict=True):
            room.copy_(value)
        graph.replay()
        return outputs

    return replay
