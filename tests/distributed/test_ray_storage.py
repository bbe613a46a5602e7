"""Real Ray: workers and trials whose run or sweep is kept under a URI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from hrm_rl.cli import train as launch
from hrm_rl.cli import tune
from hrm_rl.runs import stored
from hrm_rl.runs.loading import load_model
from hrm_rl.utils.stores import Store
from tests.helpers.small_sweeps import content

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cluster", "own_folder"),
]
TINY = """
    --preset sudoku4-quick --model.hidden-size 16 --model.num-heads 2 --model.swiglu-multiple 16
    --train.global-batch-size 4 --halting.halt-max-steps 2 --data.eval-puzzles 8 --train.log-every 2
    --train.eval-every 4 --train.checkpoint-every 4 --max-updates 4
""".split()  # noqa: SIM905


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(stored.HOME, str(tmp_path / "cache"))
    return f"file://{tmp_path}/store"


def test_a_run_of_two_workers_goes_on_from_the_store(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--storage-path", uri, "--run-name", "r", "--num-workers", "2", "--cpus-per-worker", "1"]
    assert launch.main([*TINY, *where]) == 0
    names = Store(f"{uri}/r").sizes()
    for part in ("rank-0000.safetensors", "rank-0001.safetensors", "manifest.json"):
        assert f"checkpoints/update-00000004/{part}" in names
    assert "console.log" in names
    assert not [name for name in names if name.startswith("ray/")]
    shutil.rmtree(stored.home())
    capsys.readouterr()
    assert launch.main([*where, "--resume", "--max-updates", "8"]) == 0
    out = capsys.readouterr().out
    assert "resuming from update 4" in out
    assert "slots start on new puzzles" not in out
    assert load_model(f"{uri}/r/checkpoints/update-00000008").update == 8


def test_a_sweep_goes_on_from_the_store_and_is_reported_from_there(
    uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = {"max_updates": 4, "num_samples": 2}
    Path("small.yaml").write_text(yaml.safe_dump(content(budget=budget)))
    where = ["--storage-path", uri, "--sweep-name", "s"]
    assert tune.main(["--space", "small.yaml", *where]) == 0
    assert f"kept in      {uri}/s, uploaded beside the trials" in capsys.readouterr().out
    shutil.rmtree(stored.home())
    assert tune.main([*where, "--resume", "--num-samples", "3"]) == 0
    assert "2 of 3 trials over already" in capsys.readouterr().out
    names = Store(f"{uri}/s").sizes()
    assert {f"trials/t000{i}/trial.json" for i in range(3)} <= names.keys()
    assert {"sweep.yaml", "results.csv", "best.yaml"} <= names.keys()
    assert not [name for name in names if name.startswith("tune/")]
    shutil.rmtree(stored.home())
    assert tune.main(["--report", f"{uri}/s"]) == 0
    assert "t0002" in capsys.readouterr().out
    assert load_model(f"{uri}/s/trials/t0002").update == 4
