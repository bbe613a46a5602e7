"""How well a model does, and what it costs: scores, intervals, votes, stopping rules."""

from typing import TYPE_CHECKING

from hrm_rl.utils.faces import lazily

if TYPE_CHECKING:
    from hrm_rl.evaluation.recording import Recording, record
    from hrm_rl.evaluation.scores import Evaluation, evaluate
    from hrm_rl.evaluation.tradeoff import curve

__all__ = ["Evaluation", "Recording", "curve", "evaluate", "record"]

__getattr__ = lazily(
    __name__,
    {
        "Evaluation": "scores",
        "Recording": "recording",
        "curve": "tradeoff",
        "evaluate": "scores",
        "record": "recording",
    },
)
