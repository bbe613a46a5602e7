"""SearchEnv and SearchVectorEnv: Gymnasium's contract, what assumptions and starts over do, and that an
episode without either is one of ActEnv."""

from __future__ import annotations

import warnings
from itertools import combinations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.utils.passive_env_checker import data_shares_objects
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs
from envs import ActEnv, ActVectorEnv, Choice, PoolSource, SearchEnv, SearchVectorEnv
from envs.drawing import DIM
from tests.envs.conftest import SEARCHED
from tests.helpers.paths import ROOT

SLOTS = 5
BUDGET = 6


@pytest.fixture(params=SEARCHED)
def case(request):
    return request.param


@pytest.fixture
def search_id(env_id) -> str:
    return env_id.replace("-v0", "-search-v0")


@pytest.fixture
def env(task, pool):
    return SearchEnv(task, PoolSource(task, pool, seed=0), budget=BUDGET, segment_cost=0.1)


def some_right(task, observation, info, count):
    """Up to `count` blanks of one board (L,) with what the solution has there, 0 elsewhere."""
    board, solution = observation["board"], info["solution"]
    open_cells = task.unknown(board[None])[0] & np.isin(solution, task.assumable)
    assume = np.zeros_like(solution)
    cells = np.flatnonzero(open_cells)[:count]
    assume[cells] = solution[cells]
    return assume


def contradiction(task, observation, info):
    """What to assume (L,) so that the board contradicts itself: a digit twice, or marks everywhere."""
    unknown = task.unknown(observation["board"][None])[0]
    token = task.assumable[-1]
    assume = np.where(unknown, token, 0).astype(np.uint8)
    assert task.contradicts(np.where(unknown, assume, observation["board"])[None])[0]
    return assume


def wrong_but_plausible(task, board, solution):
    """The solution (L,) with a wrong digit in a blank that does not contradict the board, or None."""
    for cell in np.flatnonzero(task.unknown(board[None])[0]):
        here = np.arange(task.length) == cell
        for token in task.assumable:
            if token != solution[cell] and not task.contradicts(np.where(here, token, board)[None])[0]:
                return np.where(here, token, solution)
    return None


def move(info, choice=Choice.CONTINUE, assume=None):
    nothing = np.zeros_like(info["solution"])
    return {"answer": info["solution"], "assume": nothing if assume is None else assume, "choice": choice}


def policy(rng, task, observations, infos):
    """Actions for slots (B, L): a fifth of the answers right, assumptions mostly so, every choice."""
    solution = infos["solution"]
    noise = rng.integers(0, task.vocab_size, solution.shape)
    answer = np.where(rng.random((len(solution), 1)) < 0.2, solution, noise)
    tokens = np.where(rng.random((len(solution), 1)) < 0.7, solution, noise)
    assume = np.where(rng.random(solution.shape) < 0.2 * rng.random((len(solution), 1)), tokens, 0)
    choice = rng.choice([0, 1, 2], len(solution), p=[0.8, 0.1, 0.1])
    return {"answer": answer, "assume": assume, "choice": choice}


# Gymnasium's contract


