"""Random damage to everything that is read: one line that says what is wrong, or a right result.

`HRM_RL_EXAMPLES=10000 pytest tests/faults/test_fuzz.py` is the long version.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envs import make_task
from envs.folders.check import check_folder
from envs.maze.files import write_maze
from hrm_rl.cli.flags.common import parse
from hrm_rl.cli.train import TrainCommand
from hrm_rl.config import Config, load_config
from hrm_rl.data.one_puzzle import puzzle_of_file
from hrm_rl.models import RecurrentModel
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.folder import RunFolder, read_metrics
from hrm_rl.runs.loading import load_model
from hrm_rl.sweeps.file import parse_file, read_content
from hrm_rl.sweeps.results.reading import read_sweep
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.utils.errors import UserError
from tests.helpers.folders import quiet, upstream
from tests.helpers.paths import ROOT
from tests.helpers.small_sweeps import make_mixed_sweep
from tests.helpers.tiny import tiny_config

EXAMPLES = int(os.environ.get("HRM_RL_EXAMPLES", "40"))
LONGEST_LINE = 1500

thorough = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

SUDOKU4, SUDOKU9, MAZE = make_task("sudoku", size=4), make_task("sudoku", size=9), make_task("maze", size=6)
BOARD4 = "1..4\n..1.\n.3..\n2..3\n"
BOARD9 = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SNIPPETS = [
    b"", b"\0", b"\n", b"\r\n\r\n", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b", b"{", b"}", b"[", b"]", b":",
    b",", b"'", b'"', b"- ", b"&a [*a]", b"!!python/object:os.system", b"nan", b"1e999", b"-1", b"0", b"true",
    b"99999999999999999999", b"null", "\u2603".encode(), "\u0665".encode(), "\u2028".encode(), b"#", b"S",
    b"G", b".", b"9", b"A",
]  # fmt: skip

Edit = tuple[str, float, bytes]
edits = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "delete", "cut", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=6)),
    ),
    max_size=5,
)


def edited(content: bytes, changes: list[Edit]) -> bytes:
    """`content` after some random edits."""
    for kind, where, what in changes:
        at = int(where * len(content))
        length = max(1, len(what))
        content = {
            "insert": content[:at] + what + content[at:],
            "replace": content[:at] + what + content[at + length :],
            "delete": content[:at] + content[at + length :],
            "cut": content[:at],
            "repeat": content[:at] + content[at : at + 40] * 3 + content[at:],
        }[kind]
    return content


def one_line_or_nothing(act: Callable[[], object]) -> object:
    """What `act` returns; None if it refuses in one line. Anything else fails the test."""
    try:
        return act()
    except UserError as error:
        said = str(error)
        assert said.strip() == said, repr(said)
        assert "\n" not in said, repr(said)
        assert len(said) < LONGEST_LINE, repr(said)
        assert "Traceback" not in said
        return None


def mazes(count: int) -> str:
    batch = MAZE.generate("easy", count, np.random.default_rng(0))
    return "\n\n".join(write_maze(row, 6) for row in batch.inputs)


def rules_hold(found: object, task: object) -> None:
    """Every puzzle that was read is one of the task: its answer, where it has one, keeps the rule."""
    if found is None:
        return
    for question, answer in zip(found.inputs, found.solution, strict=True):  # type: ignore[attr-defined]
        assert (task.solved(question[None], answer[None]) | (answer == 0).all()).all()  # type: ignore[attr-defined]


TEXTS = {
    "a 4x4 Sudoku": (BOARD4, lambda text: SUDOKU4.parse(text), SUDOKU4),
    "a 9x9 Sudoku": (BOARD9, lambda text: SUDOKU9.parse(text), SUDOKU9),
    "a maze": (mazes(1), lambda text: MAZE.parse(text), MAZE),
}


@pytest.mark.parametrize("kind", TEXTS)
@given(changes=edits)
@thorough
def test_a_pasted_puzzle(kind: str, changes: list[Edit]) -> None:
    text, act, task = TEXTS[kind]
    pasted = edited(text.encode(), changes).decode(errors="replace")
    rules_hold(one_line_or_nothing(lambda: act(pasted)), task)


FILES = {
    "CSV of Sudokus": (f"puzzle,solution\n{BOARD4.replace(chr(10), '')},1324241341323241\n", SUDOKU4),
    "CSV with quotes": (f'source,question,answer,rating\n"a,b",{BOARD9},,3\n', SUDOKU9),
    "list of Sudokus": (f"# comment\n{BOARD9}\n{BOARD9}\n", SUDOKU9),
    "list of mazes": (mazes(3), MAZE),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
@given(changes=edits)
@thorough
def test_a_file_of_puzzles(kind: str, changes: list[Edit], tmp_path: Path) -> None:
    text, task = FILES[kind]
    file = tmp_path / "puzzles.csv"
    file.write_bytes(edited(text.encode(), changes))
    rules_hold(one_line_or_nothing(lambda: task.read(file)), task)
    one_line_or_nothing(lambda: puzzle_of_file(file, "puzzles.csv", 1, task))


SETTINGS = (
    "preset: sudoku4-quick\nmodel: {hidden_size: 32, num_heads: 2}\n"
    "optim:\n  lr: 0.001\n  betas: [0.9, 0.95]\ncurriculum: {stages: ['easy=1']}\n"
)


@given(changes=edits)
@thorough
def test_settings_in_yaml(changes: list[Edit], tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(edited(SETTINGS.encode(), changes))
    one_line_or_nothing(lambda: load_config(file, Config()))


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "tune_configs").glob("*.yaml")))
@given(changes=edits)
@thorough
def test_a_sweep_in_yaml(name: str, changes: list[Edit], tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(edited((ROOT / "tune_configs" / name).read_bytes(), changes))
    one_line_or_nothing(lambda: parse_file(read_content(file), name))


WORDS = st.one_of(
    st.sampled_from([
        "--preset", "sudoku4-quick", "--model.hidden-size", "64", "-1", "0", "--optim.lr", "nan",
        "inf", "1e999", "--", "=", "--=", "--optim.betas", "0.9", "--env.options", "x",
        "--train.compile", "on", "--no-data.augment", "--resume", "--run-name", "",
        "--curriculum.stages", "easy=1", "easy=", "=1,", "--env.size", "--data.path", "\0", "../..",
        "--seed=5", "--halting.q-target",
    ]),
    st.text(max_size=8),
)  # fmt: skip


@given(words=st.lists(WORDS, max_size=8))
@thorough
def test_flags(words: list[str]) -> None:
    if not {"-h", "--help"} & set(words):
        one_line_or_nothing(lambda: parse(TrainCommand(), words, "train"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two updates, with its exported folder beside it."""
    folder = tmp_path_factory.mktemp("trained")
    config = tiny_config(train={"max_updates": 2, "eval_every": 2, "checkpoint_every": 2, "log_every": 1})
    Trainer(config, LocalWorker(config, folder / "run", lambda line: None)).run()
    RunFolder(folder / "run").begin(config, "train")
    from hrm_rl.export.run import export_run

    export_run(folder / "run", folder / "exported")
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copy"))


