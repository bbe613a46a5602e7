"""A folder that is kept in a store as well, by a thread beside the work.

The folder on this machine is the one that is worked in; nothing waits for the store. The thread looks at the
folder, not at who writes there: a finished checkpoint is sent file by file and its manifest last, so that in
the store too one without a manifest does not exist; what was pruned here is removed there. Other files follow
every SMALL_SECONDS and at the end. While the store is away the thread tries again, ever less often.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hrm_rl.runs.selection import MANIFEST, checkpoints
from hrm_rl.utils.console import count, duration
from hrm_rl.utils.errors import UserError, one_line
from hrm_rl.utils.stores import Store, StoreAway

LOOK_SECONDS = 1.0
"""Between two looks for a new checkpoint."""
SMALL_SECONDS = 30.0
"""Between two uploads of the files that are no checkpoints."""
LAST_SECONDS = 120.0
"""That the end of a run waits for the last upload."""
FIRST_PAUSE, LONGEST_PAUSE, LAST_PAUSE = 1.0, 60.0, 5.0
"""Seconds between two attempts at a store that is away: at first, doubled up to, and while the end waits."""
LEFT_HERE = ("checkpoints", "ray", "tune", "lock", "stop-requested", "writer.json")
"""Names not among the small files: checkpoints go by themselves, the rest means nothing in a store."""
CHECKPOINT = re.compile(r"(.*/)?checkpoints/update-\d{8}(?=/)")
"""The start of a checkpoint's files' names."""
Say = Callable[[str], None]


class TakenOver(UserError):
    """Somebody else writes to the store by now."""


class Mirror:
    """Keeps the folder of a run or a sweep in a store, from `start` to `close`."""

    def __init__(self, folder: Path, store: Store, say: Say, beat: Callable[[], None] = lambda: None):
        """say: hears, in the thread, that the store is away, and that it is back.  beat: called before
        anything is sent; raises TakenOver."""
        self.folder, self.store, self.say, self.beat = folder, store, say, beat
        self.files = self.bytes = self.failures = 0
        self.seconds = 0.0
        """Spent by the thread with the store."""
        self._published: dict[str, int] = {}
        """Checkpoints that are whole in the store, with the time at which they were made here."""
        self._sent: dict[str, tuple[int, int]] = {}
        """Time of change and bytes of files as they were sent."""
        self._away = ""
        self._ending, self._done, self._given_up = threading.Event(), threading.Event(), threading.Event()
        self._began = time.monotonic()

    def start(self) -> Mirror:
        threading.Thread(target=self._work, name="mirror", daemon=True).start()
        return self

    def close(self, seconds: float | None = None) -> list[str]:
        """Wait until all is sent, at most so long or LAST_SECONDS. Returns the names of what was not."""
        seconds = LAST_SECONDS if seconds is None else seconds
        self._ending.set()
        if not self._done.wait(min(1.0, seconds)) and not self._given_up.is_set():
            self.say(f"waiting up to {duration(seconds)} for the last upload to {self.store.uri}")
            self._done.wait(seconds)
        self._given_up.set()
        return [] if self._done.is_set() else [*self._new(), *self._changed()]

    def summary(self) -> str:
        """What was sent, and which share of the time since the start that took the thread."""
        share = self.seconds / max(time.monotonic() - self._began, 1e-9)
        tries = f", {self.failures} failed tries" if self.failures else ""
        return (
            f"{self.files} files, {count(self.bytes)}B, sent in {duration(self.seconds)} beside the updates "
            f"({share:.0%} of the time){tries}"
        )

    def _work(self) -> None:
        pause, small_at = LOOK_SECONDS, 0.0
        while self._go_on_after(pause):
            ending, began = self._ending.is_set(), time.monotonic()
            try:
                if ending or began >= small_at or self._new():
                    self.beat()
                    self._send_checkpoints()
                    self._send_others()
                    small_at = time.monotonic() + SMALL_SECONDS
                if self._away:
                    self.say(f"the store {self.store.uri} answers again: uploads go on")
                    self._away = ""
                pause = LOOK_SECONDS
                if ending:
                    self._done.set()
                    return
            except TakenOver as error:
                self.say(f"{error}: nothing more is uploaded from here")
                self._given_up.set()
                return
            except FileNotFoundError:  # pruned or replaced meanwhile: look again
                pause = LOOK_SECONDS
            except Exception as error:  # the store's, or a disk's that cannot be read just now
                pause = self._fail(error, pause, ending)
            finally:
                self.seconds += time.monotonic() - began

    def _go_on_after(self, pause: float) -> bool:
        """Wait, the first time no longer than to the end. Returns whether anybody still waits for the
        thread."""
        if self._ending.is_set():
            return not self._given_up.wait(pause)
        self._ending.wait(pause)
        return True

    def _fail(self, error: Exception, pause: float, ending: bool) -> float:
        """Note that an attempt failed. Returns the time to the next one."""
        self.failures += 1
        reason = str(error) if isinstance(error, StoreAway) else f"{self.store.uri}: {one_line(error, 200)}"
        if not self._away:
            self.say(f"{reason}; the run goes on, and uploads are tried again")
        longer = min(LONGEST_PAUSE, 2 * pause) if self._away else FIRST_PAUSE
        self._away = reason
        return min(longer, LAST_PAUSE) if ending else longer

    def _here(self) -> dict[str, Path]:
        """The finished checkpoints, the newest first."""
        roots = [self.folder / "checkpoints", *sorted(self.folder.glob("trials/*/checkpoints"))]
        found = [path for root in roots for path in checkpoints(root) if _made(path)]
        return {path.relative_to(self.folder).as_posix(): path for path in found}

    def _new(self) -> list[str]:
        """Names of the checkpoints that are not in the store as they are here."""
        return [name for name, path in self._here().items() if self._published.get(name) != _made(path)]

    def _send_checkpoints(self) -> None:
        """Send what is new and remove what was pruned."""
        if not self._new() and self._here().keys() >= self._published.keys():
            return
        there = self.store.sizes()
        # What the store lost is sent again.
        self._published = {n: made for n, made in self._published.items() if f"{n}/{MANIFEST}" in there}
        self._sent = {name: version for name, version in self._sent.items() if name in there}
        for name in self._new():
            try:
                self._publish(name, self.folder / name, there)
            except TakenOver as error:
                self.say(f"{error}: nothing more is uploaded from here")
                self._given_up.set()
                return
            except FileNotFoundError:  # pruned meanwhile
                continue
        self._prune(there)

    def _publish(self, name: str, path: Path, there: dict[str, int]) -> None:
        made, manifest = _made(path), (path / MANIFEST).read_bytes()
        target, files = f"{name}/{MANIFEST}", json.loads(manifest)
        if target in there:
            whole = all(there.get(f"{name}/{file}") == values["bytes"] for file, values in files.items())
            if not (whole and self.store.read(target) == manifest):
                self.store.delete(target)
                there.pop(target)
        if target not in there:
            for file in files:
                self._send(f"{name}/{file}", path / file, there)
            self.bytes += self.store.put(target, manifest)
            self.files += 1
        self._published[name] = made

    def _send(self, name: str, path: Path, there: dict[str, int] | None = None) -> None:
        """Send a file that was not sent as it is now."""
        stat = path.stat()
        version = (stat.st_mtime_ns, stat.st_size)
        if self._sent.get(name) == version and (there is None or there.get(name) == stat.st_size):
            return
        self.bytes += self.store.put(name, path)
        self.files += 1
        self._sent[name] = version

    def _prune(self, there: dict[str, int]) -> None:
        """Remove from the store the checkpoints that are not here, where newer ones are."""
        here = self._here()
        roots = {name.rpartition("/")[0] for name in self._published if name in here}
        gone = {match[0] for name in there if (match := CHECKPOINT.match(name))} - here.keys()
        for name in sorted(gone):
            if name.rpartition("/")[0] in roots:
                self.store.delete(f"{name}/{MANIFEST}")
                self.store.delete_all(name)
        for name in self._published.keys() - here.keys():
            del self._published[name]
        for name in [
            name for name in self._sent if (match := CHECKPOINT.match(name)) and match[0] not in here
        ]:
            del self._sent[name]

    def _others(self) -> Iterator[tuple[str, Path]]:
        for folder, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in LEFT_HERE and not name.startswith(".")]
            for file in sorted(files):
                if file not in LEFT_HERE and not file.startswith("."):
                    path = Path(folder, file)
                    yield path.relative_to(self.folder).as_posix(), path

    def _changed(self) -> list[str]:
        """Names of the small files that were not sent as they are now."""
        found = []
        for name, path in self._others():
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                if self._sent.get(name) != (stat.st_mtime_ns, stat.st_size):
                    found.append(name)
        return found

    def _send_others(self) -> None:
        for name, path in self._others():
            try:
                self._send(name, path)
            except FileNotFoundError:
                continue


def _made(path: Path) -> int:
    """When a checkpoint was made; 0 without a manifest."""
    try:
        return (path / MANIFEST).stat().st_mtime_ns
    except OSError:
        return 0
