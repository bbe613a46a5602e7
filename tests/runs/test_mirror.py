"""A folder mirrored to a store: whole checkpoints only, in the background, through failures of the store."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hrm_rl.runs import mirror as mirror_module
from hrm_rl.runs.mirror import Mirror
from hrm_rl.utils.stores import Store, StoreAway


class FlakyStore(Store):
    """A store in a folder that can be away, breaks off at a file, or is slow."""

    def __init__(self, folder: Path):
        super().__init__(f"file://{folder}")
        self.away = False
        self.breaks_at: str | None = None
        self.order: list[str] = []

    def put(self, name: str, content: bytes | Path) -> int:
        if self.away or (self.breaks_at and self.breaks_at in name):
            raise StoreAway(f"cannot use {self.uri}: it does not answer")
        self.order.append(name)
        return super().put(name, content)

    def sizes(self) -> dict[str, int]:
        if self.away:
            raise StoreAway(f"cannot use {self.uri}: it does not answer")
        return super().sizes()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOOK_SECONDS": 0.02, "FIRST_PAUSE": 0.02, "LAST_PAUSE": 0.05}.items():
        monkeypatch.setattr(mirror_module, name, value)


@pytest.fixture
def store(tmp_path: Path) -> FlakyStore:
    return FlakyStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.yaml").write_text("seed: 1\n")
    (path / "lock").write_text("mine")
    (path / "ray").mkdir()
    (path / "ray" / "session").write_text("Ray's")
    return path


def make_checkpoint(folder: Path, update: int, content: str = "weights") -> Path:
    """Such as save() leaves it, as far as a mirror looks."""
    path = folder / "checkpoints" / f".update-{update:08d}.tmp"
    path.mkdir(parents=True)
    files = {"model.safetensors": f"{content} {update}", "state.json": json.dumps({"score": None})}
    for name, text in files.items():
        (path / name).write_text(text)
    manifest = {
        name: {"bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for name, text in files.items()
    }
    (path / "manifest.json").write_text(json.dumps(manifest))
    final = path.with_name(f"update-{update:08d}")
    shutil.rmtree(final, ignore_errors=True)
    return path.rename(final)


def until(reached: Callable[[], bool], seconds: float = 10.0) -> None:
    ends = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < ends, "it never came to this"
        time.sleep(0.01)


def test_a_checkpoint_is_sent_with_its_manifest_last_and_pruned_with_the_folder(
    folder: Path, store: FlakyStore
) -> None:
    mirror = Mirror(folder, store, print).start()
    make_checkpoint(folder, 10)
    until(lambda: "checkpoints/update-00000010/manifest.json" in store.sizes())
    of_it = [name for name in store.order if "update-00000010" in name]
    assert [name.rpartition("/")[2] for name in of_it] == ["model.safetensors", "state.json", "manifest.json"]
    make_checkpoint(folder, 20)
    shutil.rmtree(folder / "checkpoints" / "update-00000010")
    assert mirror.close() == []
    names = set(store.sizes())
    assert {name for name in names if "update" in name} == {
        f"checkpoints/update-00000020/{name}" for name in ("model.safetensors", "state.json", "manifest.json")
    }
    assert names - {name for name in names if "update" in name} == {"config.yaml"}  # no lock, nothing of Ray


def test_small_files_are_sent_as_they_are_at_the_end(folder: Path, store: FlakyStore) -> None:
    mirror = Mirror(folder, store, print).start()
    until(lambda: "config.yaml" in store.sizes())
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events").write_text("e")
    assert mirror.close() == []
    assert store.read("metrics.jsonl") == b"{}\n"
    assert store.read("tensorboard/events") == b"e"
    assert store.order.count("config.yaml") == 1
    assert "3 files, " in mirror.summary()
    assert "% of the time)" in mirror.summary()


def test_a_store_that_is_away_is_named_once_and_tried_until_it_is_back(
    folder: Path, store: FlakyStore
) -> None:
    said: list[str] = []
    store.breaks_at = "state.json"
    mirror = Mirror(folder, store, said.append).start()
    make_checkpoint(folder, 10)
    until(lambda: mirror.failures >= 3)
    assert "checkpoints/update-00000010/manifest.json" not in store.sizes()
    store.away = True
    until(lambda: mirror.failures >= 5)
    store.away, store.breaks_at = False, None
    until(lambda: "checkpoints/update-00000010/manifest.json" in store.sizes())
    assert mirror.close() == []
    assert len(said) == 2
    assert said[0].endswith("it does not answer; the run goes on, and uploads are tried again")
    assert said[1].endswith("answers again: uploads go on")
    assert store.order.count("checkpoints/update-00000010/model.safetensors") == 1  # not sent again


def test_the_end_waits_a_stated_time_and_names_what_is_left(folder: Path, store: FlakyStore) -> None:
    said: list[str] = []
    store.away = True
    mirror = Mirror(folder, store, said.append).start()
    make_checkpoint(folder, 10)
    began = time.monotonic()
    assert mirror.close(1.0) == ["checkpoints/update-00000010", "config.yaml"]
    assert time.monotonic() - began < 4
    assert any(line.startswith("waiting up to 1.0 s for the last upload") for line in said)


def test_what_the_store_lost_is_sent_again(folder: Path, store: FlakyStore, tmp_path: Path) -> None:
    mirror = Mirror(folder, store, print).start()
    make_checkpoint(folder, 10)
    until(lambda: "checkpoints/update-00000010/manifest.json" in store.sizes())
    shutil.rmtree(tmp_path / "store")
    make_checkpoint(folder, 20)
    assert mirror.close() == []
    names = store.sizes()
    assert "config.yaml" in names
    for update in (10, 20):
        assert f"checkpoints/update-{update:08d}/model.safetensors" in names
        assert f"checkpoints/update-{update:08d}/manifest.json" in names


def test_a_checkpoint_made_anew_replaces_the_one_before(folder: Path, store: FlakyStore) -> None:
    make_checkpoint(folder, 10, "old")
    assert Mirror(folder, store, print).start().close() == []
    make_checkpoint(folder, 10, "new")
    store.order.clear()
    assert Mirror(folder, store, print).start().close() == []
    assert store.read("checkpoints/update-00000010/model.safetensors") == b"new 10"
    store.order.clear()
    assert Mirror(folder, store, print).start().close() == []
    assert not [name for name in store.order if "update" in name]  # it is there already


def test_checkpoints_of_trials_are_kept_too(folder: Path, store: FlakyStore) -> None:
    make_checkpoint(folder / "trials" / "t0000", 10)
    make_checkpoint(folder / "trials" / "t0001", 20)
    mirror = Mirror(folder, store, print).start()
    until(lambda: sum("manifest.json" in name for name in store.sizes()) == 2)
    shutil.rmtree(folder / "trials" / "t0001" / "checkpoints" / "update-00000020")
    make_checkpoint(folder / "trials" / "t0001", 30)
    assert mirror.close() == []
    found = {name.rpartition("/")[0] for name in store.sizes() if "manifest.json" in name}
    assert found == {"trials/t0000/checkpoints/update-00000010", "trials/t0001/checkpoints/update-00000030"}


def test_the_folder_is_never_waited_for(folder: Path, store: FlakyStore) -> None:
    """A store that hangs holds up the thread alone."""
    real = store.put

    def slow(name: str, content: bytes | Path) -> int:
        time.sleep(0.1)
        return real(name, content)

    store.put = slow  # type: ignore[method-assign]
    mirror = Mirror(folder, store, print).start()
    began = time.monotonic()
    for update in range(10, 40, 10):
        make_checkpoint(folder, update)
    assert time.monotonic() - began < 0.1
    assert mirror.close() == []
    assert sum("manifest.json" in name for name in store.sizes()) == 3
