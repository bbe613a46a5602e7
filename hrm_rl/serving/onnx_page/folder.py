"""Writing the folder: the page, its models in ONNX, puzzles for them, the runtime.

Legend: N puzzles, L tokens.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from envs import PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl import __version__
from hrm_rl.export.bundle import WrittenFormat, make_formats
from hrm_rl.export.formats import Exporter, refuse_missing
from hrm_rl.export.program import in_float32
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.jobs import ServedModel
from hrm_rl.serving.onnx_page import runtime
from hrm_rl.serving.pages import NOT_SERVED, PAGE
from hrm_rl.serving.puzzles import model_info, slug_of, task_infos
from hrm_rl.serving.served import served_model
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import whole_folder

SCRIPTS = Path(__file__).parent / "scripts"
RULES = ("sudoku", "maze")
"""Tasks whose rules the page knows."""
PUZZLES, PROVED = 200, 24
"""Puzzles of each level that the page offers, and those on which each model is held against the network."""
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What the page may do: nothing but its own files."""
HEAD = '<meta charset="utf-8">\n'
"""Of index.html: the policy comes behind it."""


@dataclass(frozen=True)
class WrittenPage:
    """What was written."""

    path: Path
    files: int
    size: int
    """Bytes."""
    models: Mapping[str, WrittenFormat]


def write_page(
    models: Mapping[str, LoadedModel],
    out: Path,
    seed: int = 0,
    count: int = PUZZLES,
    progress: Callable[[int], None] = lambda done: None,
) -> WrittenPage:
    """Write the page with these models, by name, into a folder that is not there yet; all of it or nothing.

    seed, count: of the puzzles, so many of each level.  progress: called with the number of models done.
    Raises UserError for a model that cannot be exported, and OSError.
    """
    refuse_missing(("onnx",))
    for name, loaded in models.items():
        _refuse(name, loaded)
    served = [served_model(loaded, name) for name, loaded in models.items()]
    written = {}
    with whole_folder(out) as folder:
        for part in ("models", "puzzles", "ort", "static"):
            (folder / part).mkdir()
        puzzles = _write_puzzles(served, folder, seed, count)
        infos = []
        for model in served:
            about, written[model.name] = _write_model(model, models[model.name], puzzles, folder)
            infos.append(model_info(model).model_dump(mode="json") | {"segment": about})
            progress(len(infos))
        tasks = [task.model_dump(mode="json") for task in task_infos(served)]
        _write_json(folder / "models.json", {"models": infos, "tasks": tasks})
        _write_page_files(folder)
        runtime.put_runtime(folder / "ort")
        (folder / "README.md").write_text(_readme(served))
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return WrittenPage(out, len(sizes), sum(sizes), written)


def _refuse(name: str, loaded: LoadedModel) -> None:
    """Raise UserError for a model that the page could not show."""
    if loaded.task.name not in RULES:
        raise UserError(
            f"{name} solves {loaded.task.name}, and the page knows the rules of {' and '.join(RULES)} only"
        )


def _write_puzzles(served: list[ServedModel], folder: Path, seed: int, count: int) -> dict[str, PuzzleBatch]:
    """Puzzles for the page, a file for each task. Returns some of each task, of all levels."""
    some = {}
    for slug, task in {slug_of(model.task): model.task for model in served}.items():
        levels = [level for level in task.levels if task.quick(level)]
        made = {
            level: task.generate(level, count, np.random.default_rng((seed, i)))
            for i, level in enumerate(levels)
        }
        _write_json(
            folder / "puzzles" / f"{slug}.json",
            {level: [_text(task, row) for row in batch.inputs] for level, batch in made.items()},
        )
        each = -(-PROVED // len(levels))
        some[slug] = PuzzleBatch.concatenate(
            [batch.take(np.arange(min(each, count))) for batch in made.values()]
        )
    return some


def _text(task: PuzzleTask, tokens: np.ndarray[Any, Any]) -> str:
    """Tokens (L,), padding included, a character each."""
    return "".join(task.characters[token] for token in tokens)


def _write_model(
    model: ServedModel, loaded: LoadedModel, puzzles: Mapping[str, PuzzleBatch], folder: Path
) -> tuple[dict[str, Any], WrittenFormat]:
    """Write one model, held against the network. Returns what the page has to know of its segment."""
    exporter = Exporter(loaded)
    some = puzzles[slug_of(model.task)]
    (made,) = make_formats(exporter, ("onnx",), folder / "models", some)
    made.path.replace(folder / "models" / f"{model.name}.onnx")
    about = {key: value for key, value in exporter.about.items() if key != "coordinates"}
    return about | {"check": _check(exporter, some)}, made


@torch.no_grad()
def _check(exporter: Exporter, puzzles: PuzzleBatch) -> dict[str, list[Any]]:
    """A puzzle and the Q-values after one segment of it, for runtimes that were not tried here."""
    network, tokens = in_float32(exporter.network), puzzles.inputs[:1]
    identifier = torch.zeros(1, dtype=torch.long)
    _, _, q = network(network.initial_carry(1), torch.from_numpy(tokens).long(), identifier)
    return {"tokens": tokens[0].tolist(), "q": q[0].tolist()}


def _write_page_files(folder: Path) -> None:
    """The page, with the policy in it and its way to a server replaced."""
    for path in sorted(PAGE.rglob("*")):
        if path.is_file() and path.suffix not in NOT_SERVED:
            there = folder / "static" / path.relative_to(PAGE)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
    for path in sorted(SCRIPTS.iterdir()):
        (folder / "static" / path.name).write_bytes(path.read_bytes())
    index = (folder / "static" / "index.html").read_text()
    assert Counter(index.splitlines(keepends=True))[HEAD] == 1, "index.html has another head"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    (folder / "index.html").write_text(index.replace(HEAD, HEAD + policy))
    (folder / "static" / "index.html").unlink()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def _readme(served: list[ServedModel]) -> str:
    listed = "\n".join(f"- `{model.name}.onnx`: {slug_of(model.task)}, {model.origin}" for model in served)
    return f"""# A page that thinks without a server

Written by hrm-rl {__version__} (`hrm-rl export --page`). Any host of files will do:

    python -m http.server

and open http://localhost:8000/. Browsers do not run it as a file, without a host. No request leaves the host.

- `index.html`, `static/`: the page of `hrm-rl serve`, with a model in the browser instead of a server
- `models.json`: what the models and their tasks are
- `models/`: one segment of each model in ONNX, float32
{listed}
- `puzzles/`: {PUZZLES} puzzles of each level
- `ort/`: onnxruntime-web {runtime.version()} by Microsoft, MIT licence (`ort/LICENSE`); all else is hrm-rl's,
  Apache-2.0

The page takes WebGPU where there is a graphics card that comes to Python's numbers on a puzzle, else
WebAssembly on one thread. `?on=wasm` or `?on=webgpu` behind the address asks for one.
"""
