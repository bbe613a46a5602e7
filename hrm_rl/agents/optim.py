"""Optimisers, learning-rate schedule and averaged weights; `Optimisation` is all of them in one step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hrm_rl.config import Config, OptimConfig
from hrm_rl.models import RecurrentModel
from hrm_rl.models.layers.puzzle_embedding import PuzzleEmbedding
from hrm_rl.utils.errors import NotResumable, UserError

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


def uncompiled(kind: type[Kind]) -> type[Kind]:
    """Class decorator: an optimiser that torch's compiler is never asked about.

    torch wraps some methods of its optimisers so that the compiler leaves them alone, and imports it for
    that, which takes a second of CPU time. Nothing here compiles an optimiser: it gets the methods as they
    were.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        setattr(kind, name, inspect.unwrap(getattr(kind, name)))
    return kind


@uncompiled
class AdamW(torch.optim.AdamW):
    """torch's own, uncompiled."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


@uncompiled
class AdamATan2(torch.optim.Optimizer):
    """Adam with atan2 in place of the quotient (arXiv 2407.05872), so that no epsilon is needed.

    p *= 1 - lr*wd;  m, v as Adam;  p -= lr/(1-b1^t) * atan2(m, sqrt(v)/sqrt(1-b2^t))
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("AdamATan2 takes no closure")
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            for p in params:
                if not self.state[p]:
                    self.state[p] = {
                        "step": torch.zeros(()),
                        "exp_avg": torch.zeros_like(p),
                        "exp_avg_sq": torch.zeros_like(p),
                    }
            grads = [p.grad for p in params]
            m = [self.state[p]["exp_avg"] for p in params]
            v = [self.state[p]["exp_avg_sq"] for p in params]
            torch._foreach_add_([self.state[p]["step"] for p in params], 1)
            step = self.state[params[0]]["step"].item()
            lr, (beta1, beta2) = group["lr"], group["betas"]

            torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
            torch._foreach_lerp_(m, grads, 1 - beta1)
            torch._foreach_mul_(v, beta2)
            torch._foreach_addcmul_(v, grads, grads, 1 - beta2)
            scale = torch._foreach_sqrt(v)
            torch._foreach_div_(scale, math.sqrt(1 - beta2**step))
            angles = [torch.atan2(a, b) for a, b in zip(m, scale, strict=True)]
            torch._foreach_add_(params, angles, alpha=-lr / (1 - beta1**step))


@uncompiled
class MuonWithAdamW(torch.optim.Optimizer):
    """Muon (torch.optim.Muon) for `matrices`, AdamW for `others`, as one optimiser with
    one state and one rate.

    Muon's step is scaled to the size of AdamW's (arXiv 2502.16982), so that a rate
    found for one fits the other.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
    ):
        """Raises UserError if this torch has no Muon."""
        if not hasattr(torch.optim, "Muon"):
            raise UserError(
                f"optim.name muon needs torch 2.9 or newer, this is {torch.__version__}: choose adamw or "
                "adam_atan2"
            )
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(
                _muon()(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        if others:
            self.parts.append(AdamW(others, lr=lr, betas=betas, weight_decay=weight_decay, fused=True))
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("MuonWithAdamW takes no closure")
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state  # load_state_dict() makes new ones
            part.step()


def _muon() -> Any:
    """torch's own, uncompiled."""

    @uncompiled
    class Muon(torch.optim.Muon):
        pass

    return Muon


