"""Sources: the stream depends on seed and rank alone, not on draws, threads or interruptions."""

from __future__ import annotations

import json
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import GeneratedSource, MixedSource, PoolSource, PuzzleBatch, fingerprint, make_task

PROPERTY = settings(max_examples=15, deadline=None, derandomize=True)
TASK = make_task("sudoku", size=4)
POOL = TASK.generate("easy", 37, np.random.default_rng(0))
LEVELS = ("easy", "medium", "hard")


class LateTask:
    """TASK, but blocks take odd times to make."""

    def __init__(self) -> None:
        self.made = 0

    def __getattr__(self, name):
        return getattr(TASK, name)

    def generate(self, level, count, rng, held_out=False):
        self.made += 1
        time.sleep([0.0, 0.01, 0.003][self.made % 3])
        return TASK.generate(level, count, rng, held_out)


class BrokenTask(LateTask):
    def generate(self, level, count, rng, held_out=False):
        raise ValueError("no such puzzle")


def generated(seed=0, rank=0, task=TASK, level="easy", **options):
    return GeneratedSource(task, level, seed, rank, block_size=48, **options)


def mixed(seed=0, rank=0, task=TASK, weights=None):
    children = {level: generated(seed, rank, task, level) for level in LEVELS}
    return MixedSource(children, weights or {"easy": 1, "hard": 3}, seed, rank)


SOURCES = {
    "generated": generated,
    "pool": lambda seed=0, rank=0: PoolSource(TASK, POOL, seed, rank, world_size=2),
    "augmented pool": lambda seed=0, rank=0: PoolSource(TASK, POOL, seed, rank, world_size=2, augment=True),
    "mixed": mixed,
}


def draw_all(source, counts) -> PuzzleBatch:
    return PuzzleBatch.concatenate([source.draw(count) for count in counts])


def same(one: PuzzleBatch, other: PuzzleBatch) -> bool:
    return all((getattr(one, field) == getattr(other, field)).all() for field in vars(one))


parts = st.lists(st.integers(1, 60), min_size=1, max_size=6)
every_source = pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)


@every_source
@PROPERTY
@given(counts=parts, seed=st.integers(0, 3))
def test_any_partition_of_draws_gives_the_same_stream(make, counts, seed):
    assert same(draw_all(make(seed), counts), make(seed).draw(sum(counts)))


@every_source
@PROPERTY
@given(before=parts, after=parts)
def test_a_stream_goes_on_from_its_saved_state(make, before, after):
    source = make(1)
    draw_all(source, before)
    state = json.loads(json.dumps(source.state_dict()))
    resumed = make(2)
    resumed.draw(5)
    resumed.load_state_dict(state)
    assert same(draw_all(source, after), draw_all(resumed, after))


@every_source
def test_reseeding_starts_the_stream_of_that_seed(make):
    source = make(1)
    source.draw(10)
    source.reseed(2)
    assert same(source.draw(100), make(2).draw(100))


@every_source
def test_seeds_and_ranks_give_different_streams(make):
    streams = [make(seed, rank).draw(30).inputs.tobytes() for seed in (0, 1) for rank in (0, 1)]
    assert len(set(streams)) == 4


@every_source
@pytest.mark.parametrize("count", [0, -1])
def test_a_draw_asks_for_at_least_one_puzzle(make, count):
    with pytest.raises(ValueError, match="draw at least 1"):
        make().draw(count)


@every_source
def test_negative_seeds_are_refused(make):
    with pytest.raises(ValueError, match="negative"):
        make(-1)
    with pytest.raises(ValueError, match="negative"):
        make().reseed(-1)


@pytest.mark.parametrize("make", [generated, mixed])
def test_the_stream_does_not_depend_on_the_speed_of_the_thread(make):
    late = make(task=LateTask())
    assert same(draw_all(late, [7] * 30), make().draw(210))
    late.close()


def test_the_two_parts_of_a_task_are_different_streams():
    assert not same(generated(held_out=True).draw(20), generated(held_out=False).draw(20))


def test_a_failure_in_the_thread_surfaces_in_every_draw():
    source = generated(task=BrokenTask())
    for _ in range(2):
        with pytest.raises(ValueError, match="no such puzzle"):
            source.draw(1)


def test_excluded_puzzles_never_occur_and_the_others_keep_their_order():
    free = generated().draw(400)
    excluded = fingerprint(free.inputs[::3])
    drawn = generated(exclude=excluded).draw(200)
    kept = free.take(~np.isin(fingerprint(free.inputs), excluded))
    assert same(drawn, kept.take(slice(0, 200)))


def test_a_level_that_is_excluded_whole_is_an_error():
    class OnePuzzle(LateTask):
        def generate(self, level, count, rng, held_out=False):
            return POOL.take(np.zeros(count, int))

    source = GeneratedSource(OnePuzzle(), "easy", 0, exclude=fingerprint(POOL.inputs[:1]), block_size=4)
    with pytest.raises(ValueError, match="held only excluded"):
        source.draw(1)


def test_waiting_is_counted_and_summed():
    source = mixed(task=LateTask())
    source.draw(64)
    assert source.data_wait_seconds > 0
    assert source.data_wait_seconds == sum(child.data_wait_seconds for child in source.children.values())
    source.close()


