"""Whether something else is found in place of this project's package `envs`, whose name is a common one.

Commands look before they import anything that needs it, so this module imports nothing that takes time.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

OURS = Path(__file__).resolve().parents[2] / "envs"


def stranger(first: Path | None = None) -> Path | None:
    """What `import envs` finds instead of ours; None if it finds ours. first: a folder that is searched
    before all others, as Ray's workers search the one in which a command was started."""
    spec: ModuleSpec | None
    if first is not None:
        spec = PathFinder.find_spec("envs", [str(first), *sys.path])
    else:
        try:
            spec = importlib.util.find_spec("envs")
        except ValueError:  # made by hand, without a place
            return None
    if spec is None:
        return None
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    places = folders or [Path(spec.origin or "envs")]  # a file envs.py is in no folder of its own
    return next((place for place in places if place.resolve() != OURS), None)


def refuse() -> None:
    """Raise ImportError if `import envs` finds something else."""
    place = stranger()
    if place is not None:
        raise ImportError(in_words(place))


def in_words(place: Path) -> str:
    """The one line about it."""
    return (
        f"{place} is found in place of hrm-rl's own package envs: rename it, or work in another folder (if "
        "it is on PYTHONPATH, take it off)"
    )
