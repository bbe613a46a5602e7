"""Settings: typed, checked, documented, and the same after a round trip through YAML."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import hrm_rl.config
from hrm_rl.config import (
    PRESETS,
    RESUMABLE_FIELDS,
    Config,
    CurriculumConfig,
    ModelConfig,
    describe,
    differences,
    field_names,
    get_preset,
    load_config,
    parse_weights,
    validate,
)
from hrm_rl.utils.errors import UserError, nearest
from hrm_rl.utils.files import read_yaml
from tests.helpers.tiny import TINY, tiny_config


def changed(config: Config, field: str, value: Any) -> Config:
    """`config` with another value for `section.field`."""
    values = config.model_dump()
    section, _, name = field.rpartition(".")
    (values[section] if section else values)[name] = value
    return Config.model_validate(values)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_yaml_and_carries_its_name(name: str, tmp_path: Path) -> None:
    preset = get_preset(name)
    assert preset.preset == name
    assert load_config(write(tmp_path / "config.yaml", preset.to_yaml()), Config()) == preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_described_and_says_if_it_needs_puzzles(name: str) -> None:
    purpose, reaches = describe(name)
    assert purpose
    assert "\n" not in purpose + reaches
    assert ("--data.path" in purpose) == PRESETS[name].data.required


@given(
    st.builds(
        lambda lr, betas, path, options, stages: tiny_config(
            optim={"lr": lr, "betas": betas},
            data={"path": path},
            env={"options": options},
            curriculum={"stages": stages},
        ),
        st.floats(1e-9, 10),
        st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
        st.none() | st.text("abc/ #:'\"é\n", min_size=1),
        st.dictionaries(st.text("abc", min_size=1), st.integers() | st.booleans() | st.text("ab: #'")),
        st.lists(st.sampled_from(["easy=1", "easy=0.5,hard=0.5", "all=1"]), min_size=1).map(tuple),
    )
)
def test_any_settings_survive_yaml(config: Config) -> None:
    assert Config.model_validate(yaml.safe_load(config.to_yaml())) == config


def test_a_file_goes_over_its_base_field_by_field(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "seed: 7\noptim:\n  lr: 0.5\nenv: {options: {min_guesses: 1}}\n")
    loaded = load_config(file, TINY)
    expected = tiny_config(seed=7, optim={"lr": 0.5}, env={"options": {"min_guesses": 1}})
    assert loaded == expected


def one_line(action: Any, *args: Any) -> str:
    with pytest.raises(UserError) as refused:
        action(*args)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optim: {lrr: 1}", "unknown setting 'optim.lrr'; did you mean 'optim.lr'?"),
        ("optmi: {lr: 1}", "unknown section 'optmi'; did you mean 'optim'?"),
        ("optim.lr: 0.001", "'optim.lr': settings stand in their sections here; write 'optim: {lr: 0.001}'"),
        ("--optim.lr: 0.001", "write 'optim: {lr: 0.001}'"),
        ("optim.lrr: 0.001", "write 'optim: {lr: 0.001}'"),
        ("optim: {optim.lr: 0.001}", "write 'optim: {lr: 0.001}'"),
        (
            "model: {lr: 0.001}",
            "unknown setting 'model.lr': settings stand in their sections here; write 'optim",
        ),
        ("grad_clip: 1", "write 'optim: {grad_clip: 1}'"),
        ("grad-clip: 1", "write 'optim: {grad_clip: 1}'"),
        ("optim: {grad-clip: 1}", "unknown setting 'optim.grad-clip'; did you mean 'optim.grad_clip'?"),
        ("env.options: {min_guesses: 1}", "write 'env: {options: ...}'"),
        ("train: {seed: 3}", "write 'seed: 3, in no section'"),
        ("seed: 1\noptim: {lr: 1}\noptim: {name: muon}", "'optim' stands twice, in lines 2 and 3"),
        ("optim:\n  lr: 1\n  name: muon\n  lr: 2", "'lr' stands twice, in lines 2 and 4"),
        ("{seed: 1, seed: 2}", "'seed' stands twice, in line 1: YAML would keep the last alone"),
        ("optim: {lr: -1}", "optim.lr: Input should be greater than 0"),
        ("optim: {lr: .nan}", "optim.lr: Input should be"),
        ("optim: {lr: .inf}", "optim.lr: Input should be a finite number"),
        ("optim: {lr: fast}", "optim.lr: Input should be a valid number"),
        ("optim: {betas: [0.9]}", "optim.betas.1: Field required"),
        ("optim: {betas: [0.9, 1.0]}", "optim.betas.1: Input should be less than 1"),
        ("optim: 3", "optim: Input should be"),
        ("train: {loss: softmaxx}", "train.loss: Input should be 'softmax' or 'stablemax'"),
        ("train: {global_batch_size: 1.5}", "train.global_batch_size: Input should be a valid integer"),
        ("halting: {halt_exploration_prob: 1.1}", "halting.halt_exploration_prob: Input should be less than"),
        ("model: {num_heads: 3}", "model: num_heads=3 does not divide hidden_size=16"),
        ("curriculum: {stages: [easy]}", "curriculum.stages: stage 'easy' is not of the form"),
        ("curriculum: {stages: []}", "curriculum.stages: at least one stage is needed"),
        (
            "halting: {rollout_segments: 4}",
            "halting: rollout_segments, q_lambda and discount belong to q_target lamb",
        ),
        ("halting: {q_target: delayed, discount: 0.9}", "with delayed leave them at 1, 0 and 1"),
        (
            "env: {segment_cost: 0.1}",
            "segment_cost=0.1 is paid with halting.q_target lambda only (now bootstrap)",
        ),
        ("{halting: {q_target: lambda}, train: {micro_batches: 2}}", "micro_batches above 1 saves nothing"),
        (
            "optim: {freeze: all_but_puzzle_emb}",
            "leaves nothing to train without model.puzzle_emb_ndim above 0",
        ),
        ("seed: -1", "seed: Input should be greater than or equal to 0"),
        ("5: 6", "5"),
    ],
)
def test_a_wrong_setting_in_a_file_is_named_in_one_line(text: str, expected: str, tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", text)
    message = one_line(load_config, file, TINY)
    assert message.startswith(f"{file}: ")
    assert expected in message


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert "No such file" in one_line(load_config, tmp_path / "nowhere.yaml", TINY)
    assert "Is a directory" in one_line(load_config, tmp_path, TINY)
    assert "is not YAML" in one_line(load_config, write(tmp_path / "a.yaml", "a: [1\nb: 2"), TINY)
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "is not YAML" in one_line(load_config, binary, TINY)
    for text in ("", "- 1", "just words"):
        assert "holds no settings" in one_line(load_config, write(tmp_path / "c.yaml", text), TINY)


@given(st.integers(1, 512), st.integers(1, 64))
def test_heads_must_divide_the_width_into_even_parts_and_the_advice_holds(hidden: int, heads: int) -> None:
    def build(n: int) -> ModelConfig:
        return ModelConfig(hidden_size=hidden, num_heads=n)

    if hidden % (2 * heads) == 0:
        assert build(heads).num_heads == heads
        return
    with pytest.raises(ValidationError) as refused:
        build(heads)
    message = str(refused.value)
    if hidden % 2:
        assert "hidden_size must be even" in message
        return
    advice = message.split("num_heads could be ")[1].split(" [")[0]
    for n in advice.split(", "):
        build(int(n))


@pytest.mark.parametrize(
    ("stage", "weights"),
    [
        ("easy=1", {"easy": 1.0}),
        ("easy=0.7,medium=0.3", {"easy": 0.7, "medium": 0.3}),
        (" very-easy = 2 , hard=1e-1", {"very-easy": 2.0, "hard": 0.1}),
        ("easy=1,hard=0", {"easy": 1.0}),
    ],
)
def test_stages_are_read_as_weights(stage: str, weights: dict[str, float]) -> None:
    assert parse_weights(stage) == weights


@pytest.mark.parametrize(
    "stage", ["", "easy", "easy=", "=1", "easy=x", "easy=1,", "easy=1;hard=1", "easy=1,easy=2", "easy:1"]
)
def test_a_stage_of_another_form_is_refused_with_the_right_one(stage: str) -> None:
    with pytest.raises(ValueError, match=r"is not of the form easy=0\.7,medium=0\.3"):
        parse_weights(stage)


@pytest.mark.parametrize("stage", ["easy=-1,hard=2", "easy=0", "easy=nan", "easy=inf", "easy=0,hard=0"])
def test_weights_that_cannot_be_proportions_are_refused(stage: str) -> None:
    with pytest.raises(ValueError, match="needs weights of at least 0 and one above 0"):
        parse_weights(stage)
    with pytest.raises(ValidationError):
        CurriculumConfig(stages=("easy=1", stage))


def test_every_setting_has_a_docstring_and_every_section_says_who_owns_it() -> None:
    for name, field in Config.model_fields.items():
        assert field.description, name
        section = field.annotation
        if inspect.isclass(section) and issubclass(section, hrm_rl.config.Section):
            assert section.__doc__
            assert "hrm_rl/" in section.__doc__ or "envs/" in section.__doc__
            for inner, value in section.model_fields.items():
                assert value.description, f"{name}.{inner}"
                assert value.description != section.__doc__


def test_a_configuration_cannot_be_changed_or_given_unknown_names() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TINY.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        ModelConfig(hidden=3)  # type: ignore[call-arg]


def test_fields_that_may_differ_on_resuming_exist() -> None:
    assert set(RESUMABLE_FIELDS) <= set(field_names())


OTHER_VALUES: dict[str, Any] = {
    "env.task": "maze", "env.options": {"min_guesses": 1}, "data.path": "x.csv", "data.eval_path": "y.csv",
    "model.name": "other", "model.pos_encodings": "learned", "model.dtype": "bfloat16", "preset": "sudoku6",
    "halting.exploration": "per_episode", "optim.name": "adam_atan2", "optim.betas": (0.5, 0.5),
    "data.leaks": "warn", "train.loss": "stablemax", "train.loss_on": "blanks", "train.device": "auto",
    "env.size": 6, "data.eval_levels": ("hard",),
    "data.max_puzzles": 9, "curriculum.stages": ("hard=1",), "curriculum.metric": "cells",
    "optim.lr_min_ratio": 0.5, "halting.halt_exploration_prob": 0.9, "optim.ema_decay": 0.5,
    "curriculum.threshold": 0.1, "data.augment": False, "data.required": True, "model.num_heads": 4,
    "model.hidden_size": 32, "halting.q_target": "halt_only", "halting.q_lambda": 0.5,
    "halting.discount": 0.5,
    "optim.freeze": "all_but_puzzle_emb", "train.eval_weights": "raw", "model.mixer": "mlp",
    "model.num_kv_heads": 1,
    "model.gradient": "full", "model.dropout": 0.5, "model.prefix": "cls", "model.puzzle_emb_len": 2,
    "train.init_from": "runs/other", "model.checkpoint_activations": True, "train.compile": "on",
    "train.cuda_graphs": True, "halting.q_detach": True,
    "search.share": 0.5, "search.assume_share": 0.5, "search.doubt": "supervised",
}  # fmt: skip

LAMBDA = tiny_config(halting={"q_target": "lambda"})
EMBEDDING = tiny_config(model={"puzzle_emb_ndim": 16})
BASES = {
    "env.segment_cost": LAMBDA, "halting.rollout_segments": LAMBDA, "halting.q_lambda": LAMBDA,
    "halting.discount": LAMBDA, "search.share": LAMBDA, "optim.freeze": EMBEDDING,
    "model.puzzle_emb_len": EMBEDDING,
    "model.mixer": tiny_config(model={"pos_encodings": "none"}),
}  # fmt: skip
"""Configurations in which a field that belongs to another setting means something; TINY for all others."""


@pytest.mark.parametrize("field", field_names())
def test_a_difference_in_any_field_is_named_unless_it_may_differ(field: str) -> None:
    section, _, name = field.rpartition(".")
    base = BASES.get(field, TINY)
    old = getattr(getattr(base, section), name) if section else getattr(base, name)
    other = OTHER_VALUES[field] if field in OTHER_VALUES else old + 1
    assert other != old
    found = differences(base, changed(base, field, other))
    if field in RESUMABLE_FIELDS:
        assert found == []
    else:
        assert [line.split(":")[0] for line in found] == [field]
    assert differences(base, base) == []


def test_a_run_that_has_begun_may_forget_its_starting_weights_and_not_change_them() -> None:
    begun = changed(TINY, "train.init_from", "runs/a")
    assert differences(begun, TINY) == []
    assert differences(begun, changed(TINY, "train.init_from", "runs/b"))


def test_keys_that_are_merged_may_be_overridden(tmp_path: Path) -> None:
    """YAML's `<<` is no second key."""
    file = write(
        tmp_path / "c.yaml", "optim: &o {lr: 1, name: muon}\ntrain: {max_updates: 3}\nsearch: {share: 0.0}"
    )
    assert load_config(file, TINY).optim.lr == 1
    merged = write(tmp_path / "d.yaml", "a: &a {lr: 1, name: muon}\nb: {<<: *a, lr: 2}")
    assert read_yaml(merged, "settings")["b"] == {"lr": 2, "name": "muon"}


