"""A trained model for others: a folder with weights, settings and card, other runtimes, the hub."""

from typing import TYPE_CHECKING

from hrm_rl.utils.faces import lazily

if TYPE_CHECKING:
    from hrm_rl.export.card import model_card
    from hrm_rl.export.push import push_to_hub
    from hrm_rl.export.run import export_run

__all__ = ["export_run", "model_card", "push_to_hub"]

__getattr__ = lazily(
    __name__,
    {"export_run": "run", "model_card": "card", "push_to_hub": "push"},
)
