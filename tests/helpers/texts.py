"""The smallest models of text."""

from __future__ import annotations

from typing import Any

from hrm_rl.config import Config
from tests.helpers.tiny import tiny_config

SECTIONS: dict[str, dict[str, Any]] = {
    "env": {"task": "text", "size": 12},
    "model": {"causal": True},
    "halting": {"q_target": "delayed"},
    "curriculum": {"stages": ("short=1,long=1",)},
}
"""What makes tests.helpers.tiny.TINY a model of text."""


def tiny_text(**sections: dict[str, Any]) -> Config:
    """Its configuration, with other settings."""
    merged = {name: SECTIONS.get(name, {}) | sections.get(name, {}) for name in SECTIONS | sections}
    return tiny_config(0, **merged)
