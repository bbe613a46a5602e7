"""Processes killed, or asked to stop, at random moments: afterwards the run is as if nothing had been."""

from __future__ import annotations

import random
import shutil
import signal

import pytest

from hrm_rl.faults.kills import MOMENTS, asked_to_stop, killed, killed_exporting
from hrm_rl.faults.report import STOPS
from hrm_rl.faults.subject import Subject, differences
from hrm_rl.runs.folder import RunFolder

LENGTH = 3.0
"""Seconds within which moments are drawn; a run takes about as long."""


def test_two_runs_that_nothing_happened_to_are_the_same(subject: Subject, whole: RunFolder) -> None:
    assert subject.finish("again").status == 0
    assert differences(subject.folder("again"), whole) == []


def test_the_comparison_sees_other_weights_other_records_and_what_is_left_behind(
    subject: Subject, whole: RunFolder
) -> None:
    folder = subject.folder("touched")
    shutil.copytree(whole.path, folder.path)
    weights = folder.checkpoint(40) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    folder.metrics.write_text(folder.metrics.read_text().partition("\n")[2])
    (folder.checkpoints / ".update-00000099.tmp").mkdir()
    found = "; ".join(differences(folder, whole))
    for seen in (
        "model.safetensors is corrupted",
        "model.safetensors differs",
        "metrics.jsonl",
        "left behind",
    ):
        assert seen in found


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_as_if_nothing_had_been(moment: str, subject: Subject, whole: RunFolder) -> None:
    assert killed(subject, whole, LENGTH, moment, random.Random(moment)) is None


@pytest.mark.slow
@pytest.mark.parametrize("number", STOPS)
def test_a_run_that_is_asked_to_stop_goes_on_as_if_nothing_had_been(
    number: signal.Signals, subject: Subject, whole: RunFolder
) -> None:
    assert asked_to_stop(subject, whole, LENGTH, number, random.Random(number)) is None


def test_a_killed_export_leaves_a_whole_folder_or_none(subject: Subject, whole: RunFolder) -> None:
    assert killed_exporting(subject, whole, random.Random(3)) is None
