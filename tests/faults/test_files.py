"""Damaged files of a run: found, named, and never used."""

from __future__ import annotations

import random

import pytest

from hrm_rl.faults.files import DAMAGES, Sound, damaged
from hrm_rl.faults.subject import Subject


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_found_or_does_no_harm(
    damage: str, seed: int, subject: Subject, sound: Sound
) -> None:
    assert damaged(subject, sound, damage, random.Random(f"{damage} {seed}")) is None
