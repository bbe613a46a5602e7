"""Full disks and odd surroundings: a run works there, or says in one line why it cannot."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hrm_rl.faults.subject import Subject
from hrm_rl.faults.surroundings import ODD, can_be_another, full_by_quota, full_disk, mounted, odd
from hrm_rl.runs.folder import RunFolder


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_run_goes_on_after_a_quota_of_file_size_is_lifted(
    seed: int, subject: Subject, whole: RunFolder
) -> None:
    assert full_by_quota(subject, whole, random.Random(seed)) is None


@pytest.mark.slow
def test_a_run_goes_on_after_a_full_disk_has_space_again(
    subject: Subject, whole: RunFolder, place: Path
) -> None:
    with mounted(place / "try", 100) as disk:
        if disk is None:
            pytest.skip("this user may not mount a small file system")
    assert full_disk(subject, whole, random.Random(1)) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_a_run_in_odd_surroundings_works_or_says_why_not(
    name: str, subject: Subject, whole: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "user" in ODD[name](subject.runs.parent) and not can_be_another():
        pytest.skip("only root becomes another user, who has to be able to read this code")
    monkeypatch.setattr("hrm_rl.faults.surroundings.ODD", {name: ODD[name]})
    assert odd(subject, whole, random.Random(0)) is None
