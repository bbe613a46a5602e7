"""What goes over the wire: requests, answers and events, as typed objects that become the OpenAPI document.

Legend: L cells of a puzzle, V token values.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from envs.drawing import DrawnAs
from hrm_rl.serving.jobs import Decision, Mode

MOST_CHARACTERS, MOST_CELLS = 20_000, 4096
"""Of a puzzle as text, with frames and comments, and of one as tokens."""
LARGEST_INTEGER = 2**53 - 1
"""What JavaScript holds as a whole number."""


class Wire(BaseModel):
    """What all of them have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class StrictWire(Wire):
    """What comes from a client: nothing is converted or guessed."""

    model_config = ConfigDict(strict=True)


def _kind(value: Any) -> str | None:
    return "text" if isinstance(value, str) else "tokens" if isinstance(value, list) else None


Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Tokens = Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(max_length=MOST_CELLS)]
PuzzleText = Annotated[
    Annotated[Text, Tag("text")] | Annotated[Tokens, Tag("tokens")],
    Discriminator(
        _kind, custom_error_type="puzzle", custom_error_message="a puzzle is a text, or a list of tokens"
    ),
]
"""As text in any form that files may have, or as tokens row by row."""


class ThinkRequest(StrictWire):
    """One puzzle, and how to think about it."""

    puzzle: PuzzleText
    model: Annotated[str, Field(max_length=300)] | None = None
    """A name of /v1/models; the first model whose task fits the puzzle if not given."""
    mode: Mode | None = None
    """`adaptive` halts where the model wants to, `fixed` spends all segments, `search` assumes, starts over
    and hands in only what the rule accepts; what the model was trained for if not given."""
    segments: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)] | None = None
    """The most segments; the model's own budget if not given."""
    seed: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] = 0
    """Of a search."""
    identifier: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] | None = None
    """The identity of the puzzle, or of all of them: a row of the model's puzzle embeddings, which
    `identities` of /v1/tasks names; that of the text if it names one, else 0, which none has for its own, if
    not given."""
    allow_unproven: bool = False
    """Do not ask for a proof that the puzzle has one solution; its form is checked all the same."""


class SolveRequest(ThinkRequest):
    """One puzzle, or several, and how to think about them."""

    puzzle: PuzzleText | None = None  # type: ignore[assignment]
    """Either this ..."""
    puzzles: Annotated[list[PuzzleText], Field(min_length=1)] | None = None
    """... or these: puzzles for one model."""

    @model_validator(mode="after")
    def _one_of_both(self) -> SolveRequest:
        if (self.puzzle is None) == (self.puzzles is None):
            raise ValueError("give a puzzle or a list of puzzles: either puzzle or puzzles")
        return self

    @property
    def all_puzzles(self) -> list[str | list[int]]:
        return self.puzzles if self.puzzles is not None else [self.puzzle]  # type: ignore[list-item]


class PuzzleResult(Wire):
    """How one puzzle ended."""

    answer: str
    """As files of the task write it."""
    tokens: list[int]
    """(L) the same."""
    inputs: list[int]
    """(L) the puzzle."""
    identifier: int
    """The identity that it was thought about with."""
    solved: bool | None
    """The rule's verdict; null where the task has no rule and only a label could tell."""
    decision: Decision
    """`halt` and `spent` end adaptive and fixed thinking, `hand in` and `give up` a search."""
    segments: int
    starts: int
    """Times that a search started over."""
    q: list[tuple[float | None, float | None]]
    """By segment: values of halting and of continuing, as logits; null where the model has none."""
    queued: float
    """Seconds until it got a slot."""
    seconds: float
    """Seconds from then to the end."""


class SolveResponse(Wire):
    """The model that answered, and its answers in the order of the puzzles."""

    model: str
    version: str
    task: str
    results: list[PuzzleResult]


class BeginEvent(Wire):
    """The first event of a stream."""

    id: str
    """Of the request."""
    model: str
    version: str
    task: str
    inputs: list[int]
    """(L) the puzzle."""
    unknown: list[int]
    """Cells that an answer has to find; the others are given."""
    identifier: int
    """The identity that it is thought about with."""
    solution: list[int] | None
    """(L) the one that was proven; null where none was asked for or the task cannot tell."""
    mode: Mode
    segments: int
    """The most that it may take."""


