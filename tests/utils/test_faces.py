"""What packages offer by name is there, and comes from the module that it is said to be in."""

from __future__ import annotations

import importlib

import pytest

FACES = ("runs", "agents.act", "evaluation", "analysis", "export", "serving")


@pytest.mark.parametrize("name", FACES)
def test_a_package_has_every_name_that_it_offers_and_no_other(name: str) -> None:
    package = importlib.import_module(f"hrm_rl.{name}")
    for offered in package.__all__:
        assert getattr(package, offered).__module__.startswith(f"hrm_rl.{name}."), offered
    with pytest.raises(AttributeError, match="has no attribute 'nothing_like_it'"):
        _ = package.nothing_like_it