def test_check_env_passes_without_a_warning(search_id, options):
    env = gymnasium.make(search_id, budget=8, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_make_gives_an_env_that_plays(search_id, options, render_mode):
    env = gymnasium.make(f"envs:{search_id}", budget=2, segment_cost=0.25, render_mode=render_mode, **options)
    _, info = env.reset(seed=1)
    assert info["level"] == env.unwrapped.task.levels.index(options["level"])
    assert env.step(move(info))[1:4] == (-0.25, False, False)
    assert env.step(move(info, Choice.HAND_IN))[1:4] == (1.0, True, False)
    assert isinstance(env.render(), str if render_mode == "ansi" else np.ndarray)
    env.close()


def test_make_vec_gives_a_vector_env(search_id, options):
    env = gymnasium.make_vec(search_id, num_envs=3, budget=2, **options)
    assert isinstance(env, SearchVectorEnv)
    observations, infos = env.reset(seed=5)
    assert observations in env.observation_space
    again = gymnasium.make_vec(search_id, num_envs=3, budget=2, **options)
    assert data_equivalence(again.reset(seed=5)[1], infos, exact=True)
    for _ in range(4):
        assert env.step(env.action_space.sample())[0] in env.observation_space
    env.close()
    again.close()


# What the choices do


def test_assumptions_stand_on_the_board_and_add_up(env):
    observation, info = env.reset()
    assert (observation["board"] == observation["puzzle"]).all()
    assert not observation["assumed"].any()
    expected = observation["puzzle"].copy()
    for segment in (1, 2):
        assume = some_right(env.task, observation, info, 2)
        expected = np.where(assume > 0, assume, expected)
        observation, reward, terminated, truncated, info = env.step(move(info, assume=assume))
        assert (observation["board"] == expected).all()
        assert (observation["assumed"] == (expected != observation["puzzle"])).all()
        assert (observation["chain"], observation["segment"]) == (segment, segment)
        assert observation["segments_left"] == BUDGET - segment
        assert (reward, terminated, truncated) == (-0.1, False, False)
        assert info["solved"]
        assert not info["contradicted"]
    assert observation["assumed"].sum() >= 2


def test_starting_over_drops_all_assumptions_and_keeps_the_budget(env):
    observation, info = env.reset()
    assume = some_right(env.task, observation, info, 2)
    observation, *_, info = env.step(move(info, assume=assume))
    observation, reward, *_, info = env.step(move(info, Choice.START_OVER, assume))
    assert (observation["board"] == observation["puzzle"]).all()
    assert (observation["chain"], observation["segment"]) == (0, 2)
    assert observation["segments_left"] == BUDGET - 2
    assert reward == -0.1
    assert not info["contradicted"]


def test_a_board_that_contradicts_itself_is_dropped(env):
    observation, info = env.reset()
    observation, reward, *_, info = env.step(move(info, assume=contradiction(env.task, observation, info)))
    assert info["contradicted"]
    assert (observation["board"] == observation["puzzle"]).all()
    assert (observation["chain"], observation["segment"], reward) == (0, 1, -0.1)
    observation, *_, info = env.step(move(info))
    assert not info["contradicted"]
    assert observation["chain"] == 1


def test_only_assumable_tokens_in_blank_cells_are_written(task, pool):
    env = SearchEnv(task, PoolSource(task, pool, seed=0), budget=100)
    observation, info = env.reset()
    observation, *_, info = env.step(move(info, assume=some_right(task, observation, info, 1)))
    board = observation["board"]
    blank = task.unknown(board[None])[0]
    for token in range(task.vocab_size):
        over = np.where(blank, 0, token)  # what is given and what is assumed already
        foreign = np.where(blank, token if token not in task.assumable else 0, 0)
        for assume in (over, foreign):
            observation, *_, info = env.step(move(info, assume=assume))
            assert (observation["board"] == board).all()
            assert not info["contradicted"]


def test_the_last_segment_hands_the_answer_in_and_assumes_nothing(task, pool):
    for choice in (Choice.CONTINUE, Choice.START_OVER):
        env = SearchEnv(task, PoolSource(task, pool, seed=0), budget=2, segment_cost=0.1)
        observation, info = env.reset()
        observation, *_, info = env.step(move(info, assume=some_right(task, observation, info, 1)))
        board = observation["board"]
        bad = contradiction(task, observation, info)
        observation, reward, terminated, truncated, info = env.step(move(info, choice, bad))
        assert (reward, terminated, truncated) == (1.0, False, True)
        assert (observation["board"] == board).all()
        assert (observation["chain"], observation["segments_left"]) == (2, 0)
        assert not info["contradicted"]


def test_the_rule_judges_the_answer_by_the_puzzle_and_not_by_the_board(env):
    """A wrong answer on a wrong assumption earns nothing, a right one on it is right."""
    task, wrong = env.task, None
    while wrong is None:
        observation, info = env.reset()
        wrong = wrong_but_plausible(task, observation["board"], info["solution"])
    solution = info["solution"]
    observation, *_, info = env.step(move(info, assume=np.where(wrong != solution, wrong, 0)))
    assert observation["assumed"].sum() == 1
    *_, info = env.step({**move(info), "answer": wrong})
    assert not info["solved"]
    assert env.step(move(info, Choice.HAND_IN))[1] == 1.0


def test_the_solution_is_never_observed(env):
    observation, info = env.reset()
    assert set(observation) == {"puzzle", "board", "assumed", "chain", "segment", "segments_left"}
    for key in ("puzzle", "board"):
        unknown = env.task.unknown(observation[key][None])[0]
        assert (observation[key][unknown] != info["solution"][unknown]).any()


def test_the_picture_shows_what_is_assumed(task, pool):
    env = SearchEnv(task, PoolSource(task, pool, seed=0), BUDGET, render_mode="ansi")
    observation, info = env.reset()
    assert DIM not in env.render()
    observation, *_, info = env.step(move(info, assume=some_right(task, observation, info, 2)))
    assert env.render().count(DIM) == observation["assumed"].sum() > 0
    env.step(move(info, Choice.START_OVER))
    assert DIM not in env.render()


# Without assumptions it is ActEnv


def test_without_assumptions_and_starts_over_it_is_act_env_step_for_step(task, pool):
    act = ActVectorEnv(task, PoolSource(task, pool, 7, augment=True), SLOTS, BUDGET, 0.125)
    search = SearchVectorEnv(task, PoolSource(task, pool, 7, augment=True), SLOTS, BUDGET, 0.125)
    one_act = ActEnv(task, PoolSource(task, pool, 7), BUDGET, 0.125)
    one_search = SearchEnv(task, PoolSource(task, pool, 7), BUDGET, 0.125)
    rng = np.random.default_rng(0)
    (left, left_infos), (right, right_infos) = act.reset(), search.reset()
    one_act.reset()
    one_search.reset()
    for _ in range(60):
        solution = left_infos["solution"]
        answer = np.where(
            rng.random((SLOTS, 1)) < 0.5, solution, rng.integers(0, task.vocab_size, solution.shape)
        )
        halt = (rng.random(SLOTS) < 1 / 3) * 1
        left, *left_ends, left_infos = act.step({"answer": answer, "halt": halt})
        right, *right_ends, right_infos = search.step(
            {"answer": answer, "assume": np.zeros_like(answer), "choice": halt}
        )
        assert data_equivalence(left_ends, right_ends, exact=True)
        assert data_equivalence(left, {key: right[key] for key in left}, exact=True)
        assert (right["board"] == right["puzzle"]).all()
        assert (right["chain"] == right["segment"]).all()
        for infos in (right_infos, right_infos.get("final_info", {})):
            for key in ("contradicted", "_contradicted"):
                infos.pop(key, None)
        for infos in (left_infos, right_infos):
            infos.pop("final_obs", None)
        assert data_equivalence(left_infos, right_infos, exact=True)

        ends = one_act.step({"answer": answer[0], "halt": halt[0]})[1:4]
        nothing = np.zeros_like(answer[0])
        assert one_search.step({"answer": answer[0], "assume": nothing, "choice": halt[0]})[1:4] == ends
        if ends[1] or ends[2]:
            assert data_equivalence(one_act.reset()[1], one_search.reset()[1], exact=True)


# B slots are B environments


def test_slots_equal_single_envs_step_for_step(task, pool):
    """Everything, infos, final observations and pictures included, equals Gymnasium's SyncVectorEnv over
    single environments that draw from one source."""
    shared = PoolSource(task, pool, seed=7, augment=True)
    sync = SyncVectorEnv(
        [lambda: SearchEnv(task, shared, BUDGET, 0.125, "ansi")] * SLOTS,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    vector = SearchVectorEnv(task, PoolSource(task, pool, 7, augment=True), SLOTS, BUDGET, 0.125, "ansi")
    assert sync.observation_space == vector.observation_space
    assert sync.action_space == vector.action_space
    expected, found = sync.reset(), vector.reset()
    assert data_equivalence(expected, found, exact=True)
    rng = np.random.default_rng(0)
    seen = dict.fromkeys(("ended", "contradicted", "assumed", "rewarded"), 0)
    for _ in range(100):
        action = policy(rng, task, found[0], found[-1])
        expected, found = sync.step(action), vector.step(action)
        assert data_equivalence(expected, found, exact=True)
        assert sync.render() == vector.render()
        done = found[2] | found[3]
        seen["ended"] += int(done.sum())
        seen["rewarded"] += int(found[1][done].sum())
        seen["contradicted"] += int(found[-1].get("contradicted", np.zeros(1)).sum())
        seen["assumed"] += int(found[0]["assumed"].any(axis=1).sum())
    assert min(seen.values()) > 5, seen


def test_no_array_is_returned_twice(task, pool):
    env = SearchVectorEnv(task, PoolSource(task, pool, seed=0), SLOTS, BUDGET)
    rng = np.random.default_rng(2)
    results = [env.reset()]
    for _ in range(6):
        results.append(env.step(policy(rng, task, results[-1][0], results[-1][-1])))
    results.append((*env.current(), env.state_arrays()))
    for one, other in combinations([(r[0], r[-1]) for r in results], 2):
        assert not data_shares_objects(one, other)
    held = env.state_arrays()
    for observations, *_, infos in results:
        for part in (observations, infos, infos.get("final_info", {})):
            for value in part.values():
                if isinstance(value, np.ndarray) and value.dtype != object:
                    value[...] = 0
    assert data_equivalence(env.state_arrays(), held)


def test_slots_go_on_from_saved_arrays_with_their_assumptions(task, pool):
    source = PoolSource(task, pool, seed=4, augment=True)
    env = SearchVectorEnv(task, source, SLOTS, BUDGET)
    rng = np.random.default_rng(3)
    observations, infos = env.reset()
    while observations["assumed"].any(axis=1).sum() < 2:
        observations, *_, infos = env.step(policy(rng, task, observations, infos))
    arrays, state = env.state_arrays(), source.state_dict()

    resumed_source = PoolSource(task, pool, seed=99, augment=True)
    resumed = SearchVectorEnv(task, resumed_source, SLOTS, BUDGET)
    resumed_source.load_state_dict(state)
    resumed.load_state_arrays(arrays)
    assert data_equivalence(resumed.current(), env.current(), exact=True)
    for _ in range(10):
        action = policy(rng, task, *env.current())
        assert data_equivalence(env.step(action), resumed.step(action), exact=True)


def test_the_same_seed_gives_the_same_episode(task, pool):
    def play():
        env = SearchVectorEnv(task, PoolSource(task, pool, seed=11), SLOTS, BUDGET)
        rng = np.random.default_rng(5)
        results = [env.reset(seed=3)]
        for _ in range(10):
            results.append(env.step(policy(rng, task, results[-1][0], results[-1][-1])))
        return results

    assert data_equivalence(play(), play(), exact=True)


# User errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "budget is 0"),
        ({"segment_cost": -0.1}, "segment_cost is -0.1"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
        ({"num_envs": 0}, "num_envs is 0"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(task, pool, arguments, message):
    defaults = {"num_envs": 2, "budget": 3}
    with pytest.raises(ValueError, match=message) as refusal:
        SearchVectorEnv(task, PoolSource(task, pool, seed=0), **{**defaults, **arguments})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": np.zeros((2, 3), int)}, "answer has shape"),
        ({"assume": np.zeros((2, 3), int)}, "assume has shape"),
        ({"assume": 99}, "assume holds tokens 99..99"),
        ({"assume": 0.5}, "assume is float64"),
        ({"choice": np.zeros(3, int)}, "choice has shape"),
        ({"choice": 3}, r"choice holds 3..3; it must be 0 \(continue\), 1 \(hand in\), 2 \(start over\)"),
    ],
)
def test_wrong_actions_are_refused(task, pool, change, message):
    env = SearchVectorEnv(task, PoolSource(task, pool, seed=0), 2, 3)
    env.reset()
    zeros = np.zeros((2, task.length), int)
    action = {"answer": zeros, "assume": zeros, "choice": np.zeros(2, int)}
    for key, value in change.items():
        action[key] = np.full(action[key].shape, value) if np.isscalar(value) else value
    with pytest.raises(ValueError, match=message):
        env.step(action)


def test_an_id_of_a_task_that_cannot_be_searched_is_refused_when_it_is_made(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples" / "own_task")
    envs.register_task("unsearchable", "parity:ParityTask")
    gymnasium.make("hrm_rl/Unsearchable-v0", level="short").close()
    with pytest.raises(envs.UserError, match="parity cannot be searched"):
        gymnasium.make("hrm_rl/Unsearchable-search-v0", level="short")