def test_the_home_folder_is_meant_by_a_tilde_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    text = "data: {path: ~/a.csv, eval_path: ~/b}\ntrain: {init_from: ~/runs/r}\n"
    text += "env: {options: {catalogue: ~/c}}"
    found = load_config(write(tmp_path / "c.yaml", text), TINY)
    assert (found.data.path, found.data.eval_path) == ("/home/me/a.csv", "/home/me/b")
    assert (found.train.init_from, found.env.options) == ("/home/me/runs/r", {"catalogue": "/home/me/c"})
    assert changed(TINY, "data.path", "a~b").data.path == "a~b"


def test_validate_names_where_the_values_came_from() -> None:
    assert one_line(validate, {"seed": -1}, "flags").startswith("flags: seed: ")


OLD = {"train": {"initial_batch_size": 64, "batch_warmup_updates": 0}, "seed": 3}


def test_removed_settings_that_changed_nothing_are_passed_over(tmp_path: Path) -> None:
    assert validate(OLD, "old") == Config(seed=3)
    assert OLD["train"] == {"initial_batch_size": 64, "batch_warmup_updates": 0}
    path = tmp_path / "config.yaml"
    path.write_text("train: {initial_batch_size: 8, batch_warmup_updates: 0, max_updates: 7}")
    assert load_config(path, TINY).train.max_updates == 7


