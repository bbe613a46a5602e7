"""A trained model in the format of the projects that HRM and TRM come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.compat.official import to_upstream
from hrm_rl.compat.sizes import Arch
from hrm_rl.config import Config
from hrm_rl.models import RecurrentModel
from hrm_rl.models.saving import description
from hrm_rl.runs.checkpoint import Weights
from hrm_rl.runs.loading import load_model
from hrm_rl.runs.pretrained import is_pretrained
from hrm_rl.runs.stored import model_here
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import whole_folder
from hrm_rl.utils.stores import is_uri

Project = Literal["sapientinc", "trm"]
NETWORKS: dict[Project, str] = {"sapientinc": "hrm", "trm": "trm"}
"""By project, the one network that it has."""


@dataclass(frozen=True)
class WrittenUpstream:
    """What came of it."""

    files: list[Path]
    caveats: list[str]
    """What upstream's code would get wrong with this network."""


def export_upstream(
    source: str, out: Path, weights: Weights | None = None, project: Project | None = None
) -> WrittenUpstream:
    """Write a run, or a folder for others, as a state dict and `all_config.yaml` of sapientinc/HRM or
    TinyRecursiveModels, whichever has such a network. project: the one that is meant, if one is. Raises
    UserError, also for a network that the project does not have."""
    path = model_here(source) if is_uri(source) else Path(source)
    if is_pretrained(path) and "run" not in description(path):
        model, config, update = RecurrentModel.from_pretrained(path), None, 0
    else:
        loaded = load_model(source, weights)
        model, config, update = loaded.model, loaded.config, loaded.update
    name = model.config.name
    if project is not None and name != NETWORKS[project]:
        other = next((p for p, network in NETWORKS.items() if network == name), None)
        advice = (
            f"--to {other} is for it" if other else "no other project has it; --formats onnx is for everyone"
        )
        raise UserError(f"--to {project} is for networks '{NETWORKS[project]}', this is a '{name}': {advice}")
    halting = config.halting if config else Arch().halting(name)
    with whole_folder(out) as folder:
        written = to_upstream(model, folder / f"step_{update}", halting)
    return WrittenUpstream([out / file.name for file in written], _caveats(model, config))


def _caveats(model: RecurrentModel, config: Config | None) -> list[str]:
    if config is None:
        return []
    found = []
    if config.train.loss_on == "blanks":
        found.append(
            "trained on the blank cells alone (train.loss_on blanks), its answer for given cells means "
            "nothing: copy these from the puzzle before evaluating it, which upstream's evaluation does not"
        )
    if model.config.name == "hrm" and not Q_TARGETS[config.halting.q_target].learns_continue:
        found.append(
            "it halts where q_halt > 0 (halting.q_target halt_only); sapientinc/HRM compares with "
            "q_continue, which was never trained"
        )
    return found
