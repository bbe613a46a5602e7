"""One process at a time writes to a folder: locks that death releases, and that say who holds them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hrm_rl.utils import locks
from hrm_rl.utils.locks import LOCK, FolderLock, Held, Holder, held_by
from tests.helpers.paths import ROOT

HOLD = """
import sys, time
from pathlib import Path
from hrm_rl.utils.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]), print)
print("held", flush=True)
time.sleep(60)
"""


def silent(line: str) -> None:
    raise AssertionError(line)


def holding(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def left_behind(folder: Path, **changes: object) -> Holder:
    """A lock of a process that can no longer be asked, as a file alone."""
    holder = dataclasses.replace(Holder.me(), **{"pid": 4242, "host": "node7", "boot": "another", **changes})
    (folder / LOCK).write_text(json.dumps(dataclasses.asdict(holder)))
    return holder


def test_another_process_is_refused_and_told_who_holds_it_until_that_one_is_killed(tmp_path: Path) -> None:
    process = holding(tmp_path)
    with pytest.raises(Held, match=f"process {process.pid} on {os.uname().nodename} since 2") as refused:
        FolderLock(tmp_path, silent)
    assert "\n" not in str(refused.value)
    assert f"process {process.pid}" in (held_by(tmp_path) or "")
    process.send_signal(signal.SIGSTOP)  # still there
    with pytest.raises(Held):
        FolderLock(tmp_path, silent)
    process.kill()
    process.wait()
    assert held_by(tmp_path) is None
    began = time.monotonic()
    FolderLock(tmp_path, silent).release()
    assert time.monotonic() - began < 1
    assert not list(tmp_path.iterdir())


def test_a_lock_is_given_back_and_taken_again(tmp_path: Path) -> None:
    for _ in range(3):
        lock = FolderLock(tmp_path, silent)
        assert held_by(tmp_path) == str(lock.me)
        with pytest.raises(Held):
            FolderLock(tmp_path, silent)
        lock.release()
        lock.release()
        assert held_by(tmp_path) is None


def test_of_many_threads_one_gets_it(tmp_path: Path) -> None:
    won: list[FolderLock] = []

    def take() -> None:
        with contextlib.suppress(Held):
            won.append(FolderLock(tmp_path, silent))

    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].release()


@pytest.fixture
def no_kernel_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows none, as some parallel ones do."""
    monkeypatch.setattr(locks, "_lock", lambda file, exclusive: None)


@pytest.mark.usefixtures("no_kernel_locks")
def test_without_locks_of_the_kernel_the_process_is_looked_up_and_the_limit_is_said(tmp_path: Path) -> None:
    process = holding(tmp_path)
    with pytest.raises(Held, match=f"process {process.pid}"):
        FolderLock(tmp_path, silent)
    assert held_by(tmp_path)
    process.kill()
    process.wait()
    assert held_by(tmp_path) is None
    said: list[str] = []
    FolderLock(tmp_path, said.append).release()
    assert said == [
        f"note: the file system of {tmp_path} knows no locks: other hosts' processes are not seen"
    ]


@pytest.mark.usefixtures("no_kernel_locks")
def test_a_number_that_another_process_has_by_now_is_not_the_holder(tmp_path: Path) -> None:
    left_behind(tmp_path, pid=os.getpid(), boot=Holder.me().boot, born="1")
    FolderLock(tmp_path, lambda line: None).release()


def test_a_process_on_another_host_is_waited_for_and_taken_for_dead_if_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.6)
    left_behind(tmp_path)
    assert "process 4242 on node7" in (held_by(tmp_path) or "")
    said: list[str] = []
    lock = FolderLock(tmp_path, said.append)
    assert len(said) == 1
    assert "process 4242 on node7" in said[0]
    assert "to see whether it still is" in said[0]
    lock.release()


def test_a_process_on_another_host_that_renews_its_lock_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 1.5)
    left_behind(tmp_path)
    threading.Timer(0.3, os.utime, [tmp_path / LOCK]).start()
    with pytest.raises(Held, match="process 4242 on node7"):
        FolderLock(tmp_path, lambda line: None)


def test_a_lock_that_has_not_been_renewed_for_long_costs_no_time(tmp_path: Path) -> None:
    left_behind(tmp_path)
    os.utime(tmp_path / LOCK, (time.time() - 100, time.time() - 100))
    assert held_by(tmp_path) is None
    FolderLock(tmp_path, silent).release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 3}', "\0" * 50])
def test_a_lock_that_cannot_be_read_is_no_obstacle(content: str, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(content)
    assert held_by(tmp_path) is None
    FolderLock(tmp_path, silent).release()


def test_a_process_that_seemed_dead_hears_that_it_lost_the_folder_and_keeps_its_hands_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RENEW_SECONDS", 0.05)
    heard: list[str] = []
    lock = FolderLock(tmp_path, silent, heard.append)
    before = (tmp_path / LOCK).stat().st_mtime_ns
    time.sleep(0.2)
    assert (tmp_path / LOCK).stat().st_mtime_ns > before, "it is renewed"
    left_behind(tmp_path)
    time.sleep(0.2)
    assert [("was taken over by process 4242 on node7" in line) for line in heard] == [True]
    lock.release()
    assert (tmp_path / LOCK).exists(), "it is the other's"


def test_a_folder_that_is_not_there_or_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderLock(tmp_path / "gone", silent)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        FolderLock(tmp_path / "file", silent)
