"""Every pattern against a rule of its own, spelled out on strings: the labels are right, an answer is judged
as the rule does, and where several answers are right all of them are taken."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import make_task
from envs.patterns import PATTERNS, PatternsTask

PROPERTY = settings(max_examples=12, deadline=None, derandomize=True)
TASKS = {name: make_task("patterns", pattern=name, size=10) for name in PATTERNS}
PARTNER = dict(zip("([{<", ")]}>", strict=True))


def balanced(text: str) -> bool:
    stack = []
    for bracket in text:
        if bracket in PARTNER:
            stack.append(PARTNER[bracket])
        elif not stack or stack.pop() != bracket:
            return False
    return not stack


def partner(text: str, at: int) -> int:
    """Where the bracket that belongs to the one `at` is: the shortest balanced stretch between the two."""
    ends = [j for j in range(len(text)) if balanced(text[min(at, j) : max(at, j) + 1])]
    return min((j for j in ends if j != at), key=lambda j: abs(j - at))


def language(letters: str, cells: int) -> set[str]:
    """All strings a^n b^n ..., and - behind them, of so many cells."""
    return {"".join(x * n for x in letters).ljust(cells, "-") for n in range(1, cells // len(letters) + 1)}


def right_answers(name: str, question: str) -> set[str]:
    """Every right answer to a question, as text."""
    if name in ("anbn", "anbncn"):
        letters, given = name[1::2] if name == "anbncn" else "ab", question[1:].rstrip(".")
        cells = len(question) - 1
        found = {f"y{word}" for word in language("abc"[: len(letters)], cells) if word.startswith(given)}
        return found or {"n" + given.ljust(cells, "-")}
    if name == "balanced":
        return {("y" if balanced(question[1:]) else "n") + question[1:]}
    if name in ("copy", "reverse", "sort"):
        text = question.split("=")[0]
        return {f"{text}={dict(copy=text, reverse=text[::-1], sort=''.join(sorted(text)))[name]}"}
    above, *rest = question.split("/")
    if name == "repair":
        kinds = "()[]"
        tried = {above[:i] + b + above[i + 1 :] for i in range(len(above)) for b in kinds if b != above[i]}
        return {f"{above}/{text}" for text in tried if balanced(text)}
    if name == "partner":
        at = rest[0].index("^")
        marks = ["^" if i in (at, partner(above, at)) else "-" for i in range(len(above))]
        return {f"{above}/{''.join(marks)}"}
    if name == "parity":
        return {f"{above}/{''.join(str(above[: i + 1].count('1') % 2) for i in range(len(above)))}"}
    total = str(int(above) + int(rest[0])).rjust(len(above), "0")
    return {f"{above}/{rest[0]}/{total}"}


def tokens(task: PatternsTask, text: str) -> np.ndarray:
    """An answer on the canvas."""
    rows = np.zeros(task.grid_shape, np.uint8)
    for row, line in zip(rows, text.split("/"), strict=True):
        row[: len(line)] = [task.characters.index(c) for c in line]
    return rows.reshape(1, -1)


def without_padding(text: str) -> tuple[int, str]:
    """Where a string begins, and the string."""
    start = len(text) - len(text.lstrip("_"))
    return start, text.replace("_", "")


@pytest.mark.parametrize("name", PATTERNS)
@PROPERTY
@given(seed=st.integers(0, 2**32), part=st.booleans())
def test_an_answer_is_right_exactly_where_the_rule_says_so(name, seed, part):
    task, rng = TASKS[name], np.random.default_rng(seed)
    level = task.levels[int(rng.integers(1, len(task.levels)))]
    batch = task.generate(level, 4, rng, held_out=part)
    assert task.solved(batch.inputs, batch.solution).all()
    for inputs, solution in zip(batch.inputs, batch.solution, strict=True):
        start, question = without_padding(task.write_text(inputs))
        answers = right_answers(name, question)
        assert without_padding(task.write_text(solution))[1] in answers
        for text in answers:  # all of them are taken, wherever the string lies
            answer = np.roll(tokens(task, text), start)
            assert task.solved(inputs[None], answer).all(), (question, text)
            assert not task.violations(inputs[None], answer).any()
        spoilt = np.repeat(solution[None], 12, axis=0)
        there = np.flatnonzero(inputs)
        spoilt[np.arange(12), rng.choice(there, 12)] = rng.integers(0, task.vocab_size, 12)
        for answer in spoilt:
            text = task.write_text(answer)
            text = "/".join(row[start:] for row in text.split("/"))
            expected = text in answers
            assert task.solved(inputs[None], answer[None])[0] == expected, (question, text)
            assert task.violations(inputs[None], answer[None]).any() != expected
            assert task.broken(inputs[None], answer[None]).any() != expected


@pytest.mark.parametrize("letters", ["ab", "abc"])
def test_every_short_question_of_counting_is_judged_as_spelled_out(letters):
    """All of them, sound or not: prefixes of up to six letters in up to eight cells."""
    name = {"ab": "anbn", "abc": "anbncn"}[letters]
    task = make_task("patterns", pattern=name, size=8)
    words = ["".join(w) for n in range(1, 6) for w in itertools.product(letters, repeat=n)]
    questions = [f"?{word}{'.' * blanks}" for word in words for blanks in range(9 - len(word))]
    inputs = np.concatenate([task.encode(question)[None] for question in questions])
    found = task.solution(inputs)
    for question, solution in zip(questions, found, strict=True):
        assert task.write_text(solution) == min(right_answers(name, question), key=lambda w: w.count("a"))


def test_several_completions_and_several_repairs_are_right():
    task = TASKS["anbn"]
    inputs = task.encode("aa......")
    assert task.write_text(task.prove(inputs)) == "yaabb----"
    for text, right in {
        "yaabb----": True, "yaaabbb--": True, "yaaaabbbb": True, "yaaabb---": False, "yabb-----": False,
        "naa------": False, "yaabb---a": False, "yaa------": False, "?aabb----": False, "yaabb---.": False,
    }.items():  # fmt: skip
        assert task.solved(inputs[None], tokens(task, text))[0] == right, text
    task = TASKS["repair"]
    inputs = task.encode("(((())")
    assert task.write_text(task.prove(inputs)) == "(((())/()(())"
    for text in ("()(())", "(()())", "((()))"):
        assert task.solved(inputs[None], tokens(task, f"(((())/{text}")).all()
    for text in ("(((())", "()()()", "[](())"):
        assert not task.solved(inputs[None], tokens(task, f"(((())/{text}")).any()


@pytest.mark.parametrize("name", PATTERNS)
def test_held_out_puzzles_are_never_trained_on_in_any_form_and_may_be_longer(name):
    task = TASKS[name]
    shown = task.generate(task.levels[1], 600, np.random.default_rng(0))
    kept = task.generate(task.levels[1], 100, np.random.default_rng(1), held_out=True)
    other = task.augment(kept, np.random.default_rng(2))
    assert (other.inputs != kept.inputs).any()
    assert not np.isin(task.invariant(other.inputs), task.invariant(shown.inputs)).any()
    longest = task.generate(task.levels[-1], 50, np.random.default_rng(3), held_out=True)
    assert task.trait("length", longest.inputs).min() > task.trait("length", shown.inputs).max()
    np.testing.assert_array_equal(task.level_of(longest.inputs), longest.level)


def test_verdicts_are_not_told_by_how_often_they_come():
    for name, level in itertools.product(("anbn", "anbncn", "balanced"), ("n16", "n32")):
        task = make_task("patterns", pattern=name)
        batch = task.generate(level, 500, np.random.default_rng(0))
        assert 0.35 < (batch.solution == task.characters.index("y")).any(axis=1).mean() < 0.75


def test_carries_run_far_in_sums():
    task = make_task("patterns", pattern="addition")
    batch = task.generate("n32", 200, np.random.default_rng(0))
    digits = batch.inputs.reshape(200, 3, -1).astype(int)
    nines = (digits[:, 0] + digits[:, 1] - 2 * 2 == 9) & (digits[:, 0] > 0)
    assert (nines.sum(axis=1) > 15).mean() > 0.3
