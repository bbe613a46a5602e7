"""Evaluations of a run: a part of the held-out puzzles at a time gives the figures of all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hrm_rl.evaluation import scores
from hrm_rl.training import loop
from hrm_rl.training.local import LocalWorker
from tests.helpers.tiny import make_decisive, metrics, tiny_config

SEARCHES = {
    "train": {"max_updates": 4, "eval_every": 2, "log_every": 2, "loss_on": "blanks"},
    "halting": {"q_target": "lambda", "halt_max_steps": 3},
    "search": {"share": 0.5, "budget": 6, "assume_every": 1},
}


@pytest.mark.parametrize(("sections", "tags"), [({}, "eval/"), (SEARCHES, "eval/without_search/")])
def test_parts_of_the_held_out_puzzles_add_up(
    sections: dict[str, Any], tags: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what a search finds, whose random numbers come from the number of a puzzle in its part."""
    config = tiny_config(data={"eval_puzzles": 11}, **sections)
    real, parts = loop.evaluate, []

    def noted(solver: Any, part: Any, *args: Any, **more: Any) -> Any:
        parts.append(len(part))
        return real(solver, part, *args, **more)

    monkeypatch.setattr(loop, "evaluate", noted)
    found = []
    for at_once in (100, 4):
        monkeypatch.setattr(scores, "AT_ONCE", at_once)
        folder = tmp_path / str(at_once)
        folder.mkdir()
        trainer = loop.Trainer(config, LocalWorker(config, folder, lambda line: None))
        make_decisive(trainer.learner.model)
        trainer.run()
        judged = [record for record in metrics(folder) if "eval/solved" in record]
        found.append([{k: v for k, v in record.items() if k.startswith(tags)} for record in judged])
    assert parts == [11, 11, 4, 4, 3, 4, 4, 3]
    assert found[0] == found[1]
    assert found[0][0]
