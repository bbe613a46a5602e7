"""Runs and sweeps whose --storage-path is a URI: the folder here that is worked in, and reading from there.

In the store `writer.json` names the process that last wrote there, and when it was last heard of. A folder
here with the same writer is what that process left, and at least as new as the store; any other is replaced
by what the store holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hrm_rl.runs import selection
from hrm_rl.runs.mirror import CHECKPOINT, SMALL_SECONDS, Mirror, TakenOver
from hrm_rl.runs.selection import MANIFEST, STATE
from hrm_rl.utils.claims import FolderKind, new_folder, resumed_folder
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically
from hrm_rl.utils.locks import LOCK, Holder
from hrm_rl.utils.stores import Store, is_uri

WRITER = "writer.json"
CLAIMS = "claims"
"""Where those who want a name say so; empty once one has it."""
PATIENCE_SECONDS = 3 * SMALL_SECONDS
"""Without a word from a writer that cannot be asked, after which it is taken to be dead."""
ATTEMPTS = 6
"""At a name that others want in the same moment."""
HOME = "HRM_RL_CACHE"
"""Names the folder for copies."""
CHECKPOINT_NAME = re.compile(r"/checkpoints/update-\d{8}$")


@dataclass(frozen=True)
class Writer:
    """writer.json: who writes to a folder in a store, or did."""

    holder: Holder
    heard: float
    """Seconds since 1970."""
    ended: bool = False

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    @staticmethod
    def from_json(text: bytes) -> Writer | None:
        try:
            values = json.loads(text)
            return Writer(Holder(**values["holder"]), float(values["heard"]), bool(values["ended"]))
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def alive(self) -> bool:
        """Whether it may still write. An earlier start in this very process has ended."""
        me, it = Holder.me(), self.holder
        if self.ended or (me.pid, me.boot, me.space, me.born) == (it.pid, it.boot, it.space, it.born):
            return False
        alive = self.holder.alive()
        return abs(time.time() - self.heard) < PATIENCE_SECONDS if alive is None else alive


@dataclass
class Kept:
    """A folder here and where it is kept."""

    path: Path
    store: Store | None = None
    left: list[str] = field(default_factory=list)
    """At the end, the names of what could not be uploaded."""


def home() -> Path:
    """The folder for copies of what is in stores: $HRM_RL_CACHE, else ~/.cache/hrm_rl, else one in the folder
    for temporary files. Raises UserError if it cannot be written."""
    if given := os.environ.get(HOME):
        tried = [Path(given).expanduser()]
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        own = [Path(cache) / "hrm_rl"] if os.path.isabs(cache) else []  # a user may have no home
        tried = [*own, Path(tempfile.gettempdir()) / f"hrm-rl-{os.getuid()}"]
    for path in tried:
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(path, os.W_OK | os.X_OK):
                return path.absolute()
    raise UserError(f"cannot write {tried[-1]}: name a folder for copies of what is in stores with {HOME}")


def folder_of(uri: str, kind: str) -> Path:
    """Where copies of what is under `uri` lie: of kind `runs`, worked in, or `read`."""
    place = uri.partition("?")[0].rstrip("/")
    words = re.sub(r"[^A-Za-z0-9.-]+", "-", place)[:60]
    return home() / kind / f"{words}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"


@contextmanager
def folder_for(storage: str, name: str, given: bool, resume: bool, kind: FolderKind) -> Iterator[Kept]:
    """The folder of a run or sweep, which is made or goes on, and which nobody else writes to. storage: the
    folder or URI that it lies in. given: the user named it. Raises UserError."""
    if is_uri(storage):
        kept = resumed_stored(storage, name, kind) if resume else new_stored(storage, name, given, kind)
        with kept as found:
            yield found
        return
    root = Path(storage).absolute()
    with resumed_folder(root / name, kind) if resume else new_folder(root, name, given, kind) as path:
        yield Kept(path)


def refuse_nodes(kept: Kept, nodes: int) -> None:
    """Refuse to work in a folder that the nodes of a cluster do not share. Raises UserError."""
    if kept.store is not None and nodes > 1 and not os.environ.get(HOME):
        raise UserError(
            f"{nodes} nodes need a folder that they share, also with {kept.store.uri}: name one with {HOME}"
        )


@contextmanager
def new_stored(uri: str, name: str, given: bool, kind: FolderKind) -> Iterator[Kept]:
    """Make a new run or sweep under `uri`, and keep it there. given: the user named it, so that it may be no
    other. Raises UserError before anything is made: the store does not answer, or the name is taken."""
    root, parent, number = folder_of(uri, "runs"), Store(uri), 1
    taken = UserError(
        f"{kind.name} {name} exists in {uri}: resume it with --{kind.flag} {name} --resume, or choose "
        f"another --{kind.flag}"
    )
    if given and parent.below(name).sizes():
        raise taken
    while True:
        with new_folder(root, name if number == 1 else f"{name}-{number}", given, kind) as path:
            store, holder = parent.below(path.name), Holder.me()
            if _claim(store, holder):
                with _kept(path, store, holder, kind) as kept:
                    yield kept
                return
        if given:
            raise taken
        number += 1


@contextmanager
def resumed_stored(uri: str, name: str, kind: FolderKind) -> Iterator[Kept]:
    """Go on with a run or sweep that is kept under `uri`: here if this machine wrote last, else from a copy
    of what is there. Raises UserError."""
    store, path = Store(uri).below(name), folder_of(uri, "runs") / name
    path.mkdir(parents=True, exist_ok=True)
    with resumed_folder(path, kind):
        writer = read_writer(store)
        if writer is not None and writer.alive:
            ago = f"heard of {max(0.0, time.time() - writer.heard):.0f} s ago"
            raise UserError(
                f"{kind.name} {name} in {uri} is in use by {writer.holder}, {ago}: stop that one first; if "
                f"it died, try again {PATIENCE_SECONDS:.0f} s after its end"
            )
        bring(store, path, writer, kind.mark)
        if not (path / kind.mark).exists():
            raise UserError(f"there is no {kind.name} {name} to resume in {uri}; leave out --resume to start")
        with _kept(path, store, Holder.me(), kind) as kept:
            yield kept


def file_of(storage: str, name: str, file: str) -> Path | None:
    """A small file of a run or sweep in a folder or under a URI, to look at: the one here if this machine
    wrote last, or nothing is there. None if there is none. Raises UserError."""
    if not is_uri(storage):
        path = Path(storage).expanduser() / name / file
        return path if path.exists() else None
    store, path = Store(storage).below(name), folder_of(storage, "runs") / name
    if (path / file).exists() and _wrote_last(read_writer(store), path):
        return path / file
    copy = folder_of(storage, "read") / name / file
    try:
        store.fetch(file, copy)
    except FileNotFoundError:  # nor is anything else, where a store lost all
        return path / file if (path / file).exists() else None
    return copy


def small_files(place: str) -> Path:
    """A folder with all but the checkpoints of a run or sweep: `place` itself, or a copy if it is a URI.
    Raises UserError."""
    if not is_uri(place):
        return Path(place)
    store, (above, _, name) = Store(place), place.partition("?")[0].rstrip("/").rpartition("/")
    copy = folder_of(above, "read") / name
    for file in store.sizes():
        if not CHECKPOINT.match(file):
            store.fetch(file, copy / file)
    return copy


def read_writer(store: Store) -> Writer | None:
    """Who last wrote there. Raises StoreAway."""
    try:
        return Writer.from_json(store.read(WRITER))
    except FileNotFoundError:
        return None


def bring(store: Store, path: Path, writer: Writer | None, mark: str) -> None:
    """Make the folder at `path` what the store holds, unless `writer`, the last there, wrote here or nothing
    is there. mark: the file that every such folder has. Raises StoreAway."""
    names = store.sizes()
    if mark in names and not _wrote_last(writer, path):
        _make_room(path, store)
    for name in sorted(_checkpoints(names)):
        bring_checkpoint(store, name, path / name, _tell)
    for name in names:
        other = not CHECKPOINT.match(name) and name.partition("/")[0] not in (WRITER, CLAIMS)
        if other and not (path / name).exists():
            store.fetch(name, path / name)


def _make_room(path: Path, store: Store) -> None:
    """Move what another start left here out of the way, or delete it if it holds no checkpoint."""
    entries = [entry for entry in path.iterdir() if entry.name != LOCK]
    aside = path.with_name(f".{path.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    if any(path.glob("**/checkpoints/update-*")):
        _tell(f"note: {store.uri} was written to from elsewhere since; what was here is now in {aside}")
        aside.mkdir()
        for entry in entries:
            entry.rename(aside / entry.name)
    else:
        for entry in entries:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _checkpoints(names: Iterable[str]) -> set[str]:
    """The checkpoints that have a manifest, among names of files."""
    given = set(names)
    return {m[0] for name in given if (m := CHECKPOINT.match(name)) and f"{m[0]}/{MANIFEST}" in given}


def bring_checkpoint(store: Store, name: str, path: Path, say: Callable[[str], None]) -> bool:
    """Copy a checkpoint from the store to `path`, unless it is here. Returns whether it is sound. Raises
    StoreAway."""
    try:
        manifest = store.read(f"{name}/{MANIFEST}")
        here = path / MANIFEST
        if here.exists() and here.read_bytes() == manifest and selection.damage(path) is None:
            return True
        shutil.rmtree(path, ignore_errors=True)
        for file in json.loads(manifest):
            if Path(file).name == file:
                store.fetch(f"{name}/{file}", path / file)
        write_atomically(path / MANIFEST, manifest)
        reason = selection.damage(path)
    except FileNotFoundError:
        reason = "a file is missing"
    except (ValueError, TypeError):
        reason = f"{MANIFEST} is unreadable"
    if reason is not None:
        say(f"checkpoint {path.name} in {store.uri} is damaged ({reason}): going back to the one before")
        shutil.rmtree(path, ignore_errors=True)
    return reason is None


def model_here(uri: str) -> Path:
    """A folder here with the model that a URI means: a run's checkpoint (the one that is named, else the
    best, else the last), or a folder for others. Raises UserError."""
    place, mark, options = uri.partition("?")
    run, named = place.rstrip("/"), CHECKPOINT_NAME.search(place.rstrip("/"))
    if named:
        run = run[: named.start()]
    store = Store(f"{run}{mark}{options}")
    copy = folder_of(run.rpartition("/")[0], "read") / store.name
    names = store.sizes()
    if not names:
        raise UserError(f"there is nothing in {run}: give a run such as s3://BUCKET/runs/NAME")
    for name in names:
        if "/" not in name and name != WRITER:
            store.fetch(name, copy / name)
    found = sorted((name for name in _checkpoints(names) if name.startswith("checkpoints/")), reverse=True)
    if named:
        found = [name for name in found if name == named[0][1:]]
    elif best := _best(store, found):
        found.sort(key=lambda name: name != best)
    for name in found:
        if bring_checkpoint(store, name, copy / name, _tell):
            return copy / name
    if named or any(CHECKPOINT.match(name) for name in names):
        raise UserError(f"{uri} holds no sound checkpoint: give a run such as s3://BUCKET/runs/NAME")
    return copy


def _best(store: Store, found: list[str]) -> str | None:
    """The checkpoint with the highest score, the newest of equals."""
    scored = []
    for name in found:
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            score = json.loads(store.read(f"{name}/{STATE}"))["score"]
            if score is not None:
                scored.append((float(score), name))
    return max(scored)[1] if scored else None


@contextmanager
def _kept(path: Path, store: Store, holder: Holder, kind: FolderKind) -> Iterator[Kept]:
    """Sign as the writer, and mirror the folder until the end; then say what was sent, and what was not."""
    writer = Writer(holder, time.time())
    store.put(WRITER, writer.to_json())
    store.delete(f"{CLAIMS}/{holder.token}")
    write_atomically(path / WRITER, writer.to_json())

    def beat(ended: bool = False) -> None:
        if (now := read_writer(store)) is not None and now.holder.token != holder.token:
            raise TakenOver(f"{store.uri} was taken over by {now.holder}, to whom this process seemed dead")
        store.put(WRITER, replace(writer, heard=time.time(), ended=ended).to_json())

    kept, mirror = Kept(path, store), Mirror(path, store, _tell, beat).start()
    try:
        yield kept
    finally:
        left = kept.left = mirror.close()
        if left:
            shown = ", ".join(left[:4]) + (f" and {len(left) - 4} more" if len(left) > 4 else "")
            _tell(f"not uploaded to {store.uri}: {shown}; it is in {path}, and --resume here uploads it")
        else:
            if (path / kind.mark).exists():
                print(f"  stored:      {store.uri}: {mirror.summary()}", flush=True)
            with contextlib.suppress(UserError):
                beat(ended=True)
                if not (path / kind.mark).exists():  # nothing was begun
                    (path / WRITER).unlink()
                    store.delete(WRITER)


def _claim(store: Store, holder: Holder) -> bool:
    """Take a name of which nobody has anything yet; whether it is ours. Of several who try at once each sees
    another, and all step back for a moment. Raises StoreAway."""
    mine = f"{CLAIMS}/{holder.token}"
    for attempt in range(ATTEMPTS):
        if any(not name.startswith(f"{CLAIMS}/") for name in store.sizes()):
            return False
        store.put(mine, b"{}")
        if store.sizes().keys() <= {mine}:
            return True
        store.delete(mine)
        time.sleep(random.random() * (attempt + 1) / 2)
    return False


def _wrote_last(writer: Writer | None, path: Path) -> bool:
    try:
        here = Writer.from_json((path / WRITER).read_bytes())
    except OSError:
        return False
    return here is not None and writer is not None and here.holder.token == writer.holder.token


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
