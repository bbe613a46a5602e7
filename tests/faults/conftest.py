"""One forker, one whole run and what it is compared with, for all tests of faults."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hrm_rl.faults.commands import Commands
from hrm_rl.faults.files import Sound, prepare
from hrm_rl.faults.subject import Subject
from hrm_rl.runs.folder import RunFolder


@pytest.fixture(scope="session")
def subject() -> Iterator[Subject]:
    # pytest's own folders are closed to other users, as which some commands run.
    with tempfile.TemporaryDirectory(prefix="hrm-rl-faults-") as folder:
        place = Path(folder)
        (place / "runs").mkdir()
        with Commands(place) as commands:
            yield Subject(commands, place / "runs")


@pytest.fixture(scope="session")
def whole(subject: Subject) -> RunFolder:
    """A run that nothing happened to."""
    ended = subject.finish("whole")
    assert ended.status == 0, ended.output
    return subject.folder("whole")


@pytest.fixture(scope="session")
def sound(subject: Subject, whole: RunFolder) -> Sound:
    return prepare(subject, whole)


@pytest.fixture
def place(subject: Subject) -> Path:
    """The folder that the commands run in."""
    return subject.runs.parent
