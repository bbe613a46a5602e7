"""Runs kept under a URI: made once, worked on here, resumed and read from the store."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hrm_rl.cli import evaluate, export
from hrm_rl.cli import train as launch
from hrm_rl.runs import stored
from hrm_rl.runs.loading import load_model
from hrm_rl.runs.stored import Kept, Writer
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.locks import Holder
from hrm_rl.utils.stores import Store
from tests.helpers.commands import evaluated, refusal

TINY = """
    --preset sudoku4-quick --num-workers 0 --cpus-per-worker 1 --model.hidden-size 16 --model.num-heads 2
    --model.swiglu-multiple 16 --train.global-batch-size 4 --halting.halt-max-steps 2 --data.eval-puzzles 8
    --train.log-every 2 --train.eval-every 4 --train.checkpoint-every 4
""".split()  # noqa: SIM905

pytestmark = pytest.mark.usefixtures("own_folder")
refused = partial(refusal, launch.main)


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store of its own, and a machine that has seen nothing of it."""
    monkeypatch.setenv(stored.HOME, str(tmp_path / "cache"))
    return f"file://{tmp_path}/store"


def train(uri: str, *args: str, name: str = "r") -> int:
    return launch.main([*TINY, "--storage-path", uri, "--run-name", name, *args])


def resume(uri: str, updates: int, *args: str) -> int:
    given = ["--storage-path", uri, "--run-name", "r", "--resume", "--num-workers", "0", *args]
    return launch.main([*given, "--max-updates", str(updates)])


def another_machine() -> None:
    """From now on nothing of a store is here."""
    shutil.rmtree(stored.home())


def weights(path: Path, update: int) -> bytes:
    return (path / "checkpoints" / f"update-{update:08d}" / "optimizer.safetensors").read_bytes()


