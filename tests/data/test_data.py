"""From a configuration to puzzles: nothing held out is trained on, and wrong data is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs import PoolSource, PuzzleBatch, fingerprint, make_task
from hrm_rl.config import Config, get_preset
from hrm_rl.data.builder import generate
from hrm_rl.data.held_out import generate_held_out, trained_levels
from hrm_rl.data.streams import Data, build_data
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import puzzles, tiny_config, write_csv

EASY, HARD = 1, 3
TASK = make_task("sudoku", size=4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """120 easy and 60 hard puzzles, and 20 of the easy ones again."""
    batch = PuzzleBatch.concatenate([puzzles(120, "easy"), puzzles(60, "hard"), puzzles(20, "easy")])
    return write_csv(tmp_path / "puzzles.csv", batch)


def keys(batch: PuzzleBatch) -> set[int]:
    return set(fingerprint(batch.inputs).tolist())


def build(rank: int = 0, world_size: int = 1, **changes: Any) -> Data:
    return build_data(tiny_config(**changes), rank, world_size)


def refusal(rank: int = 0, world_size: int = 1, **changes: Any) -> str:
    with pytest.raises(UserError) as refused:
        build(rank, world_size, **changes)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_generated_held_out_puzzles_never_appear_in_the_stream_of_any_rank() -> None:
    # 4x4 Sudokus with 4 or 5 clues are so few that 4,000 draws would hit some of 300.
    changes = {"curriculum": {"stages": ("extreme=1",)}, "data": {"eval_puzzles": 300}}
    for rank in (0, 1):
        data = build(rank, 2, **changes)
        assert not keys(data.held_out) & keys(data.source.draw(4000))
        data.source.close()


def test_without_the_exclusion_the_stream_would_have_met_held_out_puzzles() -> None:
    data = build(curriculum={"stages": ("extreme=1",)}, data={"eval_puzzles": 300})
    drawn = data.task.generate("extreme", 4000, np.random.default_rng(5))
    assert keys(data.held_out) & keys(drawn)


def test_twins_of_held_out_puzzles_are_kept_out_of_the_stream_where_that_is_asked_for() -> None:
    env = {"size": 6}
    changes = {"curriculum": {"stages": ("extreme=1",)}, "env": env}
    data = build(**changes, data={"eval_puzzles": 200, "exclude_twins": True})
    families = data.task.invariant(data.held_out.inputs)
    assert not np.isin(data.task.invariant(data.source.draw(3000).inputs), families).any()
    message = refusal(
        data={"eval_puzzles": 300, "exclude_twins": True}, curriculum={"stages": ("extreme=1",)}
    )
    assert "--data.no-exclude-twins" in message


def test_held_out_puzzles_of_a_file_are_never_trained_on_and_every_other_one_is(file: Path) -> None:
    data = build(data={"path": str(file), "augment": False}, curriculum={"stages": ("all=1",)})
    trained = data.source.draw(100)
    assert len(keys(trained)) == len(trained), "an epoch shows every puzzle once"
    held_out, seen = keys(data.held_out), keys(trained) | keys(data.source.draw(500))
    assert not held_out & seen
    assert len(held_out) == 8
    puzzles = data.task.read(file)
    families = TASK.invariant(puzzles.inputs)
    twins = np.isin(families, TASK.invariant(data.held_out.inputs))
    assert seen == keys(puzzles.take(~twins))


def test_at_most_a_tenth_of_a_file_is_held_out(file: Path) -> None:
    data = build(data={"path": str(file), "eval_puzzles": 500}, curriculum={"stages": ("all=1",)})
    families = np.unique(TASK.invariant(TASK.read(file).inputs))
    assert len(data.held_out) == len(families) // 10
    assert len(np.unique(TASK.invariant(data.held_out.inputs))) == len(data.held_out)


def test_held_out_file_is_excluded_from_generated_training(tmp_path: Path) -> None:
    held_out = puzzles(200, "extreme", seed=9)
    path = write_csv(tmp_path / "held_out.csv", held_out)
    data = build(data={"eval_path": str(path)}, curriculum={"stages": ("extreme=1",)})
    assert data.held_out.inputs.tolist() == held_out.inputs.tolist()
    assert not keys(data.held_out) & keys(data.source.draw(4000))


def test_all_workers_are_judged_on_the_same_puzzles_and_trained_on_their_own(file: Path) -> None:
    for changes in ({}, {"data": {"path": str(file), "augment": False}}):
        one, other = (build(rank, 2, **changes) for rank in (0, 1))
        assert one.held_out.inputs.tolist() == other.held_out.inputs.tolist()
        mine, theirs = keys(one.source.draw(50)), keys(other.source.draw(50))
        assert mine != theirs
        if changes:
            assert not mine & theirs, "a file is shared out"


def test_seed_decides_stream_and_held_out_puzzles() -> None:
    def content(config: Config) -> tuple[list, list]:
        data = build_data(config)
        return data.held_out.inputs.tolist(), data.source.draw(20).inputs.tolist()

    assert content(tiny_config(seed=4)) == content(tiny_config(seed=4))
    first, second = content(tiny_config(seed=4)), content(tiny_config(seed=5))
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_held_out_puzzles_are_shared_out_among_the_levels_of_all_stages() -> None:
    data = build(
        curriculum={"stages": ("easy=1", "easy=1,hard=3", "hard=1,extreme=0")}, data={"eval_puzzles": 41}
    )
    assert data.held_out.level.tolist() == [EASY] * 20 + [HARD] * 20
    assert trained_levels(tiny_config(curriculum={"stages": ("hard=1", "easy=1,extreme=0")})) == [
        "hard",
        "easy",
    ]


def test_held_out_puzzles_may_be_of_levels_that_are_not_trained_on(file: Path) -> None:
    data = build(
        curriculum={"stages": ("easy=1",)}, data={"eval_puzzles": 10, "eval_levels": ("hard", "easy", "hard")}
    )
    assert data.held_out.level.tolist() == [HARD] * 5 + [EASY] * 5
    assert set(data.source.draw(50).level) == {EASY}
    with pytest.raises(UserError, match="unknown level 'hrd'"):
        build(data={"eval_levels": ("hrd",)})
    for given in ("path", "eval_path"):
        with pytest.raises(UserError, match=r"data\.eval_levels=hard .* leave one of the two out"):
            build(data={given: str(file), "eval_levels": ("hard",)})


def test_held_out_puzzles_of_a_level_with_few_are_all_different() -> None:
    data = build(curriculum={"stages": ("extreme=1",)}, data={"eval_puzzles": 3000})
    assert len(keys(data.held_out)) == len(data.held_out) < 3000


def test_training_starts_with_the_levels_of_the_first_stage(file: Path) -> None:
    for source in ({}, {"path": str(file)}):
        data = build(data=source, curriculum={"stages": ("hard=1", "easy=1")})
        assert set(data.source.draw(50).level) == {HARD}
        data.source.set_level_weights({"easy": 1.0})
        assert set(data.source.draw(50).level) == {EASY}


def test_a_subset_of_a_file_has_that_many_puzzles_and_depends_on_the_seed(file: Path) -> None:
    def subset(seed: int) -> set[int]:
        config = tiny_config(seed=seed, data={"path": str(file), "augment": False, "max_puzzles": 30})
        return keys(build_data(config).source.draw(200))

    config = tiny_config(
        data={"path": str(file), "augment": False, "max_puzzles": 30}, curriculum={"stages": ("all=1",)}
    )
    assert len(keys(build_data(config).source.draw(200))) == 30
    assert subset(0) == subset(0) != subset(1)


def test_augmentation_shows_other_puzzles_than_those_of_the_file(file: Path) -> None:
    known = keys(TASK.read(file))
    plain = build(data={"path": str(file), "augment": False}).source.draw(100)
    augmented = build(data={"path": str(file), "augment": True}).source.draw(100)
    assert keys(plain) <= known
    assert len(keys(augmented) - known) > 50
    assert TASK.solved(augmented.inputs, augmented.solution).all()


def test_overlap_of_held_out_and_training_file_is_refused_with_its_size(file: Path, tmp_path: Path) -> None:
    held_out = PuzzleBatch.concatenate([puzzles(3, "easy"), puzzles(40, "medium", seed=8)])
    path = write_csv(tmp_path / "held_out.csv", held_out)
    message = refusal(data={"path": str(file), "eval_path": str(path)})
    assert message.startswith("3 of the 43 held-out puzzles of ")
    assert str(file) in message
    assert str(path) in message


def test_a_level_that_the_file_lacks_is_named_with_those_it_has(file: Path) -> None:
    message = refusal(data={"path": str(file)}, curriculum={"stages": ("easy=1", "medium=1")})
    assert "asks for level 'medium'" in message
    assert "it has easy, hard;" in message
    assert "'all' takes every puzzle alike" in message


@pytest.mark.parametrize("with_file", [False, True])
def test_an_unknown_level_is_refused_with_the_nearest_name(with_file: bool, tmp_path: Path) -> None:
    held_out = write_csv(tmp_path / "held_out.csv", puzzles(5))
    data = {"eval_path": str(held_out)} if with_file else {}
    message = refusal(data=data, curriculum={"stages": ("eassy=1",)})
    assert message.startswith("unknown level 'eassy'; did you mean 'easy'?")
    assert "very-easy, easy, medium, hard, extreme" in message


def test_a_preset_of_a_paper_asks_for_its_data() -> None:
    with pytest.raises(
        UserError, match=r"preset 'sudoku-extreme-1k' trains on given puzzles.*--data\.path FILE\.csv"
    ):
        build_data(get_preset("sudoku-extreme-1k"))


def test_every_puzzle_alike_needs_a_file() -> None:
    assert "stage 'all' needs a file of puzzles" in refusal(curriculum={"stages": ("all=1",)})


def test_fewer_puzzles_than_workers_is_refused(file: Path) -> None:
    message = refusal(0, 3, data={"path": str(file), "max_puzzles": 2}, curriculum={"stages": ("all=1",)})
    assert message.startswith("3 workers cannot share the 2 training puzzles")


def test_a_file_of_one_puzzle_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "one.csv", puzzles(1))
    assert "too few to train on and to hold one out" in refusal(data={"path": str(path)})


def test_a_missing_or_broken_file_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "no such file" in refusal(data={"path": str(tmp_path / "nowhere.csv")})
    assert "no such file" in refusal(data={"eval_path": str(tmp_path / "nowhere.csv")})
    broken = tmp_path / "broken.csv"
    broken.write_text("puzzle,solution\n1234\n")
    assert "line 2" in refusal(data={"path": str(broken)})


@pytest.mark.parametrize(
    ("env", "hint"),
    [
        ({"task": "soduku"}, "did you mean 'sudoku'"),
        ({"size": 5}, "one of 4, 6, 9"),
        ({"options": {"min_guess": 2}}, "did you mean 'min_guesses'"),
        ({"options": {"min_guesses": 40}}, "too few easy puzzles need 40 guesses"),
    ],
)
def test_a_wrong_task_is_refused_with_what_would_be_right(env: dict[str, Any], hint: str) -> None:
    assert hint in refusal(env=env)


def test_held_out_puzzles_are_a_function_of_task_levels_number_and_seed() -> None:
    one, other = (generate_held_out(TASK, ["easy", "hard"], 20, seed=3) for _ in range(2))
    assert one.inputs.tolist() == other.inputs.tolist()
    assert build(data={"eval_puzzles": 1}).held_out.level.tolist() == [EASY]


def test_puzzles_that_take_long_are_made_few_at_a_time_with_progress() -> None:
    task = make_task("sudoku", size=9, min_guesses=10)
    task.at_once = 8
    told: list[tuple[str, int, int]] = []
    found = generate_held_out(task, ["extreme"], 20, seed=3, progress=lambda *news: told.append(news))
    assert told == [("generating extreme held-out puzzles", done, 20) for done in (0, 8, 16)]
    assert len(found) == 20
    told.clear()
    base = generate(task, {"extreme": 1.0}, 10, 10, 0, lambda *news: told.append(news))
    assert [done for _, done, _ in told] == [8, 10, 8, 10]
    for batch in (base.test, base.train):
        assert len(batch) == 10
        assert task.guesses(batch.inputs).min() >= 10


def test_no_symmetry_leads_a_training_puzzle_to_a_held_out_one(tmp_path: Path) -> None:
    """The held-out puzzles here are symmetric to the training ones, so that augmentation would meet them."""
    task = make_task("sudoku", size=4)
    base = puzzles(4, "medium")
    rng = np.random.default_rng(0)
    images = PuzzleBatch.concatenate([task.augment(base, rng) for _ in range(300)])
    held_out = images.take(~np.isin(fingerprint(images.inputs), fingerprint(base.inputs)))
    source = PoolSource(task, base, seed=0, augment=True, exclude=fingerprint(held_out.inputs))
    unguarded = PoolSource(task, base, seed=0, augment=True)
    assert np.isin(fingerprint(unguarded.draw(400).inputs), fingerprint(held_out.inputs)).any()
    drawn = source.draw(400)
    assert not np.isin(fingerprint(drawn.inputs), fingerprint(held_out.inputs)).any()
    assert task.solved(drawn.inputs, drawn.solution).all()
