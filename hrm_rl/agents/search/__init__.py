"""The agent that searches: it assumes digits, doubts them, and starts over in another form of the puzzle."""

from typing import TYPE_CHECKING

from hrm_rl.utils.faces import lazily

if TYPE_CHECKING:
    from hrm_rl.agents.search.branches import Branching
    from hrm_rl.agents.search.doubt import Doubt
    from hrm_rl.agents.search.learner import SearchLearner
    from hrm_rl.agents.search.search import Moves, Search

__all__ = ["Branching", "Doubt", "Moves", "Search", "SearchLearner"]

__getattr__ = lazily(
    __name__,
    {
        "Branching": "branches",
        "Doubt": "doubt",
        "SearchLearner": "learner",
        "Moves": "search",
        "Search": "search",
    },
)