def test_a_removed_setting_that_changed_something_is_refused_in_one_line() -> None:
    message = one_line(validate, {"train": {"batch_warmup_updates": 5}}, "old/config.yaml")
    assert message.startswith(
        "old/config.yaml: train.batch_warmup_updates (here 5) was removed in version 0.2.0"
    )


def test_unknown_preset_is_refused_with_the_nearest_name_and_all_names() -> None:
    message = one_line(get_preset, "sudoku4-quik")
    assert "did you mean 'sudoku4-quick'?" in message
    assert all(name in message for name in PRESETS)


@given(st.text(max_size=20))
def test_nearest_is_one_of_the_choices_or_nothing(word: str) -> None:
    hint = nearest(word, ["optim.lr", "model.name"])
    assert hint in ("", "; did you mean 'optim.lr'?", "; did you mean 'model.name'?")


@pytest.mark.parametrize(
    ("decay", "asked", "label"), [(0.9, "ema", "ema"), (0.9, "raw", "raw"), (0.0, "ema", "raw")]
)
def test_evaluation_judges_the_average_only_where_there_is_one(decay: float, asked: str, label: str) -> None:
    config = tiny_config(optim={"ema_decay": decay}, train={"eval_weights": asked})
    assert config.evaluated_weights == label


def test_sections_are_the_only_classes_of_settings() -> None:
    """A new section that forgets to be a Section would accept misspelt names."""
    tree = ast.parse(inspect.getsource(hrm_rl.config))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name != "Section":
            assert [ast.unparse(base) for base in node.bases] == ["Section"], node.name
