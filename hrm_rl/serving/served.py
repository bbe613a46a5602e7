"""What the application knows of a model that it serves."""

from __future__ import annotations

from hrm_rl.agents.search.moves import Search
from hrm_rl.models import count_parameters
from hrm_rl.models.registry import version_of
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.jobs import ServedModel

SEARCH_FACTOR = 4
"""What a search may take if nothing is said, as a multiple of the budget in training: most puzzles need far
less, and the hardest ones need it (docs/search.md, solved against segments)."""


def served_model(loaded: LoadedModel, name: str | None = None) -> ServedModel:
    """All but the weights. name: what requests call it; the name of its run or folder if not given."""
    can_search = bool(loaded.task.assumable) and not loaded.task.label_decides
    embeds = loaded.model.config.puzzle_emb_ndim > 0
    return ServedModel(
        name=name or (loaded.run.name if loaded.run else loaded.path.name),
        version=version_of(loaded.model),
        task=loaded.task,
        parameters=count_parameters(loaded.model),
        budget=loaded.config.halting.halt_max_steps,
        search_budget=_search_budget(loaded) if can_search else None,
        trained_to_search=can_search and loaded.config.search.share > 0,
        identifiers=len(loaded.model.puzzle_emb.weight) if embeds else loaded.task.identifiers,
        origin=f"{loaded.weights} weights of update {loaded.update:,}",
    )


def _search_budget(loaded: LoadedModel) -> int:
    trained = loaded.config.search.share > 0
    return Search.of(loaded.config).budget * (SEARCH_FACTOR if trained else 1)
