"""Standard output and error that go away, are full or were never there: the work is done to the end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

WORK = """
import sys
from hrm_rl.utils import output
output.forgive()
LOST
for i in range(2000): print("line", i)
print("an error", file=sys.stderr)
open("done", "w").write("done")
"""


def run(tmp_path, shell: str, lost: str = "", timeout: float = 20.0) -> subprocess.CompletedProcess[str]:
    """`shell` with PROGRAM in it, which says 2,000 lines and an error and then leaves the file `done`."""
    code = WORK.replace("LOST", lost)
    command = shell.replace("PROGRAM", f"PYTHONPATH={ROOT} {sys.executable} -c '{code}'")
    command = f"set -o pipefail; {command}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=timeout
    )
    assert (tmp_path / "done").read_text() == "done", done.stderr
    return done


@pytest.mark.parametrize(
    ("shell", "out", "errors"),
    [
        ("PROGRAM | head -2", "line 0\nline 1\n", "an error\n"),
        ("PROGRAM 2>&1 >/dev/null | true", "", ""),
        ("PROGRAM 2>&1 | head -2", "line 0\nline 1\n", ""),
        ("PROGRAM >/dev/full", "", "an error\n"),
        ("PROGRAM >/dev/full 2>&1", "", ""),
        ("PROGRAM >&-", "", "an error\n"),
        ("PROGRAM >&- 2>&- <&-", "", ""),
    ],
)
def test_the_work_is_done_whoever_listens(tmp_path, shell: str, out: str, errors: str) -> None:
    done = run(tmp_path, shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, out, errors)


def test_a_file_opened_later_does_not_take_the_place_of_a_closed_stream(tmp_path) -> None:
    lost = 'kept = open("kept", "w")'
    run(tmp_path, "PROGRAM >&- 2>&-", lost)
    assert (tmp_path / "kept").read_text() == ""


def test_where_the_work_goes_on_unheard_it_is_said_once(tmp_path) -> None:
    done = run(tmp_path, "PROGRAM | head -2", 'output.say_when_lost("goes on")')
    assert (done.returncode, done.stderr) == (0, "goes on\nan error\n")


def test_lines_arrive_when_they_are_said_and_no_encoding_refuses_them(tmp_path) -> None:
    code = (
        "import os; from hrm_rl.utils import output; output.forgive(); print('\\u2500 a line'); os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\u2500 a line\n", "")
