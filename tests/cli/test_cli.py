"""From flags to settings: preset, then file, then flags; every mistake is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_rl.cli.flags.common import flag_value, parse
from hrm_rl.cli.main import ended
from hrm_rl.cli.train import TrainCommand, _defaults
from hrm_rl.config import Config, field_names, get_preset
from hrm_rl.utils.errors import UserError


def command(*args: str) -> TrainCommand:
    return parse(TrainCommand(settings=_defaults(args)), args, "train")


def settings(*args: str) -> Config:
    return command(*args).config


def refusal(*args: str) -> str:
    with pytest.raises(UserError) as refused:
        settings(*args)
    message = str(refused.value)
    assert message
    assert "\n" not in message
    assert "│" not in message
    assert "pydantic" not in message
    assert "Value error" not in message
    return message


def test_without_flags_the_settings_are_those_of_the_default_preset() -> None:
    assert settings() == get_preset("sudoku9-curriculum")
    assert settings("--preset", "sudoku4-quick") == settings("--preset=sudoku4-quick")
    assert settings("--preset", "sudoku4-quick") == get_preset("sudoku4-quick")


def test_flags_go_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("optim: {lr: 0.25, weight_decay: 0.75}\ncurriculum: {stages: ['hard=1']}\n")
    args = ("--preset", "sudoku4-quick", "--config", str(file), "--optim.lr", "0.125")
    found, preset = settings(*args), get_preset("sudoku4-quick")
    assert found.optim.lr == 0.125  # flag
    assert found.optim.weight_decay == 0.75  # file
    assert found.curriculum.stages == ("hard=1",)  # file
    assert found.optim.ema_decay == preset.optim.ema_decay != Config().optim.ema_decay  # preset
    assert found.model == preset.model
    reordered = ("--optim.lr", "0.125", "--config", str(file), "--preset", "sudoku4-quick")
    assert settings(*reordered) == found, "the order of flags does not matter"


def test_a_resumed_run_starts_from_its_own_configuration(tmp_path: Path) -> None:
    stored = settings("--preset", "sudoku6", "--optim.lr", "0.5")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text(stored.to_yaml())
    for name in ("--run-name", "--run_name"):
        args = (name, "mine", "--storage-path", str(tmp_path), "--resume")
        assert settings(*args) == stored
        assert settings(*args, "--max-updates", "99").train.max_updates == 99
    message = refusal("--run-name", "yours", "--storage-path", str(tmp_path), "--resume")
    assert "there is no run to resume in" in message
    assert "--resume needs --run-name NAME" in refusal("--resume")


def test_short_flag_for_the_number_of_updates_is_that_of_the_loop() -> None:
    assert settings("--max-updates", "7").train.max_updates == 7
    assert settings("--train.max-updates", "8").train.max_updates == 8


def test_every_setting_is_a_flag_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command("--help")
    assert stop.value.code == 0
    words = {word.rstrip(",") for word in capsys.readouterr().out.split()}
    for field in field_names():
        flag = f"--{field.replace('_', '-')}"
        section, _, name = flag.rpartition(".")
        assert flag in words or f"{section}.no-{name}" in words, f"{flag} is missing in --help"


VALUES: dict[str, tuple[list[str], Any]] = {
    "env.size": (["6"], 6),
    "env.options": (["min_guesses", "3"], {"min_guesses": 3}),
    "data.path": (["x.csv"], "x.csv"),
    "model.dtype": (["bfloat16"], "bfloat16"),
    "optim.betas": (["0.5", "0.25"], (0.5, 0.25)),
    "halting.halt_max_steps": (["3"], 3),
    "curriculum.stages": (["easy=1", "easy=1,hard=2"], ("easy=1", "easy=1,hard=2")),
    "train.device": (["cpu"], "cpu"),
}


@pytest.mark.parametrize("field", VALUES)
def test_a_flag_sets_its_field_and_nothing_else(field: str) -> None:
    typed, value = VALUES[field]
    section, name = field.split(".")
    for flag in (f"--{field.replace('_', '-')}", f"--{field}"):
        found = settings(flag, *typed).model_dump()
        assert found[section][name] == value
        found[section][name] = get_preset("sudoku9-curriculum").model_dump()[section][name]
        assert found == get_preset("sudoku9-curriculum").model_dump()


def test_an_optional_setting_can_be_taken_back() -> None:
    assert settings("--env.size", "None").env.size is None
    assert command("--num-workers", "4", "--num-workers=None").launch.num_workers is None


@pytest.mark.parametrize(
    ("word", "value"), [("3", 3), ("0.5", 0.5), ("True", True), ("True ", "True "), ("name", "name")]
)
def test_options_of_a_task_have_the_type_that_they_look_like(word: str, value: Any) -> None:
    found = settings("--env.options", "x", word).env.options["x"]
    assert (found, type(found)) == (value, type(value))


def test_a_switch_has_a_way_off() -> None:
    assert settings().data.augment
    assert not settings("--data.no-augment").data.augment


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--preset", "sudoku4-quik"], "unknown preset 'sudoku4-quik'; did you mean 'sudoku4-quick'?"),
        (["--optim.lrr", "1"], "unknown flag --optim.lrr; did you mean '--optim.lr'?"),
        (["--optim.lrr=1"], "unknown flag --optim.lrr; did you mean '--optim.lr'?"),
        (["--lr", "1"], "unknown flag --lr; did you mean '--optim.lr'?"),
        (["--num-worker", "1"], "did you mean '--num-workers'?"),
        (["--optim.lr", "-1"], "--optim.lr: Input should be greater than 0"),
        (["--optim.lr", "nan"], "--optim.lr: Input should be"),
        (["--optim.lr", "fast"], "--optim.lr: Input should be a valid number, not 'fast'"),
        (["--optim.lr"], "--optim.lr needs a value"),
        (["--optim.betas", "0.9", "1.5"], "--optim.betas.1: Input should be less than 1"),
        (["--optim.betas", "0.9"], "--optim.betas takes 2 values, not 1"),
        (
            ["--train.global-batch-size", "1.5"],
            "--train.global-batch-size: Input should be a valid integer, not",
        ),
        (["--train.global-batch-size", "0"], "--train.global-batch-size: Input should be greater than or"),
        (["--model.num-heads", "5"], "num_heads=5 does not divide hidden_size=256 into heads of even width"),
        (["--model.dtype", "float8"], "--model.dtype: Input should be 'float32' or 'bfloat16', not 'float8'"),
        (
            ["--halting.exploration", "never"],
            "--halting.exploration: Input should be 'per_segment' or 'per_episode'",
        ),
        (["--halting.halt-exploration-prob", "2"], "Input should be less than or equal to 1"),
        (["--curriculum.stages", "easy"], "stage 'easy' is not of the form easy=0.7,medium=0.3"),
        (["--curriculum.stages"], "at least one stage is needed, for example easy=1"),
        (
            ["--env.options", "min_guesses"],
            "--env.options takes pairs `name value`: 'min_guesses' has no value",
        ),
        (
            ["--data.augment", "true"],
            "'true' is not expected here: --data.augment is given alone, as --data.augment or",
        ),
        (["--data.augment=true"], "takes no value: write --data.augment or --data.no-augment"),
        (["--seed", "1", "2"], "'2' is not expected here"),
        (["--config", "nowhere.yaml"], "cannot read configuration nowhere.yaml: No such file"),
        (["--max-updates", "0"], "--max-updates: train.max_updates: Input should be greater than or equal"),
        (["--max-updates", "many"], "--max-updates: Input should be a valid integer, not 'many'"),
        (["--seed", "-1"], "--seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_flag_is_one_line_that_names_it(args: list[str], expected: str) -> None:
    assert expected in refusal(*args)


def test_a_wrong_key_in_the_file_is_one_line_that_names_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model: {hiden_size: 3}")
    message = refusal("--config", str(file))
    assert message == f"{file}: unknown setting 'model.hiden_size'; did you mean 'model.hidden_size'?"


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (["--name", "x"], "x"),
        (["--name=x"], "x"),
        (["--name", "x", "--name=y"], "y"),
        (["--name"], None),
        (["--names", "x"], None),
        (["--name="], ""),
        (["--other", "--name", "a=b"], "a=b"),
    ],
)
def test_value_of_a_single_flag(args: list[str], value: str | None) -> None:
    assert flag_value(args, "name") == value


@given(st.lists(st.text("abc-=_", max_size=6), max_size=6))
def test_looking_for_a_flag_never_fails(args: list[str]) -> None:
    flag_value(args, "run-name")


def test_a_users_mistake_ends_a_script_with_one_line_and_status_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main(args: object) -> int:
        raise UserError("no such run")

    assert ended(main, []) == 2
    assert capsys.readouterr().err == "error: no such run\n"


def test_a_bug_in_a_script_is_not_dressed_up_as_a_users_mistake() -> None:
    def main(args: object) -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        ended(main, [])


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (130, 130)])
def test_a_scripts_return_value_is_its_exit_status(returned: int | None, status: int) -> None:
    assert ended(lambda args: returned, []) == status