class SignSGD:
    """Sign descent with decoupled weight decay for the rows of a puzzle embedding that an update looked up.

    The gradients of rows with one identifier are summed over all slots of all ranks first, then
    p = p*(1 - lr*wd) - lr*sign(g). It has no state.
    """

    def __init__(self, embedding: PuzzleEmbedding, lr: float, weight_decay: float, max_rows: int):
        """max_rows: the most rows that any rank looks up in an update, the same number on all ranks."""
        self.embedding = embedding
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_rows = max_rows
        self.looked_up: list[tuple[Tensor, Tensor]] = []

    def collect(self) -> None:
        """Take note of the rows of the last forward pass."""
        assert self.embedding.looked_up is not None, "collect() before a forward pass"
        self.looked_up.append(self.embedding.looked_up)

    def clear(self) -> None:
        """Begin a new update."""
        self.looked_up.clear()

    def gradient(self) -> tuple[Tensor, Tensor]:
        """Identifiers (U,), each once, and the sums (U, ndim) of their rows' gradients over all ranks."""
        identifier = torch.cat([identifier for identifier, _ in self.looked_up])
        grads = [rows.grad for _, rows in self.looked_up if rows.grad is not None]
        assert len(grads) == len(self.looked_up), "gradient() before backward()"
        identifier, grad = _gather_rows(identifier, torch.cat(grads), self.max_rows)
        unique, position = identifier.unique(return_inverse=True)
        chosen = nn.functional.one_hot(position, len(unique)).to(grad.dtype)
        return unique, chosen.T @ grad  # not index_add_, whose order of summation varies on CUDA

    @torch.no_grad()
    def step(self, identifier: Tensor, grad: Tensor, lr_scale: float = 1.0) -> None:
        """One step on what `gradient` returned, at the learning rate times `lr_scale`."""
        lr = self.lr * lr_scale
        weight = self.embedding.weight
        weight[identifier] = weight[identifier] * (1 - lr * self.weight_decay) - lr * grad.sign()


def _gather_rows(identifier: Tensor, grad: Tensor, max_rows: int) -> tuple[Tensor, Tensor]:
    """The rows of all ranks, in rank order. Ranks with fewer than max_rows pad with identifier -1.

    The loss is scaled for gradients that are averaged over ranks; so are these rows.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return identifier, grad
    device, padding = grad.device, max_rows - len(identifier)
    on = torch.device("cpu") if dist.get_backend() == "gloo" else device  # gloo gathers on the CPU only
    identifier = nn.functional.pad(identifier, (0, padding), value=-1).to(on)
    grad = nn.functional.pad(grad, (0, 0, 0, padding)).to(on)
    identifiers = [torch.empty_like(identifier) for _ in range(dist.get_world_size())]
    grads = [torch.empty_like(grad) for _ in identifiers]
    dist.all_gather(identifiers, identifier)
    dist.all_gather(grads, grad)
    everyone = torch.cat(identifiers).to(device)
    real = everyone >= 0
    return everyone[real], torch.cat(grads).to(device)[real] / dist.get_world_size()


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """The optimiser of the network's weights. Raises UserError if this torch does not have it."""
    settings: dict[str, Any] = {"lr": config.lr, "betas": config.betas, "weight_decay": config.weight_decay}
    if config.name == "muon":
        inner = {id(p) for name, p in model.named_parameters() if is_inner_matrix(name, p)}
        params = list(model.parameters())
        return MuonWithAdamW(
            [p for p in params if id(p) in inner], [p for p in params if id(p) not in inner], **settings
        )
    if config.name == "adamw":
        return AdamW(model.parameters(), fused=True, **settings)
    return AdamATan2(model.parameters(), **settings)


def is_inner_matrix(name: str, p: nn.Parameter) -> bool:
    """Whether Muon updates this parameter: matrices between the embeddings and the heads."""
    return p.ndim == 2 and not name.startswith(("embed", "lm_head", "q_head"))


def lr_scale(update: int, total: int, config: OptimConfig) -> float:
    """Learning rate of update number `update` (from 1) as a share of `lr`: linear warm-up, then a cosine
    that ends at `lr_min_ratio` with update `total`."""
    warmup = config.warmup_updates
    if update < warmup:
        return update / warmup
    progress = min(1.0, (update - warmup) / max(1, total - warmup))
    low = config.lr_min_ratio
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress))


