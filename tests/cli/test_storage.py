"""--storage-path s3://: against a real S3 server, killed and started again in between."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hrm_rl.cli import train as launch
from hrm_rl.runs import mirror, stored
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.worker import Evaluated
from hrm_rl.utils.stores import Store
from tests.helpers.commands import evaluated, refusal
from tests.helpers.s3 import S3Server, s3_server
from tests.runs.test_stored import TINY, another_machine, resume, train

pytestmark = [
    pytest.mark.usefixtures("own_folder"),
    pytest.mark.skipif(importlib.util.find_spec("moto") is None, reason="moto's S3 server is not installed"),
]
refused = partial(refusal, launch.main)
URI = "s3://bucket/runs"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as started:
        yield started


@pytest.fixture(autouse=True)
def _environment(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(stored.HOME, str(tmp_path / "cache"))
    monkeypatch.setattr(mirror, "LOOK_SECONDS", 0.1)


@pytest.mark.slow
def test_a_run_outlives_a_server_that_is_killed_and_started_again_and_goes_on_from_it(
    server: S3Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def between(worker: LocalWorker, found: Evaluated) -> None:
        if found.update == 4:
            server.kill()
        if found.update == 8:
            server.start()  # empty

    with monkeypatch.context() as patched:
        patched.setattr(LocalWorker, "evaluated", between)
        assert train(URI, "--max-updates", "12") == 0
    assert "stored:      s3://bucket/runs/r: " in capsys.readouterr().out
    another_machine()
    assert evaluated(capsys, "--checkpoint", f"{URI}/r/checkpoints/update-00000012")["update"] == 12
    assert resume(URI, 16) == 0
    assert "resuming from update 12" in capsys.readouterr().out
    sizes = Store(f"{URI}/r").sizes()
    assert "checkpoints/update-00000016/manifest.json" in sizes
    kept = {name.split("/")[1] for name in sizes if name.startswith("checkpoints/")}
    assert kept == {p.name for p in (stored.folder_of(URI, "runs") / "r" / "checkpoints").iterdir()}


def test_what_cannot_be_uploaded_is_named_at_the_end_and_uploaded_by_resuming(
    server: S3Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "LAST_SECONDS", 2.0)
    with monkeypatch.context() as patched:
        patched.setattr(LocalWorker, "evaluated", lambda worker, found: server.kill())
        assert train(URI, "--max-updates", "4", name="u") == 1
    said = capsys.readouterr()
    assert "finished at update 4" in said.out
    assert "not uploaded to s3://bucket/runs/u: checkpoints/update-00000004" in said.err
    assert "--resume here uploads it" in said.err
    server.start()
    again = ("--storage-path", URI, "--run-name", "u", "--resume", "--num-workers", "0")
    assert "is finished at update 4" in refused(*again)
    another_machine()
    assert evaluated(capsys, "--checkpoint", f"{URI}/u")["update"] == 4


def test_a_bucket_that_is_not_there_and_a_server_that_does_not_answer_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = refused(*TINY, "--storage-path", "s3://none/runs", "--run-name", "r")
    assert line == "cannot use s3://none/runs/r: there is no such bucket: make it, or mend the name"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "it does not answer" in refused(*TINY, "--storage-path", URI, "--run-name", "q")
    assert not list(stored.home().glob("**/q"))


def test_missing_and_wrong_credentials_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(checks_keys=True) as strict:
        monkeypatch.setenv("AWS_ENDPOINT_URL", strict.url)
        assert "it refuses these credentials" in refused(*TINY, "--storage-path", URI, "--run-name", "q")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        line = refused(*TINY, "--storage-path", URI, "--run-name", "q")
        assert "no credentials were found: set AWS_ACCESS_KEY_ID" in line
