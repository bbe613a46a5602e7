"""A run's folder: its checkpoints, its metrics, and the model in it."""

from typing import TYPE_CHECKING

from hrm_rl.utils.faces import lazily

if TYPE_CHECKING:
    from hrm_rl.runs.folder import RunFolder
    from hrm_rl.runs.loading import LoadedModel, load_model

__all__ = ["LoadedModel", "RunFolder", "load_model"]

__getattr__ = lazily(
    __name__,
    {"LoadedModel": "loading", "RunFolder": "folder", "load_model": "loading"},
)
