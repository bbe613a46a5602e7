"""The folder of a run, and the name of everything in it.

runs/NAME/
    config.yaml       the settings, enough to repeat the run
    lock              which process writes here, while one does
    versions.jsonl    a line for each start: command, versions, commit
    metrics.jsonl     a line for each interval and each evaluation
    checkpoints/      hrm_rl/runs/checkpoint.py says what is in one
    tensorboard/      event files
    console.log       what workers of Ray say
    error.log         the traceback of an unexpected error
    begun             while workers of Ray train
    stop-requested    while a run with Ray is asked to stop
    writer.json       in a run that is kept in a store: who writes there (hrm_rl/runs/stored.py)
    ray/              Ray Train's own files
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm_rl.config import Config
from hrm_rl.runs.selection import name_of
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import provenance, write_atomically


@dataclass(frozen=True)
class RunFolder:
    """The names in a run's folder. It need not exist."""

    path: Path

    @staticmethod
    def of_checkpoint(path: Path) -> RunFolder:
        """The run that the checkpoint in `path` belongs to."""
        return RunFolder(path.parent.parent)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def versions(self) -> Path:
        return self.path / "versions.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def console(self) -> Path:
        return self.path / "console.log"

    @property
    def error_log(self) -> Path:
        return self.path / "error.log"

    @property
    def begun(self) -> Path:
        return self.path / "begun"

    @property
    def stop_request(self) -> Path:
        return self.path / "stop-requested"

    @property
    def ray(self) -> Path:
        return self.path / "ray"

    def checkpoint(self, update: int) -> Path:
        """The folder of the checkpoint of an update."""
        return self.checkpoints / name_of(update)

    def begin(self, config: Config, command: str) -> None:
        """Make the folder if it is not there, and record the settings and how the run was started. Raises
        UserError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self.config, config.to_yaml())
            with self.versions.open("a") as file:
                file.write(json.dumps({"command": command, **provenance()}) + "\n")
        except OSError as error:
            raise UserError(f"cannot write the run folder {self.path}: {error.strerror}") from None

    def say(self, line: str) -> None:
        """Add a line to the console's log, which the driver of a run with Ray shows."""
        with self.console.open("a") as file:
            file.write(line + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl. Raises OSError."""
        return read_metrics(self.metrics)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, whatever else is in it. Raises OSError."""
    return parse_metrics(path.read_text(errors="replace"))


def parse_metrics(text: str) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl. Lines that are none, such as one cut off while it was being written,
    are left out."""
    records = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("update"), int):
            records.append(record)
    return records