@pytest.mark.parametrize("make", [generated, mixed])
def test_a_closed_source_refuses_to_draw(make):
    source = make()
    source.draw(3)
    source.close()
    source.close()
    with pytest.raises(RuntimeError, match="closed"):
        source.draw(100)


def test_generated_source_refuses_wrong_arguments():
    with pytest.raises(ValueError, match="unknown level 'tricky'"):
        GeneratedSource(TASK, "tricky", 0)
    with pytest.raises(ValueError, match="at least 1"):
        GeneratedSource(TASK, "easy", 0, block_size=0)
    with pytest.raises(ValueError, match="unknown level 'hard'"):
        generated().set_level_weights({"hard": 1.0})
    generated().set_level_weights({"easy": 1.0})


# Pools


@PROPERTY
@given(world_size=st.integers(1, 6), seed=st.integers(0, 100))
def test_every_epoch_gives_each_puzzle_once_over_all_ranks(world_size, seed):
    shares = [len(range(rank, len(POOL), world_size)) for rank in range(world_size)]
    sources = [PoolSource(TASK, POOL, seed, rank, world_size) for rank in range(world_size)]
    epochs = []
    for _ in range(2):
        drawn = [source.draw(share) for source, share in zip(sources, shares, strict=True)]
        epochs.append(PuzzleBatch.concatenate(drawn).inputs)
    for epoch in epochs:
        assert sorted(map(bytes, epoch)) == sorted(map(bytes, POOL.inputs))
    assert not (epochs[0] == epochs[1]).all()


def test_an_augmented_pool_gives_its_puzzles_in_the_same_order_under_symmetries():
    plain, augmented = PoolSource(TASK, POOL, 0).draw(74), PoolSource(TASK, POOL, 0, augment=True).draw(74)
    assert (TASK.clues(plain.inputs) == TASK.clues(augmented.inputs)).all()
    assert TASK.solved(augmented.inputs, augmented.solution).all()
    assert not (augmented.inputs[:37] == augmented.inputs[37:]).all()
    assert (plain.inputs != augmented.inputs).any(axis=1).mean() > 0.9


def test_pools_refuse_wrong_arguments():
    with pytest.raises(ValueError, match="rank is 2"):
        PoolSource(TASK, POOL, 0, rank=2, world_size=2)
    with pytest.raises(ValueError, match="3 puzzles cannot be shared by 4 workers"):
        PoolSource(TASK, POOL.take(slice(0, 3)), 0, rank=0, world_size=4)
    with pytest.raises(ValueError, match="mix them with MixedSource"):
        PoolSource(TASK, POOL, 0).set_level_weights({"easy": 1})


# Mixtures


def test_levels_come_in_their_proportions_and_each_keeps_its_own_stream():
    drawn = mixed(weights={"easy": 1, "medium": 2, "hard": 7}).draw(2000)
    names = Counter(TASK.levels[level] for level in drawn.level)
    assert names["easy"] / 2000 == pytest.approx(0.1, abs=0.02)
    assert names["medium"] / 2000 == pytest.approx(0.2, abs=0.03)
    for level in LEVELS:
        of_level = drawn.take(drawn.level == TASK.levels.index(level))
        assert same(of_level, generated(level=level).draw(len(of_level)))


def test_a_level_without_weight_does_no_work():
    idle = LateTask()
    source = MixedSource(
        {"easy": generated(), "hard": generated(level="hard", task=idle)}, {"easy": 1, "hard": 0}, 0
    )
    source.draw(300)
    assert idle.made == 0
    source.set_level_weights({"hard": 0.5})
    assert set(source.draw(50).level) == {TASK.levels.index("hard")}
    assert idle.made > 0
    source.close()


def test_changed_weights_are_part_of_the_saved_state():
    source = mixed()
    source.draw(10)
    source.set_level_weights({"medium": 1, "easy": 1})
    resumed = mixed(seed=5)
    resumed.load_state_dict(json.loads(json.dumps(source.state_dict())))
    assert same(source.draw(50), resumed.draw(50))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"tricky": 1.0}, r"unknown level 'tricky' \(levels: easy, medium, hard"),
        ({"easy": -1.0, "hard": 2.0}, "weight of level 'easy' is -1.0"),
        ({"easy": float("nan")}, "weight of level 'easy' is nan"),
        ({"easy": 0.0}, "all level weights are 0"),
        ({}, "all level weights are 0"),
    ],
)
def test_wrong_weights_are_refused_and_change_nothing(weights, message):
    source = mixed()
    with pytest.raises(ValueError, match=message):
        source.set_level_weights(weights)
    assert same(source.draw(40), mixed().draw(40))


def test_a_state_of_other_levels_is_refused():
    other = MixedSource({"easy": generated()}, {"easy": 1}, 0)
    with pytest.raises(ValueError, match="saved source has levels easy"):
        mixed().load_state_dict(other.state_dict())


def test_fingerprints_tell_puzzles_apart():
    puzzles = np.unique(make_task("sudoku").generate("hard", 2000, np.random.default_rng(0)).inputs, axis=0)
    assert len(np.unique(fingerprint(puzzles))) == len(puzzles)
    assert (fingerprint(puzzles[5:9]) == fingerprint(puzzles)[5:9]).all()
