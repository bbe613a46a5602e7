"""Gradients of several workers: their average, in one message an update.

torch's DistributedDataParallel does this in buckets, beside the backward pass. It is not used: it imports
torch's compiler, which takes a second of CPU time in every worker, and the networks are so small that there
is little to hide behind a backward pass.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


def average_over_ranks(params: Iterable[Tensor]) -> None:
    """Replace the gradients of `params` by their average over all ranks, which must have them for the same
    parameters. What is not finite on one rank is not finite on all."""
    grads = [p.grad for p in params if p.grad is not None]
    if not grads:
        return
    flat = torch.cat([grad.reshape(-1) for grad in grads])
    flat /= dist.get_world_size()
    dist.all_reduce(flat)
    parts = flat.split([grad.numel() for grad in grads])
    torch._foreach_copy_(grads, [part.view_as(grad) for part, grad in zip(parts, grads, strict=True)])
