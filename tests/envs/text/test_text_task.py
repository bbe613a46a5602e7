"""Text as a task: windows, what is held out, what files may hold, vocabularies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import PAD, DataError, UserError, View, make_task
from envs.text import TextTask
from envs.text.names import COUNT, follows_the_rules, names
from envs.text.vocabulary import Bytes

TASK = TextTask(size=16)


def test_no_name_is_both_trained_on_and_held_out_and_all_follow_the_rules():
    train, held_out = names(False), names(True)
    assert len(set(train) | set(held_out)) == COUNT == len(train) + len(held_out)
    assert all(map(follows_the_rules, train[:2000] + held_out))
    assert not any(map(follows_the_rules, ("bibo", "babel", "bibel", "bab", "bebar")))


@pytest.mark.parametrize("level", ["short", "long"])
@pytest.mark.parametrize("held_out", [False, True])
def test_a_window_is_names_between_marks_and_the_answer_is_what_follows(level, held_out):
    batch = TASK.generate(level, 20, np.random.default_rng(1), held_out)
    assert (batch.inputs[:, 1:] == batch.solution[:, :-1]).all()
    assert (batch.inputs[:, 0] == TASK.vocabulary.mark).all()
    for row in batch.inputs:
        assert TASK.level_of(batch.inputs)[0] in (-1, batch.level[0])
        whole = "".join(TASK.characters[t] for t in row).split("\u00b6")[1:-1]  # the last may be cut off
        assert set(whole) <= set(names(held_out, level == "short"))


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_is_held_out_at_its_end_and_no_window_has_tokens_of_both_parts(tmp_path):
    text = "".join(chr(33 + i * i % 89) + chr(40 + i * 7 % 83) for i in range(400))
    train, held_out = TASK.read_training(write(tmp_path / "t.txt", text))
    assert len(train.text) == 720
    assert len(held_out.text) == 80
    assert bytes(train.text).decode() + bytes(held_out.text).decode() == text
    batch = held_out.take(slice(None))
    assert bytes(batch.solution.ravel()).decode() == text[720:]  # each token once
    assert (batch.inputs[:, 0] == TASK.vocabulary.mark).all()
    assert (batch.inputs[:, 1:] == batch.solution[:, :-1]).all()
    assert len(train) == 720 - 16 + 1
    assert bytes(train.take(np.array([7])).solution[0]).decode() == text[7:23]


def test_what_stands_in_both_parts_of_a_file_is_not_held_out(tmp_path):
    said, new = "the same story!\n", "something no one wrote before it"
    path = write(tmp_path / "t.txt", said * 45 + new + said * 3)
    _, held_out = TASK.read_training(path)
    assert bytes(held_out.take(slice(None)).solution.ravel()).decode() == new
    with pytest.raises(DataError, match="all of its end also stands before"):
        TASK.read_training(write(path, said * 40))


def test_a_document_longer_than_a_window_is_read_in_windows_and_a_short_one_in_one(tmp_path):
    assert TASK.read(write(tmp_path / "t.txt", "abcd" * 16)).inputs.shape == (4, 16)
    short = TextTask(size=64).read(write(tmp_path / "t.txt", "abcd" * 10))
    assert (short.solution[0, :40] != PAD).all()
    assert (short.solution[0, 40:] == PAD).all()
    with pytest.raises(DataError, match="has 16 tokens; a window holds 15 and a mark"):
        TASK.encode("x" * 16)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; a text has at least 32 bytes"),
        ("short", "has 5 tokens; a text has at least 32"),
        (b"first\n" * 9 + "caf\u00e9".encode("latin-1"), "line 10 has byte 0xE9, which is no UTF-8"),
        (b"x" * 40 + b"\0" + b"y" * 40, "has a NUL character at byte 40"),
        (None, "no such file"),
    ],
)
@pytest.mark.parametrize("how", ["read", "read_training"])
def test_a_file_that_is_no_text_is_refused_in_one_line(content, reason, how, tmp_path):
    path = tmp_path / "t.txt"
    if content is not None:
        write(path, content)
    with pytest.raises(DataError) as error:
        getattr(TASK, how)(path)
    assert reason in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_bytes_say_every_text_and_neither_padding_nor_the_mark(text):
    tokens = Bytes().encode(text)
    assert Bytes().decode(tokens) == text
    assert not np.isin(tokens, (PAD, Bytes.mark)).any()
    assert (tokens < Bytes.size).all()


def test_half_a_character_is_refused_and_half_of_its_bytes_is_shown_as_such():
    with pytest.raises(DataError, match=r"half a character \(U\+D800\)"):
        Bytes().encode("x\ud800")
    assert Bytes().decode(Bytes().encode("\u00e9")[:1]) == "\ufffd"


def tokenizer(path: Path, size: int) -> str:
    """A file of the tokenizers package, of pairs of letters that are frequent in names."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.decoder = tokenizers.decoders.Fuse()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, show_progress=False)
    made.train_from_iterator(names(False)[:500], trainer)
    made.save(str(path))
    return str(path)


def test_a_vocabulary_of_a_file_says_more_with_fewer_tokens_and_refuses_what_it_cannot_say(tmp_path):
    task = make_task("text", size=16, tokenizer=tokenizer(tmp_path / "v.json", 200))
    name = names(True)[0]
    tokens = task.vocabulary.encode(name)
    assert task.vocabulary.decode(tokens) == name
    assert len(tokens) < len(name)
    assert task.token_widths()[tokens].sum() == len(name)
    assert len(set(task.characters)) == len(task.characters) == task.vocab_size
    assert task.generate("long", 2, np.random.default_rng(0)).inputs.max() == task.vocabulary.mark
    with pytest.raises(DataError, match="has no token for 'X' at character 3"):
        task.vocabulary.encode("baXo")


def test_a_vocabulary_of_a_file_that_is_missing_broken_or_too_large_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no tokenizer file"):
        make_task("text", tokenizer=str(tmp_path / "none.json"))
    with pytest.raises(UserError, match="is no tokenizer file"):
        make_task("text", tokenizer=str(write(tmp_path / "bad.json", "{}")))
    with pytest.raises(UserError, match="at most 243 can be used"):
        make_task("text", tokenizer=tokenizer(tmp_path / "v.json", 300))


def test_a_window_is_shown_with_wrong_answers_marked():
    batch = TASK.parse("wasser")
    answer = batch.inputs.copy()  # says every token twice: only ss is right
    shown = TASK.render_text(View(batch.inputs[0], answer[0], batch.solution[0]))
    assert shown.count("!") == 5
    assert shown.split("\n")[1].rstrip() == "!!! !!"
    assert TASK.render_rgb(View(batch.inputs[0], answer[0])).shape == (24, 16 * 15, 3)
    assert list(TASK.right(batch.inputs, batch.solution, batch.solution)) == [True]
    assert list(TASK.right(batch.inputs, answer, batch.solution)) == [False]
