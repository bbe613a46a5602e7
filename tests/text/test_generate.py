"""A model reads and continues text, in Python and as `hrm-rl generate`."""

from __future__ import annotations

import io
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from hrm_rl.cli import analyze, evaluate, solve
from hrm_rl.cli import generate as generate_command
from hrm_rl.text import Sampling, TextModel
from hrm_rl.utils.errors import UserError
from tests.helpers.commands import evaluated, refusal
from tests.helpers.exported import saved
from tests.helpers.texts import tiny_text

KEPT = ("env", "model", "halting", "curriculum")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = tiny_text().model_dump()
    torch.manual_seed(3)  # a network some of whose tokens halt at once, and some never
    return saved(tmp_path_factory.mktemp("text") / "m", None, **{name: config[name] for name in KEPT})


@pytest.fixture(scope="module")
def model(folder: str) -> TextModel:
    return TextModel.from_pretrained(folder)


# Reading


def test_a_token_stops_by_itself_and_what_comes_later_changes_nothing(model):
    long, short = model.forward("strudel"), model.forward("stru")
    assert long.logits.shape == (8, 245)
    assert set(long.steps.tolist()) <= {1, 2, 3}
    assert len(set(long.steps.tolist())) > 1
    assert not long.halted.all()
    for one, two in zip(
        (long.steps, long.halted, long.tokens), (short.steps, short.halted, short.tokens), strict=True
    ):
        assert np.array_equal(one[:5], two)
    assert np.allclose(long.logits[:5], short.logits, atol=1e-5)
    assert np.allclose(np.exp(long.logits).sum(-1), 1, atol=1e-5)


def test_a_text_longer_than_the_context_is_read_in_windows_and_refused_by_forward(model):
    read = model.read("x" * 30)
    assert read.bits.shape == (3, 30)
    first = model.forward("x" * 11)
    at = int(first.tokens[1])
    assert read.bits[first.steps[0] - 1, 0] == pytest.approx(-first.logits[0, at] / np.log(2), rel=1e-4)
    with pytest.raises(UserError, match="has 30 tokens; a window holds 11 and a mark"):
        model.forward("x" * 30)


# Sampling


@pytest.mark.parametrize("seed", range(20))
def test_chances_are_those_of_the_likeliest_tokens_alone(seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(9, 0.5))
    temperature, top_k, top_p = (
        float(rng.uniform(0.3, 2)),
        int(rng.integers(1, 12)),
        float(rng.uniform(0.05, 1)),
    )
    found = Sampling(temperature, top_k, top_p).chances(np.log(p))
    expected = p ** (1 / temperature)
    expected[np.argsort(-expected)[top_k:]] = 0
    expected /= expected.sum()
    kept, total = np.zeros(9, bool), 0.0
    for token in np.argsort(-expected):
        if total < top_p:
            kept[token] = True
        total += expected[token]
    expected[~kept] = 0
    assert np.allclose(found, expected / expected.sum())


def test_tokens_are_drawn_as_often_as_they_are_likely():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    rng = np.random.default_rng(0)
    with np.errstate(divide="ignore"):
        drawn = [Sampling().draw(np.log(p), rng) for _ in range(4000)]
    assert np.allclose(np.bincount(drawn, minlength=4) / 4000, p, atol=0.03)
    assert {Sampling(temperature=0).draw(np.log(p + 1e-9), rng) for _ in range(20)} == {2}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"temperature": -1}, "temperature is -1; it must be 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0; it must be at least 1"),
        ({"top_p": 0}, "top_p is 0; it must be above 0"),
        ({"top_p": 1.5}, "top_p is 1.5; it must be above 0 and at most 1"),
        ({"max_length": -1}, "max_length is -1; it must be 0 or more"),
        ({"prompt": "a\0b"}, "NUL character at byte 1"),
    ],
)
def test_values_out_of_range_are_refused_in_one_line(model, settings, reason):
    with pytest.raises(UserError) as error:
        model.generate(**settings)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


# Continuing


@pytest.mark.parametrize("use_hrm", [True, False])
def test_a_text_follows_from_its_seed_and_each_token_says_what_it_cost(model, use_hrm):
    make = partial(model.generate, "ab", max_length=30, use_hrm=use_hrm)
    one, again, other = make(seed=1), make(seed=1), make(seed=2)
    assert (one.text, one.spoken) == (again.text, again.spoken)
    assert one.text.startswith("ab")
    assert one.text != other.text
    assert len(one.tokens) == 2 + len(one.spoken) - one.ended <= 30
    assert {token.steps for token in one.spoken} <= ({1, 2, 3} if use_hrm else {1})
    assert one.steps == sum(token.steps for token in one.spoken)
    assert not any(token.token == 0 for token in one.spoken)  # never padding


