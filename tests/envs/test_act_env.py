"""ActEnv and ActVectorEnv: Gymnasium's contract, the rules of an episode, and that B
slots are B environments."""

from __future__ import annotations

import warnings
from itertools import combinations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.utils.passive_env_checker import data_shares_objects
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import envs
from envs import ActEnv, ActVectorEnv, GeneratedSource, PoolSource

SLOTS = 5
BUDGET = 4


def policy(rng, solution, vocab_size):
    """Actions for slots (B, L): a third of the answers right, a third of the slots halting."""
    noise = rng.integers(0, vocab_size, solution.shape)
    right = rng.random(len(solution)) < 1 / 3
    return {
        "answer": np.where(right[:, None], solution, noise),
        "halt": (rng.random(len(solution)) < 1 / 3) * 1,
    }


def wrong(solution):
    """An answer (..., L) that differs from the solution in one cell."""
    answer = solution.copy()
    answer[..., 0] = np.where(answer[..., 0] > 2, 2, 3)
    return answer


# Gymnasium's contract


def test_check_env_passes_without_a_warning(env_id, options):
    env = gymnasium.make(env_id, halt_max_steps=8, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_make_gives_an_env_that_plays(env_id, options, render_mode):
    env = gymnasium.make(
        f"envs:{env_id}", halt_max_steps=2, segment_cost=0.25, render_mode=render_mode, **options
    )
    _, info = env.reset(seed=1)
    assert info["level"] == env.unwrapped.task.levels.index(options["level"])
    assert env.step({"answer": info["solution"], "halt": 0})[1:4] == (-0.25, False, False)
    assert env.step({"answer": info["solution"], "halt": 1})[1:4] == (1.0, True, False)
    assert isinstance(env.render(), str if render_mode == "ansi" else np.ndarray)
    env.close()


def test_make_vec_gives_a_vector_env_with_a_mixture_of_levels(env_id, options, task):
    weights = {task.levels[0]: 1, task.levels[1]: 3}
    env = gymnasium.make_vec(env_id, num_envs=40, halt_max_steps=3, **{**options, "level": weights})
    assert isinstance(env, ActVectorEnv)
    observations, infos = env.reset(seed=5)
    assert observations in env.observation_space
    assert set(infos["level"]) == {0, 1}
    observations, *_ = env.step(env.action_space.sample())
    assert observations in env.observation_space
    again = gymnasium.make_vec(env_id, num_envs=40, halt_max_steps=3, **{**options, "level": weights})
    assert data_equivalence(again.reset(seed=5)[1], infos, exact=True)
    env.close()
    again.close()


def test_an_env_without_a_level_is_easy_or_of_the_first_level(env_id, case, task):
    """Patterns and texts have no level of that name."""
    arguments = case[2] | {"level": "easy" if "easy" in task.levels else task.levels[0]}
    plain, named = (gymnasium.make(env_id, **kinds) for kinds in (case[2], arguments))
    assert (plain.reset(seed=5)[0]["puzzle"] == named.reset(seed=5)[0]["puzzle"]).all()


def test_make_refuses_an_unknown_option(env_id):
    with pytest.raises(ValueError, match="unknown option"):
        gymnasium.make(env_id, colour="blue")


# The rules of an episode


@pytest.fixture
def env(task, pool):
    return ActEnv(task, PoolSource(task, pool, seed=0), halt_max_steps=3, segment_cost=0.1)


@pytest.mark.parametrize(
    ("right", "halts", "rewards", "ends"),
    [
        (True, [0, 1], [-0.1, 1.0], (True, False)),
        (False, [0, 1], [-0.1, 0.0], (True, False)),
        (True, [0, 0, 0], [-0.1, -0.1, 1.0], (False, True)),
        (False, [0, 0, 0], [-0.1, -0.1, 0.0], (False, True)),
        (True, [0, 0, 1], [-0.1, -0.1, 1.0], (True, False)),
    ],
    ids=["halt right", "halt wrong", "budget right", "budget wrong", "halt at the budget"],
)
def test_rewards_and_ends(env, right, halts, rewards, ends):
    observation, info = env.reset()
    assert observation["segment"] == 0
    answer = info["solution"] if right else wrong(info["solution"])
    for segment, halt in enumerate(halts, 1):
        observation, reward, terminated, truncated, info = env.step({"answer": answer, "halt": halt})
        assert reward == rewards[segment - 1]
        assert observation["segment"] == segment
        assert info["solved"] is right
        assert (terminated, truncated) == (ends if segment == len(halts) else (False, False))


def test_a_budget_of_one_ends_every_step(task, pool):
    env = ActVectorEnv(task, PoolSource(task, pool, seed=0), SLOTS, halt_max_steps=1)
    _, infos = env.reset()
    _, reward, terminated, truncated, infos = env.step(
        {"answer": infos["solution"], "halt": np.array([0, 1, 0, 1, 0])}
    )
    assert reward.tolist() == [1.0] * SLOTS
    assert terminated.tolist() == [False, True, False, True, False]
    assert (terminated ^ truncated).all()
    assert "solved" not in infos
    assert infos["final_info"]["solved"].all()


def test_the_solution_is_never_observed(env):
    observation, info = env.reset()
    assert set(observation) == {"puzzle", "segment"}
    unknown = env.task.unknown(observation["puzzle"][None])[0]
    assert unknown.any()
    assert (observation["puzzle"][~unknown] == info["solution"][~unknown]).all()
    assert (observation["puzzle"][unknown] != info["solution"][unknown]).any()


def test_a_seed_restarts_the_stream_and_no_seed_goes_on(env):
    first, second = env.reset(seed=3)[0], env.reset()[0]
    assert data_equivalence(env.reset(seed=3)[0], first)
    assert data_equivalence(env.reset()[0], second)


def test_a_step_needs_a_reset_before_and_after_an_episode(env, pool):
    action = {"answer": pool.solution[0], "halt": 1}
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(action)
    env.reset()
    env.step(action)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(action)


# B slots are B environments


def test_slots_equal_single_envs_step_for_step(task, pool):
    """Everything, infos, final observations and pictures included, equals Gymnasium's SyncVectorEnv over
    single environments that draw from one source."""
    shared = PoolSource(task, pool, seed=7, augment=True)
    sync = SyncVectorEnv(
        [lambda: ActEnv(task, shared, BUDGET, 0.125, "ansi")] * SLOTS, autoreset_mode=AutoresetMode.SAME_STEP
    )
    vector = ActVectorEnv(task, PoolSource(task, pool, 7, augment=True), SLOTS, BUDGET, 0.125, "ansi")
    assert sync.observation_space == vector.observation_space
    assert sync.action_space == vector.action_space
    expected, found = sync.reset(), vector.reset()
    assert data_equivalence(expected, found, exact=True)
    rng = np.random.default_rng(0)
    ended, rewarded = 0, 0.0
    for _ in range(60):
        action = policy(rng, found[-1]["solution"], task.vocab_size)
        expected, found = sync.step(action), vector.step(action)
        assert data_equivalence(expected, found, exact=True)
        assert sync.render() == vector.render()
        ended += int((found[2] | found[3]).sum())
        rewarded += float(found[1][found[2] | found[3]].sum())
    assert ended > 60
    assert 0 < rewarded < ended


def test_episode_statistics_are_right(task, pool):
    env = RecordEpisodeStatistics(ActVectorEnv(task, PoolSource(task, pool, 1), SLOTS, BUDGET, 0.5))
    _, infos = env.reset()
    rng = np.random.default_rng(1)
    returns, lengths = np.zeros(SLOTS), np.zeros(SLOTS, int)
    for _ in range(40):
        _, reward, terminated, truncated, infos = env.step(policy(rng, infos["solution"], task.vocab_size))
        returns += reward
        lengths += 1
        done = terminated | truncated
        if done.any():
            assert (infos["_episode"] == done).all()
            assert infos["episode"]["r"][done] == pytest.approx(returns[done])
            assert (infos["episode"]["l"][done] == lengths[done]).all()
            assert (infos["final_obs"][np.argmax(done)]["segment"] == lengths[done][0]).all()
        returns[done], lengths[done] = 0, 0


def test_finished_slots_are_filled_in_order_by_one_draw(task, pool):
    drawn = []

    class Recording(ActVectorEnv):
        def _draw(self, slots):
            drawn.append(slots.tolist())
            return super()._draw(slots)

    env = Recording(task, PoolSource(task, pool, seed=0), SLOTS, BUDGET)
    observations, infos = env.reset()
    reference = PoolSource(task, pool, seed=0)
    assert (observations["puzzle"] == reference.draw(SLOTS).inputs).all()
    observations, *_ = env.step({"answer": infos["solution"], "halt": np.array([0, 1, 0, 1, 1])})
    assert (observations["puzzle"][[1, 3, 4]] == reference.draw(3).inputs).all()
    assert observations["segment"].tolist() == [1, 0, 1, 0, 0]
    env.step({"answer": infos["solution"], "halt": np.zeros(SLOTS, int)})
    assert drawn == [[0, 1, 2, 3, 4], [1, 3, 4]]


def test_no_array_is_returned_twice(task, pool):
    env = ActVectorEnv(task, PoolSource(task, pool, seed=0), SLOTS, BUDGET)
    rng = np.random.default_rng(2)
    results = [env.reset()]
    for _ in range(6):
        results.append(env.step(policy(rng, results[-1][-1]["solution"], task.vocab_size)))
    results.append((*env.current(), env.state_arrays()))
    for one, other in combinations([(r[0], r[-1]) for r in results], 2):
        assert not data_shares_objects(one, other)
    held = env.state_arrays()
    for result in results:
        for part in (result[0], result[-1], result[-1].get("final_info", {})):
            for value in part.values():
                if isinstance(value, np.ndarray) and value.dtype != object:
                    value[...] = 0
    assert data_equivalence(env.state_arrays(), held)


def test_slots_go_on_from_saved_arrays(task, pool):
    source = PoolSource(task, pool, seed=4, augment=True)
    env = ActVectorEnv(task, source, SLOTS, BUDGET)
    rng = np.random.default_rng(3)
    infos = env.reset()[1]
    for _ in range(5):
        infos = env.step(policy(rng, infos["solution"], task.vocab_size))[-1]
    arrays, state = env.state_arrays(), source.state_dict()

    resumed_source = PoolSource(task, pool, seed=99, augment=True)
    resumed = ActVectorEnv(task, resumed_source, SLOTS, BUDGET)
    resumed_source.load_state_dict(state)
    resumed.load_state_arrays(arrays)
    assert data_equivalence(resumed.current(), env.current(), exact=True)
    for _ in range(10):
        action = policy(rng, env.current()[1]["solution"], task.vocab_size)
        assert data_equivalence(env.step(action), resumed.step(action), exact=True)


def test_current_after_a_reset_is_what_reset_returned(task, pool):
    env = ActVectorEnv(task, PoolSource(task, pool, seed=0), SLOTS, BUDGET)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.current()
    assert data_equivalence(env.reset(), env.current(), exact=True)


# User errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"halt_max_steps": 0}, "halt_max_steps is 0"),
        ({"segment_cost": -0.1}, "segment_cost is -0.1"),
        ({"segment_cost": float("nan")}, "segment_cost is nan"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
        ({"num_envs": 0}, "num_envs is 0"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(task, pool, arguments, message):
    defaults = {"num_envs": 2, "halt_max_steps": 3}
    with pytest.raises(ValueError, match=message) as refusal:
        ActVectorEnv(task, PoolSource(task, pool, seed=0), **{**defaults, **arguments})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": np.zeros((2, 3), int)}, "answer has shape"),
        ({"halt": np.zeros(3, int)}, "halt has shape"),
        ({"halt": np.full(2, 2)}, "halt holds 2..2"),
        ({"answer": 999}, "answer holds tokens 999..999"),
        ({"answer": -1}, "answer holds tokens -1..-1"),
        ({"answer": 0.5}, "must be integers"),
    ],
)
def test_wrong_actions_are_refused(task, pool, change, message):
    env = ActVectorEnv(task, PoolSource(task, pool, seed=0), 2, 3)
    env.reset()
    action = {"answer": np.ones((2, pool.inputs.shape[1]), int), "halt": np.zeros(2, int)}
    for key, value in change.items():
        action[key] = np.full(action[key].shape, value) if np.isscalar(value) else value
    with pytest.raises(ValueError, match=message):
        env.step(action)


def test_reset_has_no_options(env):
    with pytest.raises(ValueError, match="no options"):
        env.reset(options={"level": "hard"})


def test_saved_arrays_of_another_env_are_refused(task, pool):
    env = ActVectorEnv(task, PoolSource(task, pool, seed=0), 2, 3)
    env.reset()
    arrays = env.state_arrays()
    with pytest.raises(ValueError, match="saved inputs has shape"):
        ActVectorEnv(task, PoolSource(task, pool, seed=0), 3, 3).load_state_arrays(arrays)
    del arrays["segment"]
    with pytest.raises(ValueError, match="expected inputs"):
        env.load_state_arrays(arrays)


def test_render_without_a_mode_says_what_is_missing(env):
    env.reset()
    with pytest.raises(ValueError, match="needs a render_mode"):
        env.render()


def test_closing_an_env_closes_its_source(task):
    source = GeneratedSource(task, task.levels[0], seed=0)
    env = ActVectorEnv(task, source, 2, 3)
    env.reset()
    env.close()
    env.close()
    with pytest.raises(RuntimeError, match="closed"):
        source.draw(1)


# Names


def test_unknown_names_are_answered_with_the_nearest_known_one():
    with pytest.raises(envs.UserError, match="did you mean 'sudoku'"):
        envs.make_task("sodoku")
    with pytest.raises(envs.UserError, match="did you mean 'min_guesses'"):
        envs.make_task("sudoku", min_guess=3)
    known = ", ".join(envs.TASKS)
    with pytest.raises(envs.UserError, match=rf"\(tasks: {known}\)"):
        envs.make_task("chess")
