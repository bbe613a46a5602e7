"""The flags that say when a puzzle has been thought about enough."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from hrm_rl.agents.act.stopping import WITH_THRESHOLD, Halting, Stopping
from hrm_rl.config import Positive, Section
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.utils.errors import UserError

THRESHOLDS = {"adaptive": 0.0, "fixed_point": 0.1, "entropy": 0.03}
"""Of each rule that has one, if none is given."""

MOST_SEGMENTS = 100_000

AtLeastTwo = Annotated[int, Field(ge=2)]


class StoppingFlags(Section):
    """Flags that say when to stop."""

    halting: Halting = "adaptive"
    """Stop each puzzle where the model says so, spend the whole budget on each, or stop where answers agree,
    where the state is at rest, or where the answer is sure."""
    max_segments: str | None = None
    """Budget of segments, or a multiple of the training run's such as 2x; the training run's if not given.
    With --search: of the search, over all starts and chains."""
    halt_threshold: float | None = None
    """Adaptive halting: how far q_halt has to be above q_continue, in logits (0); a larger one thinks longer.
    fixed_point and entropy: what the relative change of the state (0.1) and the entropy of the answer's blank
    cells in nats (0.03) have to be below; a smaller one thinks longer."""
    min_segments: Positive = 1
    """Segments before which nothing stops, unless the budget ends there."""
    patience: AtLeastTwo | None = None
    """Halting by agreement: equal answers in a row that it takes (2)."""

    def refuse_strange_rules(self) -> None:
        """Raise UserError for flags that the rule does not take."""
        if self.halt_threshold is not None:
            if self.halting not in WITH_THRESHOLD:
                known = f"{', '.join(WITH_THRESHOLD[:-1])} or {WITH_THRESHOLD[-1]}"
                raise UserError(f"--halt-threshold belongs to --halting {known}, not to {self.halting}")
            if self.halting != "adaptive" and self.halt_threshold <= 0:
                raise UserError(f"--halting {self.halting} stops below --halt-threshold: it must be above 0")
        if self.patience is not None and self.halting != "agree":
            raise UserError(f"--patience belongs to --halting agree, not to {self.halting}")

    def budget_of(self, trained: int) -> int:
        """The budget that is meant, where `trained` is the one without --max-segments. Raises UserError."""
        if self.max_segments is None:
            return trained
        return read_segments(self.max_segments, "--max-segments", trained)

    def stopping_of(self, model: LoadedModel) -> Stopping:
        """When to stop, for one model. Raises UserError."""
        threshold = self.halt_threshold
        return Stopping(
            budget=self.budget_of(model.config.halting.halt_max_steps),
            halting=self.halting,
            threshold=THRESHOLDS.get(self.halting, 0.0) if threshold is None else threshold,
            min_segments=self.min_segments,
            patience=self.patience or 2,
        )


def read_segments(text: str, flag: str, trained: int) -> int:
    """A number of segments, or a multiple of the `trained` ones. Raises UserError."""
    match = re.fullmatch(r"(\d+)(x?)", text)
    found = int(match[1]) * (trained if match[2] else 1) if match else 0
    if not 1 <= found <= MOST_SEGMENTS:
        raise UserError(
            f"{flag} {text}: it must be a number of segments, 1 to {MOST_SEGMENTS:,}, or a multiple such as "
            "2x"
        )
    return found


def stopping_in_words(rule: Stopping) -> str:
    """`adaptive halting, threshold 0.5, at most 16 segments`."""
    parts = {
        "agree": [f"halting at {rule.patience} equal answers"],
        "fixed_point": [f"halting where the state changes by less than {rule.threshold:g}"],
        "entropy": [f"halting where the answer's entropy is below {rule.threshold:g}"],
    }.get(rule.halting, [f"{rule.halting} halting"])
    if rule.halting == "adaptive" and rule.threshold:
        parts.append(f"threshold {rule.threshold:g}")
    if rule.min_segments > 1:
        parts.append(f"at least {rule.min_segments} segments")
    return ", ".join([*parts, f"at most {rule.budget} segments"])