def test_the_likeliest_token_follows_from_all_tokens_that_are_seen(model):
    prompt = "abcdefghijklmno"  # longer than the context
    said = next(model.stream(prompt, 99, temperature=0))
    seen = model.forward(prompt[-model.context :])
    assert said.token == seen.logits[-1, 1:].argmax() + 1
    assert (said.steps, said.halted) == (seen.steps[-1], seen.halted[-1])
    assert next(model.stream("zz" + prompt, 99, temperature=0)) == said


@pytest.mark.parametrize(
    ("prompt", "length"), [("", 0), ("abc", 0), ("abc", 3), ("gr\u00fc\u00dfe \u4f60", 2)]
)
def test_a_prompt_that_is_long_enough_is_given_back(model, prompt, length):
    found = model.generate(prompt, max_length=length)
    assert (found.text, found.spoken, found.ended) == (prompt, (), False)


def test_a_text_ends_with_a_mark(model, monkeypatch):
    monkeypatch.setattr(Sampling, "draw", lambda self, log_p, rng: 97 if rng.random() < 0.7 else 192)
    found = model.generate("x", max_length=100)
    assert found.ended
    assert found.text == "x" + "a" * (len(found.spoken) - 1)


# The command


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert generate_command.main(args) == 0
    return capsys.readouterr().out


def test_the_command_prints_the_text_and_what_it_cost(folder, model, capsys, monkeypatch):
    args = ("--model", folder, "--prompt", "ab", "--max-length", "12", "--seed", "3")
    expected = model.generate("ab", 12, seed=3)
    assert said(capsys, *args) == f"{expected.text}\n"
    out = said(capsys, *args, "--show-thinking", "--samples", "2")
    assert f"{len(expected.spoken)} tokens, {expected.steps} segments" in out
    assert f"{6 * expected.steps} blocks (6 a segment)" in out
    assert out.count("bits a token") == 2
    flat = said(capsys, *args, "--show-thinking", "--flat")
    assert "(1.00 a token, flat)" in flat
    assert "(2 a segment)" in flat
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\n")))
    assert said(capsys, *args[:2], "--prompt", "-", *args[4:]) == f"{expected.text}\n"
    assert "nothing generated" in said(capsys, *args[:4], "--max-length", "1", "--show-thinking")


def test_what_the_command_cannot_do_is_refused_in_one_line(folder, tmp_path, monkeypatch):
    refused = partial(refusal, generate_command.main)
    sudoku = saved(tmp_path / "s", False)
    assert "say which model" in refused("--prompt", "x")
    assert "is a model of sudoku, which answers puzzles" in refused("--model", sudoku)
    assert "leave out --max-segments and --halt-threshold" in refused(
        "--model", folder, "--flat", "--max-segments", "2"
    )
    assert "top_p is 2" in refused("--model", folder, "--top-p", "2")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9")))
    assert "no UTF-8 at byte 3" in refused("--model", folder, "--prompt", "-")


def test_the_other_commands_take_a_model_of_text_or_say_why_not(folder, tmp_path, capsys):
    found = evaluated(capsys, "--model", folder, "--puzzles", "8")
    assert found["all"]["puzzles"] == 8 * 12
    assert found["all"]["measures"]["bits_per_byte"] > 4
    assert set(found["levels"]) == {"short", "long"}
    file = Path(tmp_path / "t.txt")
    file.write_text("some text of no great length that is read window by window")
    assert evaluated(capsys, "--model", folder, "--data", str(file))["all"]["puzzles"] == 4 * 12
    assert len(evaluated(capsys, "--model", folder, "--puzzles", "8", "--sweep")["curve"]) > 5
    assert solve.main(["--model", folder, "--puzzle", "strudel"]) == 0
    assert "after segment" in capsys.readouterr().out
    assert "a model of text" in refusal(analyze.main, "--model", folder, "--out", str(tmp_path / "r"))
    rolled = ("--model", folder, "--rollouts", "2", "--rollout-noise", "0.1")
    assert "answered once" in refusal(evaluate.main, *rolled)
    assert "symmetr" in refusal(evaluate.main, "--model", folder, "--vote", "2")
    assert refusal(solve.main, "--model", folder, "--puzzle", "strudel", "--search")
