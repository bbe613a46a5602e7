"""TensorBoard's HPARAMS tab: one session for each trial of a sweep.

A session shows the settings and two numbers, `sweep/score` (the best evaluation by the sweep's metric) and
`sweep/cost` (what that evaluation cost). The trials' curves are in their own folders, trials/ID/tensorboard.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from hrm_rl.sweeps.results.importance import key
from hrm_rl.sweeps.results.reading import SweepResults, Trial

SCORE, COST = "sweep/score", "sweep/cost"
SUFFIX = ".hparams"
"""End of the names of these event files; the earlier ones of a trial are deleted when it is written again."""
ENDS = {
    "finished": api_pb2.STATUS_SUCCESS,
    "stopped": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
}


def write_hparams(sweep: SweepResults, folder: Path) -> None:
    """Write folder/ID/ for each trial. An event file is made elsewhere and then moved, so that none is half
    there."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = {
        name: next((_plain(t.scored_params[name]) for t in sweep.trials if name in t.scored_params), "")
        for name in sweep.parameters
    }
    for trial in sweep.trials:
        place = folder / trial.id
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as made:
            _write_session(trial, examples, Path(made))
            old = list(place.glob(f"*{SUFFIX}"))
            for file in Path(made).iterdir():
                shutil.move(file, place / file.name)
        for file in old:
            file.unlink(missing_ok=True)


def _write_session(trial: Trial, examples: dict[str, Any], folder: Path) -> None:
    """TensorBoard takes the columns from any one session: each declares all settings, also those it lacks."""
    params = {name: _plain(value) for name, value in trial.scored_params.items() if name in examples}
    metrics = {SCORE: 0.0, COST: 0.0}
    experiment, _, _ = hparams(examples, metrics)
    _, start, end = hparams(params, metrics)
    with SummaryWriter(str(folder), filename_suffix=SUFFIX) as writer:
        if writer.file_writer is None:
            raise RuntimeError("a new writer has a file")
        writer.file_writer.add_summary(experiment)
        writer.file_writer.add_summary(start)
        if trial.status in ENDS:  # the session of any other counts as running
            _set_status(end, ENDS[trial.status])
            writer.file_writer.add_summary(end)
        if trial.best:
            writer.add_scalar(SCORE, trial.best.value, trial.best.update)
            if trial.best.cost is not None:
                writer.add_scalar(COST, trial.best.cost, trial.best.update)


def _set_status(end: Any, status: Any) -> None:
    """`hparams` calls every session a success."""
    plugin = end.value[0].metadata.plugin_data
    data = HParamsPluginData.FromString(plugin.content)
    data.session_end_info.status = status
    plugin.content = data.SerializeToString()


def _plain(value: Any) -> int | float | bool | str:
    """What HPARAMS has a type for; anything else as text."""
    return value if isinstance(value, int | float | str) else key(value)
