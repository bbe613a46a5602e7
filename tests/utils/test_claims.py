"""Folders of runs and sweeps that are started at the same moment, by one user or a job array."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hrm_rl.utils.claims import FolderKind, new_folder, resumed_folder
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.locks import LOCK, FolderLock

RUN = FolderKind("run", "run-name", "config.yaml")
PROCESSES = 8


def begin(root: Path, name: str, given: bool, start: Any, ended: Any, told: Any) -> None:
    """What each process of a job array does."""
    start.wait()
    try:
        with new_folder(root, name, given, RUN) as path:
            (path / "config.yaml").write_text(str(os.getpid()))
            told.put((path.name, os.getpid()))
            ended.wait()
    except UserError as error:
        told.put((str(error), None))
        ended.wait()


def started_together(root: Path, name: str, given: bool) -> list[tuple[str, int | None]]:
    """Where each of PROCESSES processes that start at one moment writes, or why it does not."""
    context = multiprocessing.get_context("fork")
    start, ended, told = context.Barrier(PROCESSES), context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=begin, args=(root, name, given, start, ended, told)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    found = [told.get(timeout=20) for _ in processes]
    for process in processes:
        process.join()
    return sorted(found)


def test_of_processes_that_start_at_once_each_has_its_own_folder(tmp_path: Path) -> None:
    found = started_together(tmp_path / "runs", "a", given=False)
    assert [name for name, _ in found] == ["a", *(f"a-{i}" for i in range(2, PROCESSES + 1))]
    for name, process in found:
        assert (tmp_path / "runs" / name / "config.yaml").read_text() == str(process)
        assert not (tmp_path / "runs" / name / LOCK).exists()


def test_of_processes_that_are_given_one_name_one_gets_it_and_the_others_say_why_not(tmp_path: Path) -> None:
    found = started_together(tmp_path, "a", given=True)
    winners = [process for _, process in found if process is not None]
    assert len(winners) == 1
    for line, process in found:
        if process is None:
            assert "choose another --run-name" in line
            assert "\n" not in line
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@contextmanager
def held(path: Path) -> Iterator[None]:
    lock = FolderLock(path, print)
    yield
    lock.release()


def test_a_folder_is_made_and_locked_before_anything_is_written_and_left_unlocked(tmp_path: Path) -> None:
    with new_folder(tmp_path / "runs", "r", True, RUN) as path:
        assert [p.name for p in path.iterdir()] == [LOCK]
        (path / "config.yaml").write_text("")
    assert [p.name for p in path.iterdir()] == ["config.yaml"]
    with pytest.raises(UserError, match=r"run r exists in .*: resume it with --run-name r --resume"):
        new_folder(tmp_path / "runs", "r", True, RUN).__enter__()
    with new_folder(tmp_path / "runs", "r", False, RUN) as other:
        assert other.name == "r-2"


def test_what_came_to_nothing_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wrong"), new_folder(tmp_path / "a" / "b", "r", True, RUN):
        raise UserError("wrong")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    with new_folder(tmp_path, "mine", True, RUN):
        pass
    assert (tmp_path / "mine").is_dir(), "it was there before"


def test_a_folder_of_something_else_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="is no run: choose another --run-name"):
        new_folder(tmp_path, "r", True, RUN).__enter__()
    (tmp_path / "s").symlink_to("nowhere")
    with pytest.raises(UserError, match="is no run: choose another --run-name"):
        new_folder(tmp_path, "s", True, RUN).__enter__()
    with pytest.raises(UserError, match=r"cannot write the run folder .*: File name too long"):
        new_folder(tmp_path, "n" * 300, True, RUN).__enter__()
    (tmp_path / "f").write_text("")
    with pytest.raises(UserError, match="is no run: choose another --run-name"):
        new_folder(tmp_path, "f", True, RUN).__enter__()
    with pytest.raises(UserError, match=r"cannot write the run folder .*: Not a directory"):
        new_folder(tmp_path / "f", "r", False, RUN).__enter__()


def test_a_start_that_was_killed_before_it_wrote_anything_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / LOCK).write_text("{}")
    with new_folder(tmp_path, "r", True, RUN) as path:
        assert path.name == "r"


def test_a_run_is_resumed_by_one_process_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with held(tmp_path), pytest.raises(UserError) as refused:
        resumed_folder(tmp_path, RUN).__enter__()
    line = str(refused.value)
    assert f"is in use by process {os.getpid()} on " in line
    assert "stop that one first, or choose another --run-name" in line
    with resumed_folder(tmp_path, RUN):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]
