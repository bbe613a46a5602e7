"""`export --to` writes what `convert --to official` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm_rl.cli import convert as convert_command
from hrm_rl.cli import export as export_command
from hrm_rl.utils.errors import UserError
from tests.helpers.exported import saved

UPSTREAM = {"swiglu_multiple": 256, "pos_encodings": "rope"}


@pytest.mark.parametrize(("project", "name"), [("sapientinc", "hrm"), ("trm", "trm")])
def test_both_commands_write_the_same_files(project: str, name: str, tmp_path: Path) -> None:
    source = saved(tmp_path / "model", None, model=UPSTREAM | {"name": name})
    export_command.main(["--checkpoint", source, "--to", project, "--out", str(tmp_path / "one")])
    convert_command.main(["--from", source, "--to", "official", "--out", str(tmp_path / "two")])
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert files.keys() == {"step_0", "all_config.yaml"}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}


@pytest.mark.parametrize(
    ("project", "changes", "part"),
    [
        (
            "trm",
            {"name": "hrm"},
            "--to trm is for networks 'trm', this is a 'hrm': --to sapientinc is for it",
        ),
        ("sapientinc", {"name": "transformer"}, "no other project has it"),
        ("sapientinc", {"name": "hrm", "causal": True}, "upstream has no network with model.causal"),
    ],
)
def test_networks_that_the_project_lacks_are_refused_and_nothing_is_left(
    project: str, changes: dict, part: str, tmp_path: Path
) -> None:
    source = saved(tmp_path / "model", None, model=UPSTREAM | changes)
    with pytest.raises(UserError, match=part):
        export_command.main(["--checkpoint", source, "--to", project, "--out", str(tmp_path / "out")])
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
