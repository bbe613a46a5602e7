"""Mistakes that people make, by area, for tests/faults/test_bad_inputs.py and docs/render_bad_inputs.py."""

from __future__ import annotations

from tests.helpers.bad_inputs.arc import ARC
from tests.helpers.bad_inputs.boards import BOARDS
from tests.helpers.bad_inputs.exports import EXPORTS
from tests.helpers.bad_inputs.flags import FLAGS
from tests.helpers.bad_inputs.folders import FOLDERS
from tests.helpers.bad_inputs.kinds import BadInput
from tests.helpers.bad_inputs.machines import MACHINES
from tests.helpers.bad_inputs.places import PLACES
from tests.helpers.bad_inputs.runs import NAMES, RESUMING
from tests.helpers.bad_inputs.serving import SERVING
from tests.helpers.bad_inputs.settings import SETTINGS
from tests.helpers.bad_inputs.sweeps import SWEEPS
from tests.helpers.bad_inputs.tables import TABLES
from tests.helpers.bad_inputs.texts import TEXTS
from tests.helpers.bad_inputs.thinking import THINKING
from tests.helpers.bad_inputs.weights import WEIGHTS

AREAS: dict[str, tuple[BadInput, ...]] = {
    "Flags and values": FLAGS,
    "Settings files": SETTINGS,
    "Run names and folders": NAMES,
    "Resuming": RESUMING,
    "Checkpoints and weights": WEIGHTS,
    "Puzzles and mazes as pasted": BOARDS,
    "Files of puzzles": TABLES,
    "Data folders": FOLDERS,
    "ARC": ARC,
    "Text": TEXTS,
    "Sweeps": SWEEPS,
    "Budgets, halting and search": THINKING,
    "Export and convert": EXPORTS,
    "Serving": SERVING,
    "Devices, workers and clusters": MACHINES,
    "Output files and places": PLACES,
}