CHECKPOINT = ("state.json", "manifest.json", "model.safetensors", "averaged.safetensors", "rank-0000.json")


@pytest.mark.parametrize("name", CHECKPOINT)
@given(changes=edits)
@thorough
def test_a_checkpoint(name: str, changes: list[Edit], copy: Path, trained: Path) -> None:
    folder = RunFolder(copy / "run").checkpoint(2)
    whole = (RunFolder(trained / "run").checkpoint(2) / name).read_bytes()
    (folder / name).write_bytes(edited(whole, changes))
    if (folder / name).read_bytes() != whole:
        assert name == "manifest.json" or selection.damage(folder) is not None
    one_line_or_nothing(lambda: load_model(folder))


@pytest.mark.parametrize("name", ["state.json", "model.safetensors", "averaged.safetensors"])
@given(changes=edits)
@thorough
def test_a_checkpoint_whose_manifest_agrees(
    name: str, changes: list[Edit], copy: Path, trained: Path
) -> None:
    folder = RunFolder(copy / "run").checkpoint(2)
    (folder / name).write_bytes(
        edited((RunFolder(trained / "run").checkpoint(2) / name).read_bytes(), changes)
    )
    files = [path for path in folder.iterdir() if path.name != selection.MANIFEST]
    manifest = {p.name: {"bytes": p.stat().st_size, "sha256": selection.digest(p)} for p in files}
    (folder / selection.MANIFEST).write_text(json.dumps(manifest))
    one_line_or_nothing(lambda: load_model(folder))
    one_line_or_nothing(lambda: checkpoint.read_state(folder))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@given(changes=edits)
@thorough
def test_an_exported_folder(name: str, changes: list[Edit], copy: Path, trained: Path) -> None:
    (copy / "exported" / name).write_bytes(edited((trained / "exported" / name).read_bytes(), changes))
    one_line_or_nothing(lambda: load_model(copy / "exported"))
    one_line_or_nothing(lambda: RecurrentModel.from_pretrained(copy / "exported"))


@given(changes=edits)
@thorough
def test_metrics(changes: list[Edit], copy: Path, trained: Path) -> None:
    file = RunFolder(copy / "run").metrics
    file.write_bytes(edited(RunFolder(trained / "run").metrics.read_bytes(), changes))
    assert all(isinstance(record["update"], int) for record in read_metrics(file))


@pytest.mark.parametrize(
    "name",
    [
        "dataset.json",
        "all__inputs.npy",
        "all__labels.npy",
        "all__puzzle_indices.npy",
        "all__group_indices.npy",
    ],
)
@given(changes=edits)
@thorough
def test_a_folder_of_puzzles(name: str, changes: list[Edit], tmp_path: Path) -> None:
    folder = upstream(tmp_path / "set" / "train")
    (folder / name).write_bytes(edited((folder / name).read_bytes(), changes))
    one_line_or_nothing(lambda: check_folder(tmp_path / "set", SUDOKU4, quiet))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mixed_sweep(tmp_path_factory.mktemp("sweeps") / "sweep")


@pytest.mark.parametrize("name", ["sweep.yaml", "trial.json", "metrics.jsonl", "config.yaml"])
@given(changes=edits, which=st.integers(0, 3))
@thorough
def test_the_folder_of_a_sweep(
    name: str, changes: list[Edit], which: int, sweep: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(sweep, tmp_path / "sweep", dirs_exist_ok=True))
    files = sorted(folder.rglob(name))
    file = files[which % len(files)]
    file.write_bytes(edited(file.read_bytes(), changes))
    found = one_line_or_nothing(lambda: read_sweep(folder))
    assert found is None or all("\n" not in note for note in found.notes)  # type: ignore[attr-defined]
