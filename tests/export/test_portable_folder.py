"""A folder with further formats: what is in it, and that it is not written where something is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hrm_rl.cli import export as export_command
from hrm_rl.export import formats
from hrm_rl.export.formats import FORMATS, file_of
from hrm_rl.runs.loading import load_model
from hrm_rl.utils.errors import UserError
from tests.export.conftest import PORTABLE, Portable


def test_each_format_is_there_with_its_description_and_in_the_card(portable: Portable) -> None:
    files = {path.name for path in portable.folder.iterdir()}
    assert files == {
        "config.json", "model.safetensors", "README.md", "segment.json", "runner.py", "report.md",
        *map(file_of, PORTABLE),
    }  # fmt: skip
    described = json.loads((portable.folder / "segment.json").read_text())
    assert (described["task"], described["rows"], described["columns"]) == ("sudoku", 4, 4)
    assert (described["budget"], described["loss_on"], described["q_target"]) == (4, "blanks", "bootstrap")
    assert described["characters"][2:] == "1234"
    assert described["unknown"] == [1]
    assert set(described["formats"]) == set(PORTABLE)
    card = (portable.folder / "README.md").read_text()
    assert card.count("## Other formats") == card.count("## Configuration") == 1
    for kind in PORTABLE:
        assert f"| {file_of(kind)} |" in card
        assert f"{file_of(kind)}: " in portable.said


def test_full_precision_agrees_and_rounding_is_measured(portable: Portable) -> None:
    found = {
        kind: one["agreement"]
        for kind, one in json.loads((portable.folder / "segment.json").read_text())["formats"].items()
    }
    for kind in ("pt2", "onnx"):
        assert found[kind]["logits"] <= 1e-4
        assert found[kind]["decisions"] == found[kind]["answers"] == 1
    for kind in PORTABLE[2:]:
        assert found[kind]["logits"] > 1e-4, kind
    assert found["float16"]["logits"] < found["bfloat16"]["logits"] < found["int4-naive"]["logits"]
    assert found["int8"]["logits"] < min(found[kind]["logits"] for kind in ("int4", "int4-naive"))
    assert min(found["int8"]["fidelity"]) > max(found["int4-naive"]["fidelity"])


def test_the_report_has_a_row_for_the_network_and_for_each_format(portable: Portable) -> None:
    tables = (portable.folder / "report.md").read_text()
    assert tables in portable.said
    accuracy, levels, fidelity, speed = tables.strip().split("\n\n")
    names = ["network, float32", "network, bfloat16", *PORTABLE]
    assert [line.split(" | ")[0][2:] for line in accuracy.splitlines()[2:]] == names
    assert [line.split(" | ")[0][2:] for line in levels.splitlines()[2:]] == names
    assert levels.splitlines()[0] == "| solved by level | easy |"
    assert [line.split(" | ")[0][2:] for line in fidelity.splitlines()[2:]] == list(PORTABLE)
    assert fidelity.splitlines()[0] == "| state cosine after segment | 1 | 2 | 4 |"
    assert all(float(line.split(" | ")[1]) > 0 for line in speed.splitlines()[2:])


def test_files_name_no_folder_of_this_machine(portable: Portable) -> None:
    for kind in PORTABLE:
        content = (portable.folder / file_of(kind)).read_bytes()
        for place in (str(Path(__file__).parents[2]), str(Path(torch.__file__).parent), str(portable.folder)):
            assert place.encode() not in content, kind


def test_formats_are_added_to_a_folder_and_others_stay(portable: Portable, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(portable.folder, folder)
    (folder / "segment.pt2").unlink()
    assert export_command.main(["--out", str(folder), "--formats", "pt2", "--puzzles", "5"]) == 0
    assert (folder / "segment.pt2").exists()
    found = json.loads((folder / "segment.json").read_text())["formats"]
    assert found["pt2"]["agreement"]["puzzles"] == 5
    assert found["onnx"]["agreement"]["puzzles"] == 24
    card = (folder / "README.md").read_text()
    assert card.count("## Other formats") == card.count("## Configuration") == 1
    assert load_model(folder).update == 0


def test_what_disagrees_is_refused_and_nothing_is_written(
    portable: Portable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = formats.save_program

    def disturbed(program: Any, path: Path, about: str) -> None:
        head = next(name for name in program.state_dict if name.endswith("lm_head.weight"))
        program.state_dict[head] = nn.Parameter(program.state_dict[head] * 1.01, requires_grad=False)
        honest(program, path, about)

    monkeypatch.setattr(formats, "save_program", disturbed)
    args = ["--checkpoint", str(portable.source), "--out", str(tmp_path / "out"), "--formats", "pt2"]
    with pytest.raises(
        UserError, match=r"segment.pt2 disagrees with the network, so nothing is written: .* logits"
    ):
        export_command.main([*args, "--puzzles", "5"])
    assert list(tmp_path.iterdir()) == []


def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats.shutil, "which", lambda name: None)


@pytest.mark.parametrize(
    ("args", "part", "change"),
    [
        ("--out OUT --formats onnx --opset 99", "--opset 99: .* 18 to 23 in common", None),
        ("--out OUT --formats onnx --opset 17", "18 to 23", None),
        (
            "--out OUT --formats onnx",
            r"onnx, onnxscript, onnxruntime: pip install 'hrm-rl\[export\]'",
            without_packages,
        ),
        ("--out OUT --formats aoti", "AOTInductor needs a C.. compiler", without_compiler),
        ("--out OUT --formats pt2 --identifier 0", "no puzzle embeddings: leave out --identifier", None),
        ("--out OUT --formats pt3", "--formats", None),
        ("--out OUT --formats pt2 pt2", "twice", None),
        ("--out OUT --opset 20", "--opset belongs to --formats or --report", None),
        ("--out OUT --puzzles 5", "--puzzles belongs to", None),
        ("--out OUT --to trm --formats pt2", "--to writes a --checkpoint for another project", None),
        ("--out OUT --to trm", "--to trm is for networks 'trm', this is a 'hrm': --to sapientinc", None),
        ("--out OUT", "is a folder for others already .--formats adds to it", None),
        ("--formats pt2", "say which model and where to", None),
        ("--out /proc/model --formats pt2", "cannot read or write /proc/", None),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    args: str,
    part: str,
    change: Callable[[pytest.MonkeyPatch], None] | None,
    portable: Portable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if change is not None:
        change(monkeypatch)
    words = [str(tmp_path / word) if word == "OUT" else word for word in args.split()]
    with pytest.raises(UserError, match=part) as error:
        export_command.main(["--checkpoint", str(portable.source), *words])
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_formats_of_other_settings_are_not_mixed(portable: Portable, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(portable.folder, folder)
    described = json.loads((folder / "segment.json").read_text())
    (folder / "segment.json").write_text(json.dumps(described | {"version": "0" * 12}))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(UserError, match="holds formats with another version"):
        export_command.main(["--out", str(folder), "--formats", "pt2", "--puzzles", "5"])
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_every_format_has_a_file_of_its_own() -> None:
    assert len({file_of(kind) for kind in FORMATS}) == len(FORMATS)