def clip_gradients(params: list[nn.Parameter], largest: float) -> Tensor:
    """Scale the gradients so that their norm over all parameters is at most `largest` (0: leave them).
    Returns the norm before."""
    grads = [p.grad for p in params if p.grad is not None]
    norm = nn.utils.get_total_norm(grads)
    if largest > 0:
        nn.utils.clip_grads_with_norm_(params, largest, norm)
    return norm


class AveragedWeights:
    """Exponential moving average of a model's parameters, kept apart from them."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.params = dict(model.named_parameters())
        self.begin()

    def begin(self) -> None:
        """The average of the present weights alone."""
        self.average = {name: p.detach().clone() for name, p in self.params.items()}

    @torch.no_grad()
    def update(self) -> None:
        """average = decay * average + (1 - decay) * weights"""
        torch._foreach_lerp_(
            list(self.average.values()), [p.detach() for p in self.params.values()], 1 - self.decay
        )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the averaged weights; afterwards its own, bit for bit. They are copied to
        where the weights are, since recorded kernels look there."""
        weights = [p.detach() for p in self.params.values()]
        own = [w.clone() for w in weights]
        with torch.no_grad():
            torch._foreach_copy_(weights, list(self.average.values()))
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(weights, own)


class Optimisation:
    """Everything that changes a network's weights: one step for each update, unless its gradients are not
    finite."""

    def __init__(self, model: RecurrentModel, config: Config, max_rows: int):
        """max_rows: as in `SignSGD`, with which puzzle embeddings are trained."""
        settings = config.optim
        self.config = config
        self.params = list(model.parameters())
        self.optimizer = build_optimizer(model, settings)
        self.sign_sgd = None
        if config.model.puzzle_emb_ndim:
            self.sign_sgd = SignSGD(
                model.puzzle_emb, settings.puzzle_emb_lr, settings.puzzle_emb_weight_decay, max_rows
            )
        self.averaged = AveragedWeights(model, settings.ema_decay) if settings.ema_decay else None
        self.skipped_in_a_row = 0

    @property
    def lr(self) -> float:
        """Learning rate of the last step, which the optimiser still holds."""
        return float(self.optimizer.param_groups[0]["lr"])

    def collect(self) -> None:
        """Take note of the puzzle embeddings of the last forward pass, after every one with gradient."""
        if self.sign_sgd is not None:
            self.sign_sgd.collect()

    def step(self, update: int) -> float | None:
        """Step number `update` (from 1), on the gradients there are, which are then cleared.

        Returns the norm of the network's gradients, or None if they were not finite and nothing was changed.
        Raises NotResumable after too many such updates in a row.
        """
        settings = self.config.optim
        scale = lr_scale(update, self.config.train.max_updates, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * scale
        found = clip_gradients(self.params, settings.grad_clip)
        if self.sign_sgd is not None:
            rows = self.sign_sgd.gradient()
            # A norm that is not finite stands for rows that are not, too.
            found = torch.where(rows[1].isfinite().all(), found, torch.nan)
        norm = float(found)
        finite = math.isfinite(norm)
        if finite:
            self.optimizer.step()
            if self.sign_sgd is not None:
                self.sign_sgd.step(*rows, scale)
            if self.averaged is not None:
                self.averaged.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.sign_sgd is not None:
            self.sign_sgd.clear()
        self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1
        if self.skipped_in_a_row >= settings.max_skipped_updates:
            raise NotResumable(
                f"{self.skipped_in_a_row} updates in a row had a loss or gradient that is not finite (at "
                f"update {update}): start a new run with {_calmer(self.config)}"
            )
        return norm if finite else None


def _calmer(config: Config) -> str:
    """Settings with which a run that diverged may not."""
    lr, clip, dtype = config.optim.lr, config.optim.grad_clip, config.model.dtype
    advice = [f"a lower --optim.lr (now {lr:g})"]
    advice.append(
        f"a smaller --optim.grad-clip (now {clip:g})" if clip else "--optim.grad-clip 1 (now 0, none)"
    )
    if dtype != "float32":
        advice.append(f"--model.dtype float32 (now {dtype})")
    return f"{', '.join(advice[:-1])} or {advice[-1]}"
