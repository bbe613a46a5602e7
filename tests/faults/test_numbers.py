"""Numbers that are not finite, where they hurt: skipped, or the end of the run, never saved as the best."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.folder import RunFolder
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import tiny_config


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", ["q_head.weight", "q_head.bias", "lm_head.weight", "embed_tokens.weight"])
def test_weights_past_saving_are_neither_saved_nor_judged(place: str, value: float, tmp_path: Path) -> None:
    config = tiny_config(train={"max_updates": 30, "eval_every": 3, "checkpoint_every": 1, "log_every": 1})
    said: list[str] = []
    trainer = Trainer(config, LocalWorker(config, tmp_path, said.append))
    update, seen = trainer.learner.update, dict(trainer.learner.model.named_parameters())

    def struck() -> None:
        update()
        if trainer.learner.updates == 5:
            with torch.no_grad():
                seen[place].view(-1)[0] = value

    trainer.learner.update = struck  # type: ignore[method-assign]
    with pytest.raises(UserError, match=f"{place} is not finite at update 5"):
        trainer.run()
    folder = RunFolder(tmp_path)
    last = selection.latest_sound(folder.checkpoints, said.append)
    assert last is not None
    assert last.name == "update-00000004"
    model = trainer.learner.model
    checkpoint.load_weights(last, model, "raw")
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert selection.best(folder.checkpoints) == folder.checkpoint(3)
    assert not any("update 6" in line for line in said)
