"""What the pages say is so: links and files exist, commands parse, tables are complete, the tutorial runs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from hrm_rl.benchmarks.against import command as against
from hrm_rl.config import PRESETS
from hrm_rl.runs.folder import read_metrics
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.pages import PAGES, SCRIPTS, TODAY, commands
from tests.helpers.paths import ROOT
from tests.helpers.tiny import make_decisive, tiny_config

INVENTED = ("hrm_rl/Name-v0", "hrm_rl/Parity-v0")
"""Ids of tasks that a reader adds; files of them are called NAME."""

_spec = importlib.util.spec_from_file_location("render", ROOT / "docs" / "render.py")
assert _spec is not None
assert _spec.loader is not None
render = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(render)


def section(page: str, heading: str) -> str:
    """The text under a heading, to the next one of the same rank."""
    text = PAGES[page].partition(f"\n{heading}\n")[2]
    assert text, f"{page} has no heading {heading}"
    return text.partition(f"\n{heading.split()[0]} ")[0]


def anchors(page: str) -> set[str]:
    """What a link to a heading of the page can end with, as forges and the site make it."""
    headings = re.findall(r"^#+ (.*)", PAGES[page], flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        link = "".join(target)
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), link
        if anchor:
            assert anchor in anchors(str(file.resolve().relative_to(ROOT.resolve()))), link


@pytest.mark.parametrize("page", TODAY)
def test_every_file_and_module_named_exists(page: str) -> None:
    folders = "hrm_rl|envs|tests|scripts|docs|examples|tune_configs"
    for name in re.findall(rf"(?<![\w./:-])((?:{folders})/[\w./-]*)", PAGES[page]):
        known = (ROOT / name.rstrip(".")).exists() or name in gymnasium.registry
        assert known or name in INVENTED or "/NAME" in name, name
    for name in re.findall(r"\b((?:hrm_rl|envs)(?:\.\w+)+)", PAGES[page]):
        parts = name.split(".")
        module = next(m for m in (".".join(parts[:n]) for n in range(len(parts), 0, -1)) if _is_module(m))
        for attribute in parts[len(module.split(".")) :][:1]:
            assert hasattr(importlib.import_module(module), attribute), name


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", TODAY)
def test_every_command_has_flags_and_files_that_there_are(page: str) -> None:
    for program, *words in commands(page):
        if program == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), words
            continue
        name = words[0] if program == "hrm-rl" else SCRIPTS[Path(words[0]).stem]
        if name.isupper() or name.startswith("-"):
            continue  # `hrm-rl COMMAND --help`
        assert name in render.COMMANDS, name
        known = flags_of(render.whole_help(name))
        for word, value in zip(words, [*words[1:], ""], strict=True):
            if word.startswith("--"):
                assert word in known, f"{name} has no {word}"
            if word == "--preset" and not value.isupper():
                assert value in PRESETS
            if word in ("--space", "--config") and value.startswith(("tune_configs/", "examples/")):
                assert (ROOT / value).is_file(), value


def flags_of(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[\w.-]*\w", text))


@pytest.mark.parametrize("page", [page for page in TODAY if page.startswith(("docs/", "README"))])
def test_every_flag_in_the_text_is_that_of_a_command(page: str) -> None:
    known = flags_of(" ".join(render.whole_help(name) for name in render.COMMANDS))
    known |= flags_of(against.parser().format_help())  # a script that is no command
    others = {"--SECTION.FIELD", "--signal", "--help", "--head", "--logdir", "--local-dir"}
    text = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`]+)`", text):
        assert flags_of(code) <= known | others, code


@pytest.mark.parametrize(
    ("page", "heading", "command"),
    [
        ("docs/guides/training.md", "## Flags", "train"),
        ("docs/guides/sweeps.md", "## Flags", "tune"),
        ("docs/guides/evaluation.md", "# Evaluation", "evaluate"),
    ],
)
def test_every_flag_of_a_command_is_explained(page: str, heading: str, command: str) -> None:
    text = PAGES[page] if heading.startswith("# ") else section(page, heading)
    wanted = {flag for flag in flags_of(render.command_help(command)) if not re.search(r"--no-|\.", flag)}
    wanted -= {"--help"}
    assert wanted - flags_of(text) == set()


def test_every_preset_is_explained() -> None:
    table = section("docs/guides/training.md", "## Presets")
    assert set(re.findall(r"^\| `([\w-]+)`", table, flags=re.MULTILINE)) == set(PRESETS)


def test_every_tag_that_a_run_writes_is_explained(tmp_path: Path) -> None:
    config = tiny_config(train={"max_updates": 40, "log_every": 10, "eval_every": 20, "checkpoint_every": 40})
    trainer = Trainer(config, LocalWorker(config, tmp_path, lambda line: None))
    make_decisive(trainer.learner.model)
    trainer.run()
    written = {tag for record in read_metrics(tmp_path / "metrics.jsonl") for tag in record} - {"update"}
    assert len(written) > 30
    named = set(re.findall(r"`([\w/]+)`", section("docs/guides/watching.md", "## TensorBoard")))
    for tag in written:
        forms = {
            tag,
            re.sub(r"/\d+$", "/K", tag),
            re.sub(r"/(un)?solved$", "", tag) if tag.startswith("halting") else tag,
            re.sub(r"^eval/[\w-]+/\w+$", "eval/LEVEL/", tag),
        }
        assert forms & (named | {"eval/LEVEL/"}), f"{tag} is not explained"


@pytest.mark.parametrize("page", render.PAGES)
def test_a_page_rendered_from_the_code_is_up_to_date(page: str) -> None:
    assert PAGES[f"docs/reference/{page}"] == render.PAGES[page](), "run python docs/render.py"


def test_every_page_is_in_the_index() -> None:
    listed = set(re.findall(r"^- \[.*?\]\((.*?)\)", PAGES["docs/index.md"], flags=re.MULTILINE))
    pages = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    assert pages - {"index.md"} == listed


TUTORIAL = PAGES["docs/extend/task.md"]
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", TUTORIAL, flags=re.DOTALL)
TASK, PLAY = (text for kind, text in BLOCKS if kind == "python")


BASH = [text for kind, text in BLOCKS if kind == "bash"]


def run(folder: Path, script: str) -> str:
    """The output of a bash block that must succeed, with this Python as `python`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like this project's, with parity.py in it."""
    (tmp_path / "parity.py").write_text(TASK)
    for name in ("scripts", "envs", "hrm_rl"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_task_is_under_60_lines() -> None:
    assert len(TASK.strip().splitlines()) < 60


def test_the_task_is_played(folder: Path) -> None:
    (folder / "play.py").write_text(PLAY)
    shown = run(folder, "python play.py")
    row, _, reward = shown.strip().rpartition(" ")
    assert reward == "1.0"
    assert re.fullmatch(r"[01]{16}", row.strip())


@pytest.mark.slow
def test_the_task_is_trained_on_evaluated_and_made_into_a_data_set(folder: Path) -> None:
    train, build = BASH
    assert "--max-updates 200" in train
    shown = run(folder, train.replace("--max-updates 200", "--max-updates 30"))
    assert "held-out exact accuracy" in shown
    assert "finished at update 30" in shown
    assert "first mistake" in shown
    run(folder, build)
    checked = run(
        folder,
        "PYTHONPATH=. python scripts/build_dataset.py --check data/parity --task parity:ParityTask --size 24",
    )
    assert "100" in checked
