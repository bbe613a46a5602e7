"""The flags of search, which evaluate, solve and analyze share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from envs.search import refuse_unsearchable
from hrm_rl.agents.search.search import Search
from hrm_rl.config import Positive, Section
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.utils.errors import UserError


class SearchFlags(Section):
    """Flags that say how to search."""

    search: bool = False
    """Search: assume digits, think on, start over where they contradict each other or the model doubts them,
    and hand in only what the task's rule accepts."""
    chains: Positive | None = None
    """With --search: chains side by side that share a puzzle's budget (1)."""
    doubt: bool = True
    """With --search: start over also where the model doubts, if it was trained to search."""
    doubt_after: Annotated[int, Field(ge=2)] | None = None
    """With --search: segments before which a first start is not doubted, and one more for each start after
    it; the training run's budget of halting if not given."""
    temperature: Annotated[float, Field(gt=0.0)] | None = None
    """With --search: of the digits drawn after starting over; the training run's if not given."""
    assume_every: Annotated[int, Field(ge=0)] | None = None
    """With --search: segments between assumptions, 0 for none; the training run's if not given, none for a
    model that was not trained to search."""
    give_up: Annotated[int, Field(ge=0)] | None = None
    """With --search: segments after which a start is given up in any case, 0 for never; never if not given,
    but twice the training run's budget for a model that was not trained to search."""
    assume_share: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """With --search: share of a board's blanks that is assumed at once; the training run's if not given."""

    def refuse_contradictions(self, without_search: Mapping[str, bool]) -> None:
        """Refuse flags that say nothing together. without_search: those that search does not take, and
        whether each is given. Raises UserError."""
        with_search = {
            "--chains": self.chains is not None,
            "--no-doubt": not self.doubt,
            "--doubt-after": self.doubt_after is not None,
            "--temperature": self.temperature is not None,
            "--assume-share": self.assume_share is not None,
            "--assume-every": self.assume_every is not None,
            "--give-up": self.give_up is not None,
        }
        for flag, given in (without_search if self.search else with_search).items():
            if given and self.search:
                raise UserError(f"--search takes no {flag}: leave out one of them")
            if given:
                raise UserError(f"{flag} belongs to --search: add that, or leave it out")

    def search_of(self, model: LoadedModel, budget: int | None, seed: int) -> Search:
        """How to search with a model: as it was trained, but for what the flags say. Raises UserError."""
        refuse_unsearchable(model.task)
        how = Search.of(model.config, budget, self.chains or 1, seed)
        if how.chains > how.budget:
            raise UserError(
                f"--chains {how.chains}: they share a budget of {how.budget} segments, which must not be "
                "fewer (--max-segments)"
            )
        doubt = how.doubt if self.doubt else None
        if self.doubt_after is not None:
            if doubt is None:
                raise UserError(
                    "--doubt-after needs a model that was trained to search, and no --no-doubt: leave it out"
                )
            doubt = replace(doubt, after=self.doubt_after)
        return replace(
            how,
            doubt=doubt,
            branching=replace(
                how.branching,
                temperature=self.temperature or how.branching.temperature,
                share=self.assume_share or how.branching.share,
                every=how.branching.every if self.assume_every is None else self.assume_every,
            ),
            patience=how.patience if self.give_up is None else self.give_up,
        )


def in_words(how: Search) -> str:
    """`search with doubt, 3 chains, at most 64 segments`."""
    doubt = f"{'with' if how.doubt else 'without'} doubt"
    parts = [f"search {doubt if how.branching.every else 'without assumptions'}"]
    if how.patience:
        parts.append(f"{how.patience} segments a start")
    if how.chains > 1:
        parts.append(f"{how.chains} chains")
    return ", ".join([*parts, f"at most {how.budget} segments"])


def about_search(how: Search) -> dict[str, Any]:
    """What a report says of a search at its top."""
    return {
        "halting": "search",
        "rule": in_words(how),
        "budget": how.budget,
        "chains": how.chains,
        "doubts": how.doubt is not None,
    }
