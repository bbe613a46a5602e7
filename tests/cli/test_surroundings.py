"""A run where it is started: clusters that are there or not, folders and names of the user's own."""

from __future__ import annotations

import shlex
import time
from functools import partial
from pathlib import Path

import pytest
import ray

from hrm_rl.cli import evaluate
from hrm_rl.cli import train as launch
from tests.helpers.commands import files, refusal
from tests.helpers.processes import TINY

pytestmark = pytest.mark.usefixtures("own_folder")
refused = partial(refusal, launch.main)
WITH_RAY = [*TINY[:2], "--num-workers", "1", *TINY[4:]]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "auto", "local", "http://10.0.0.1:8265"])
def test_training_in_this_process_looks_at_no_cluster(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert launch.main([*TINY, "--max-updates", "2"]) == 0
    assert not ray.is_initialized()
    assert "--address auto is the cluster" in refused(*TINY, "--address", "auto", "--run-name", "s")
    assert not Path("runs/s").exists()


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("127.0.0.1:1", "nobody listens there"),
        ("no.such.host.invalid:6379", "nobody listens there"),
        ("http://127.0.0.1:8265", "it is not HOST:PORT"),
        ("ray://127.0.0.1:10001", "it is not HOST:PORT"),
        ("127.0.0.1", "Invalid address format"),
        ("127.0.0.1:port", "nobody listens there"),
    ],
)
def test_a_dead_cluster_is_one_line_within_seconds_and_leaves_nothing_behind(
    address: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    began = time.monotonic()
    line = refused(*WITH_RAY)
    assert line.startswith(f"cannot reach a Ray cluster at {address}: {part}")
    assert line.endswith("or unset RAY_ADDRESS")
    monkeypatch.delenv("RAY_ADDRESS")
    assert refused(*WITH_RAY, "--address", address).endswith("or leave --address out")
    assert time.monotonic() - began < 30
    assert files() == set()


def test_a_folder_for_temporary_files_with_a_long_name_is_named_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp/" + 86 * "x")
    line = refused(*WITH_RAY)
    assert line.startswith("TMPDIR /tmp/xxx")
    assert "too long for the names of Ray's sockets" in line
    assert "RAY_TMPDIR" in line
    assert files() == set()


def test_whatever_ray_raises_when_it_starts_is_one_line_and_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def init(**options: object) -> None:
        raise PermissionError(13, "Permission\ndenied", "/x")

    monkeypatch.setattr(ray, "init", init)
    assert "cannot start Ray on this machine: PermissionError: [Errno 13]" in refused(*WITH_RAY)
    assert files() == set()


def test_an_envs_of_the_users_own_that_rays_workers_would_find_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("envs").mkdir()
    Path("envs/__init__.py").touch()
    assert "in place of hrm-rl's own package envs: rename it" in refused(*WITH_RAY)
    assert files() == {"envs", "envs/__init__.py"}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("-x", "plain folder name"),
        ("a\nb", "one line of text"),
        ("caf\udce9", "one line of text"),
        ("x" * 300, "too long"),
        ("ü" * 101, "too long"),
    ],
)
def test_a_name_that_could_not_be_typed_again_is_refused(name: str, part: str) -> None:
    assert part in refused(*TINY, f"--run-name={name}")
    assert files() == set()


def test_printed_commands_work_where_paths_have_blanks_and_other_letters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = [*TINY, "--max-updates", "2", "--storage-path", "my läufe", "--run-name", "it's é"]
    assert launch.main(args) == 0
    out = capsys.readouterr().out
    words = {
        line.split(":")[0].strip(): shlex.split(line.partition(":")[2])
        for line in out.splitlines()
        if line.startswith(("  evaluate:", "  watch:", "  train on:"))
    }
    assert words["evaluate"][-2:] == ["--checkpoint", "my läufe/it's é"]
    assert words["watch"][-2:] == ["--logdir", "my läufe/it's é/tensorboard"]
    assert words["train on"][2:] == [
        *("--run-name", "it's é", "--storage-path", "my läufe", "--num-workers", "0"),
        *("--cpus-per-worker", "1", "--resume", "--max-updates", "N"),
    ]
    assert Path(words["evaluate"][1]).is_file()
    assert evaluate.main(words["evaluate"][2:]) == 0
