"""docs/specification.md: its program does what the page says."""

from __future__ import annotations

import json
import re

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_the_example_of_the_page_learns(capsys: pytest.CaptureFixture[str]) -> None:
    """The program, run as it stands, solves every puzzle of its kind."""
    page = (ROOT / "docs" / "specification.md").read_text()
    (program,) = re.findall(r"^```python\n(import random.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/specification.md", "exec"), {})
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == [[1, 2, 3, 3, 3, 3], [1, 1, 2, 2, 3, 3], [1, 1, 1, 2, 2, 2]]
