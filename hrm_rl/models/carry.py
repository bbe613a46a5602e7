"""The recurrent state that goes from one segment to the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Carry:
    """Hidden states of B slots, detached from any graph. S = puzzle-embedding positions + tokens."""

    z_h: Tensor
    """(B, S, D) high-level state; the answer and the Q-values are read from it."""
    z_l: Tensor
    """(B, S, D) low-level state; (B, S, 0) for a network without one."""

    def replace_rows(self, rows: Tensor, other: Carry) -> Carry:
        """This carry with the slots where `rows` (B,) is true taken from `other`."""
        mask = rows.view(-1, 1, 1)
        return Carry(torch.where(mask, other.z_h, self.z_h), torch.where(mask, other.z_l, self.z_l))

    @staticmethod
    def join(parts: list[Carry]) -> Carry:
        """The slots of all parts, one part after the other."""
        return Carry(torch.cat([part.z_h for part in parts]), torch.cat([part.z_l for part in parts]))

    def select(self, index: Tensor | slice) -> Carry:
        """The slots at `index` (a mask, integers or a slice)."""
        return Carry(self.z_h[index], self.z_l[index])

    def change_since(self, before: Carry) -> Tensor:
        """(B,) how far z_h has come from there, relative to its length."""
        moved, length = (
            torch.linalg.vector_norm(z, dim=(1, 2), dtype=torch.float32)
            for z in (self.z_h - before.z_h, self.z_h)
        )
        return moved / length

    def finite_rows(self) -> Tensor:
        """(B,) whether all numbers of a slot are finite."""
        return self.z_h.isfinite().flatten(1).all(1) & self.z_l.isfinite().flatten(1).all(1)