@pytest.mark.slow
def test_a_run_is_kept_resumed_on_another_machine_and_read_from_there(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(uri, "--max-updates", "4") == 0
    out = capsys.readouterr().out
    assert f"kept in      {uri}/r, uploaded beside the updates" in out
    assert f"--checkpoint {uri}/r\n" in out
    assert f"--run-name r --storage-path {uri} --num-workers 0" in out
    assert "beside the updates (" in out
    kept = Path(uri.removeprefix("file://")) / "r"
    names = {p.name for p in kept.iterdir()}
    wanted = {"config.yaml", "versions.jsonl", "metrics.jsonl", "tensorboard", "checkpoints", "writer.json"}
    assert wanted <= names
    assert "lock" not in names

    another_machine()
    assert resume(uri, 8) == 0
    assert "resuming from update 4" in capsys.readouterr().out
    assert launch.main([*TINY, "--run-name", "r", "--max-updates", "4"]) == 0
    assert resume("runs", 8) == 0
    assert weights(kept, 8) == weights(Path("runs/r"), 8)  # bit for bit, metrics too
    assert [r["update"] for r in map(json.loads, (kept / "metrics.jsonl").read_text().splitlines())] == [
        r["update"] for r in map(json.loads, Path("runs/r/metrics.jsonl").read_text().splitlines())
    ]

    another_machine()
    capsys.readouterr()
    there = evaluated(capsys, "--checkpoint", f"{uri}/r")
    here = evaluated(capsys, "--checkpoint", "runs/r")
    assert there["checkpoint"].startswith(f"{uri}/r/checkpoints/update-")
    assert there["levels"] == here["levels"]
    one = evaluated(capsys, "--checkpoint", f"{uri}/r/checkpoints/update-00000004")
    assert one["update"] == 4
    assert export.main(["--checkpoint", f"{uri}/r", "--out", "out"]) == 0
    assert load_model("out").update == there["update"]
    assert "cannot be resumed" not in refusal(evaluate.main, "--checkpoint", f"{uri}/none")
    assert train(uri, "--train.init-from", f"{uri}/r", "--max-updates", "2", name="fine") == 0
    assert f"weights      of {uri}/r" in capsys.readouterr().out


def test_a_name_is_given_once(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(uri, "--max-updates", "2") == 0
    assert refused(*TINY, "--storage-path", uri, "--run-name", "r") == (
        f"run r exists in {uri}: resume it with --run-name r --resume, or choose another --run-name"
    )
    another_machine()
    assert "exists in" in refused(*TINY, "--storage-path", uri, "--run-name", "r")
    with stored.new_stored(uri, "r", False, launch.RUN) as kept:
        assert kept.path.name == "r-2"
    assert Store(f"{uri}/r-2").sizes() == {}, "nothing was begun there"


def test_of_many_who_want_a_name_at_once_one_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store, won = Store("memory://claims/r"), []
    ready = threading.Barrier(6)

    def claim() -> None:
        holder = Holder.me()
        ready.wait()
        if stored._claim(store, holder):
            won.append(holder)
            store.put(stored.WRITER, b"{}")

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) <= 1


def test_a_run_that_is_being_trained_elsewhere_is_not_resumed(uri: str) -> None:
    assert train(uri, "--max-updates", "2") == 0
    elsewhere = replace(Holder.me(), host="gpu7", boot="another", space="another", token="other")
    store = Store(f"{uri}/r")
    store.put(stored.WRITER, Writer(elsewhere, time.time()).to_json())
    line = refused("--storage-path", uri, "--run-name", "r", "--resume", "--num-workers", "0")
    assert "is in use by process" in line
    assert "on gpu7" in line
    store.put(stored.WRITER, Writer(elsewhere, time.time() - 2 * stored.PATIENCE_SECONDS).to_json())
    assert resume(uri, 4) == 0, "one that has not been heard of is dead"


def test_what_another_machine_wrote_last_replaces_what_is_here(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(uri, "--max-updates", "4") == 0
    monkeypatch.setenv(stored.HOME, str(tmp_path / "another"))
    assert resume(uri, 8) == 0
    monkeypatch.setenv(stored.HOME, str(tmp_path / "cache"))
    capsys.readouterr()
    assert resume(uri, 12) == 0
    said = capsys.readouterr()
    assert "resuming from update 8" in said.out
    assert "was written to from elsewhere since; what was here is now in" in said.err


def test_a_damaged_checkpoint_in_the_store_is_passed_over(
    uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(uri, "--max-updates", "8") == 0
    kept = Path(uri.removeprefix("file://")) / "r"
    (kept / "checkpoints/update-00000008/optimizer.safetensors").write_bytes(b"cut")
    another_machine()
    capsys.readouterr()
    assert evaluated(capsys, "--checkpoint", f"{uri}/r")["update"] == 4
    line = refusal(evaluate.main, "--checkpoint", f"{uri}/r/checkpoints/update-00000008")
    assert "no sound checkpoint" in line
    assert resume(uri, 10) == 0
    said = capsys.readouterr()
    assert "update-00000008 in" in said.err
    assert "resuming from update 4" in said.out


def test_a_run_that_is_not_there_and_a_folder_for_copies_that_cannot_be_made(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("--storage-path", uri, "--run-name", "none", "--resume")
    assert refused(*args) == f"there is no run to resume in {uri}/none; leave out --resume to start it"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(stored.HOME, str(tmp_path / "file"))
    assert "name a folder for copies of what is in stores with HRM_RL_CACHE" in refused(
        *TINY, "--storage-path", uri, "--run-name", "r"
    )


@pytest.mark.parametrize(
    ("given", "says"), [("s3:/b/runs", "write s3://b/runs"), ("foo://b/runs", "no such")]
)
def test_a_wrong_uri_is_refused_before_anything_is_made(uri: str, given: str, says: str) -> None:
    assert says in refused(*TINY, "--storage-path", given, "--run-name", "r")
    assert not list(stored.home().glob("**/r"))


def test_a_run_that_another_machine_took_over_uploads_nothing_more(
    uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a machine that slept for so long that it seemed dead."""
    elsewhere = replace(Holder.me(), host="gpu7", token="other")
    with stored.new_stored(uri, "r", True, launch.RUN) as kept:
        (kept.path / "config.yaml").write_text("seed: 1\n")
        Store(f"{uri}/r").put(stored.WRITER, Writer(elsewhere, time.time()).to_json())
    assert "was taken over by process" in capsys.readouterr().err
    assert kept.left == ["config.yaml"]
    assert Store(f"{uri}/r").sizes().keys() == {stored.WRITER}


def test_nodes_that_share_no_folder_are_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(Path("here"), Store(f"{uri}/r"))
    stored.refuse_nodes(kept, 2)  # HRM_RL_CACHE names one
    monkeypatch.delenv(stored.HOME)
    stored.refuse_nodes(kept, 1)
    stored.refuse_nodes(Kept(Path("here")), 2)
    with pytest.raises(UserError, match=r"2 nodes need a folder that they share.*HRM_RL_CACHE"):
        stored.refuse_nodes(kept, 2)
