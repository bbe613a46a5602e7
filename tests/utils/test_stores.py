"""Stores: what is a URI, files in and out, and every mistake in one line before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm_rl.utils.errors import UserError
from hrm_rl.utils.stores import Store, is_uri


def test_uris_are_told_from_folders() -> None:
    assert is_uri("s3://bucket/runs")
    assert is_uri("memory://x")
    assert not is_uri("runs")
    assert not is_uri(Path("/tmp/a"))
    assert not is_uri("C:/runs")
    for half in ("s3:/bucket/runs", "gs:bucket/runs"):
        with pytest.raises(UserError, match=r"write (s3|gs)://bucket/runs$"):
            is_uri(half)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_files_go_in_and_out(kind: str, tmp_path: Path) -> None:
    store = Store("memory://in-and-out" if kind == "memory" else f"file://{tmp_path}/s").below("run")
    (tmp_path / "big").write_bytes(b"x" * 100_000)
    assert store.put("a/small", b"one") == 3
    assert store.put("a/big", tmp_path / "big") == 100_000
    assert store.sizes() == {"a/small": 3, "a/big": 100_000}
    store.put("a/small", b"three")
    assert store.read("a/small") == b"three"
    store.fetch("a/big", tmp_path / "new" / "back")
    assert (tmp_path / "new" / "back").read_bytes() == b"x" * 100_000
    with pytest.raises(FileNotFoundError):
        store.read("a/none")
    store.delete("a/small")
    store.delete("a/small")  # nothing happens
    store.delete_all("a")
    store.delete_all("a")
    assert store.sizes() == {}


def test_options_of_a_uri_stay_behind_the_path() -> None:
    store = Store("s3://bucket/runs/?endpoint_override=127.0.0.1:9&scheme=http&region=x").below("r")
    assert store.uri == "s3://bucket/runs/r"
    assert store.located() == "s3://bucket/runs/r?endpoint_override=127.0.0.1:9&scheme=http&region=x"
    assert store.root == "bucket/runs/r"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("foo://bucket/x", "no such kind of store is known"),
        ("oss://bucket/x", "no such kind of store is known (Install ossfs"),
        ("s3://", "looks like s3://BUCKET/FOLDER"),
        ("s3://key:secret@bucket/x", "give them as AWS_ACCESS_KEY_ID"),
        ("github://a/b", "cannot use github://a/b"),
    ],
)
def test_a_wrong_uri_is_one_line(uri: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        Store(uri)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
