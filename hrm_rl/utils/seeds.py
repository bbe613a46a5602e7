"""Random numbers that follow from what they are for, so that nobody has to keep a generator's state."""

from __future__ import annotations

import hashlib

import torch


def seed_of(*key: int | str) -> int:
    """56 bits that follow from all of `key`."""
    return int.from_bytes(hashlib.blake2b(" ".join(map(str, key)).encode(), digest_size=7).digest())


def generator_of(device: torch.device, *key: int | str) -> torch.Generator:
    """A generator on `device` at the beginning of the numbers that follow from `key`."""
    return torch.Generator(device).manual_seed(seed_of(*key))
