"""Untrained models in folders, for the tests of commands that only need one."""

from __future__ import annotations

from pathlib import Path

from hrm_rl.data.streams import build_task
from hrm_rl.models import build_model
from hrm_rl.runs.pretrained import About
from tests.helpers.tiny import always, make_decisive, tiny_config


def saved(folder: Path, halt: bool | None, **sections: dict) -> str:
    """A folder with an untrained network that always halts, never halts, or (None) does as it likes."""
    config = tiny_config(0, **sections)
    task = build_task(config)
    model = build_model(config.model, task.vocab_size, task.coordinates())
    make_decisive(model) if halt is None else always(model, halt)
    about = About(origin="a test", config=config.model_dump(mode="json"))
    model.save_pretrained(folder, about.model_dump())
    return str(folder)
