"""The folder of a run, and the name of everything in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, the last one left out if it was cut off while being written."""
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


STOP_FILE = "stop-requested"


CONSOLE_FILE = "console.log"