class SegmentEvent(Wire):
    """One segment of thinking."""

    segment: int
    """Segments spent so far, this one included."""
    start: int
    """Times that a search had started over before."""
    board: list[int]
    """(L) the puzzle with what was assumed before: what the model thought about."""
    answer: list[int]
    """(L)"""
    probabilities: list[list[float]] | None
    """(L) lists of V, with three decimals."""
    q_halt: float | None
    q_continue: float | None
    """Null where the model was not taught it."""
    changed: list[int]
    """Cells whose answer is not that of the segment before (of the same start)."""
    violations: list[int]
    """Cells of the answer that break the rule."""
    wrong: list[int] | None
    """Cells that differ from the proven solution; null where that is unknown or not the only one."""
    solved: bool | None
    """The rule's verdict on the answer; null where the task has no rule and only a label could tell."""
    decision: Decision
    contradicted: bool
    """It starts over because the board contradicts itself."""
    assumed: list[int]
    """(L) tokens assumed after this segment, 0 where none."""


class ResultEvent(PuzzleResult):
    """The last event of a stream that ended well."""

    model: str
    version: str
    task: str


class CellPlace(Wire):
    """A cell; both numbers from 1."""

    row: int
    column: int


class Fault(Wire):
    """What went wrong."""

    code: str
    """unauthorized, not_found, method_not_allowed, timeout, too_large, unsupported, invalid, busy, internal
    or stopping."""
    message: str
    """One line."""
    id: str
    """Of the request, as in the log."""
    cell: CellPlace | None = None
    """The cell that is at fault."""
    puzzle: int | None = None
    """The index, in a list, of the puzzle that is at fault."""


class FaultResponse(Wire):
    """Every error; the last event of a stream that ended badly has the same form."""

    error: Fault


class ModelInfo(Wire):
    """One model that is served."""

    name: str
    version: str
    """It changes with the weights and the network."""
    task: str
    parameters: int
    modes: list[Mode]
    default_mode: Mode
    segments: int
    """The budget of adaptive and fixed thinking if nothing is said."""
    identifiers: int
    """A request's `identifier` is below that."""
    search_segments: int | None
    """The budget of a search; null for a model that cannot search."""
    origin: str
    """Where its weights come from."""


class ModelList(Wire):
    """The first one is the default."""

    models: list[ModelInfo]


class Identity(Wire):
    """A puzzle that the models know by name."""

    identifier: int
    name: str


class TaskInfo(Wire):
    """One kind of puzzle."""

    task: str
    """As in all requests: name-ROWSxCOLUMNS."""
    name: str
    rows: int
    columns: int
    characters: str
    """Token t is written characters[t]; 0 is a cell that is not there."""
    drawn_as: DrawnAs
    """How it is shown: a board of cells, a grid of colours (token t is colour c where characters[t] is the
    digit c), or a string that ends where its padding begins."""
    box: list[int] | None
    """Rows and columns of a box, where there are boxes."""
    levels: list[str]
    """Those that /v1/puzzles/random makes, the easiest first."""
    rules: list[str]
    """What can be wrong with an answer, in words."""
    label_decides: bool
    """Whether only a label tells if an answer is right; then `solved` is null."""
    identities: list[Identity]
    """Identities to choose from; empty where puzzles have none."""
    models: list[str]


class TaskList(Wire):
    """The tasks of all models that are served."""

    tasks: list[TaskInfo]


class RandomPuzzle(Wire):
    """A new puzzle with its proof."""

    task: str
    level: str
    puzzle: str
    tokens: list[int]
    """(L)"""
    identifier: int
    """Its identity, to be asked with; 0 where it has none."""
    solution: list[int]
    """(L)"""
    solutions: int | None
    """1: a search has shown that there is no other; null where several answers may be right."""
    length: int | None = None
    """Cells of a maze's shortest path, both ends counted."""
    seed: int
    """The same number makes the same puzzle."""


class ReadRequest(StrictWire):
    """A text to be read as a puzzle."""

    task: Annotated[str, Field(max_length=300)]
    """As /v1/tasks has it."""
    puzzle: Text
    """In any form that files of the task may have."""


class ReadResponse(Wire):
    """A puzzle of sound form; nothing is proven."""

    task: str
    tokens: list[int]
    """(L)"""
    identifier: int
    """The identity that the text names, else 0."""


class HealthResponse(Wire):
    """Alive, or ready."""

    status: str
