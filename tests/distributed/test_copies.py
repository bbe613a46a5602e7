"""An environment in a Ray actor plays what it would have played here."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
import ray

from tests.helpers.copies import ENVS, flat, played


@ray.remote
class _Player:
    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.env = env

    def play(self, steps: int) -> list[Any]:
        return played(self.env, steps)

    def reset(self) -> list[Any]:
        return flat(self.env.reset(seed=5))


@pytest.mark.usefixtures("cluster")
def test_an_environment_sent_to_an_actor_goes_on_there() -> None:
    here = [ENVS[kind]() for kind in ("act", "search vector")]
    for env in here:
        env.reset(seed=1)
        played(env, 2)
        env.reset()
    there = [_Player.remote(env) for env in here]  # type: ignore[attr-defined]
    found = ray.get([actor.play.remote(6) for actor in there], timeout=120)
    assert found == [played(env, 6) for env in here]
    assert ray.get([actor.reset.remote() for actor in there], timeout=120) == [
        flat(env.reset(seed=5)) for env in here
    ]
