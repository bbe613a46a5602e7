"""A folder that one process at a time writes to: a lock that its death releases, and that says who holds it.

The kernel locks FOLDER/lock (flock) until the process ends, however it ends; NFS passes that on to its other
clients. Some file systems know no such locks, or keep them to one host. There the file itself must tell: it
names the process, which looks at it every few seconds (its time of change). A process that cannot be asked
and has not done so for a while is taken to be dead; whoever takes over waits that long, and says so.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hrm_rl.utils.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
"""Name of the file in the folder."""
RENEW_SECONDS = 5.0
"""Between two renewals of a lock."""
PATIENCE_SECONDS = 25.0
"""Without a renewal, after which a process that cannot be asked is taken to be dead."""
GLANCES, GLANCE_SECONDS = 5, 0.05
"""Times to try again, since somebody may only look at who holds it."""
Say = Callable[[str], None]


class Held(UserError):
    """Somebody else holds the lock; `by` says who."""

    def __init__(self, by: str):
        super().__init__(f"it is in use by {by}")
        self.by = by


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, as the file has it."""

    host: str
    pid: int
    since: float
    """Seconds since 1970."""
    boot: str
    """Of the kernel that the process runs under, or the host's name where there is none."""
    space: str
    """Namespace in which `pid` is meant: containers have their own."""
    born: str
    """When the process started, in the kernel's ticks, since numbers are used again; "" if not known."""
    token: str
    """Of this one taking."""

    @staticmethod
    def me() -> Holder:
        return Holder(
            platform.node() or "this machine",
            os.getpid(),
            time.time(),
            _boot(),
            _space(),
            _born(os.getpid()) or "",
            secrets.token_hex(8),
        )

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"process {self.pid} on {self.host} since {since}"

    def alive(self) -> bool | None:
        """Whether the process runs; None where that cannot be seen from here."""
        if self.boot != _boot() or self.space != _space():
            return None
        if self.born:
            return _born(self.pid) == self.born
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass
        return True


class FolderLock:
    """The lock of a folder, held from its making until `release`, or until the process ends."""

    def __init__(self, folder: Path, say: Say, lost: Say | None = None):
        """say: hears why taking it takes a while. lost: hears, in another thread, that another process took
        over because this one seemed to be dead; the process ends if not given. Raises Held; OSError, for
        example where the folder is not there or cannot be written."""
        self.path, self.me = folder / LOCK, Holder.me()
        self._file, locked = _open(self.path)
        try:
            holder = _read(self._file)
            if holder is not None:
                _outlive(holder, self.path, locked, say)
            _write(self._file, self.me)
            if not locked:  # another may have come to the same conclusion at the same time
                say(f"note: the file system of {folder} knows no locks: other hosts' processes are not seen")
                time.sleep(10 * GLANCE_SECONDS)
                if (now := _at(self.path)) != self.me:
                    raise Held(str(now))
        except BaseException:
            os.close(self._file)
            raise
        self._lost = lost or _end
        self._released = threading.Event()
        threading.Thread(target=self._renew, name="lock", daemon=True).start()

    def release(self) -> None:
        """Let others have the folder. Nothing happens the second time."""
        if self._released.is_set():
            return
        self._released.set()
        with contextlib.suppress(OSError):
            if _at(self.path) == self.me:
                self.path.unlink()
        os.close(self._file)

    def _renew(self) -> None:
        while not self._released.wait(RENEW_SECONDS):
            holder = _at(self.path)
            if self._released.is_set():
                return
            if holder is not None and holder != self.me:
                self._lost(f"{self.path.parent} was taken over by {holder}, to whom this process seemed dead")
                return
            with contextlib.suppress(OSError):
                os.utime(self.path)


def held_by(folder: Path) -> str | None:
    """Who holds the lock of a folder, in words; None if nobody is known to. Takes no time and no lock."""
    try:
        file = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        locked = _lock(file, exclusive=False)
        holder = _read(file)
        if locked is False:
            return str(holder or "another process")
        if holder is None or (locked and holder.boot == _boot()) or holder.alive() is False:
            return None
        return str(holder) if holder.alive() or _age(folder / LOCK) < PATIENCE_SECONDS else None
    finally:
        os.close(file)


def _open(path: Path) -> tuple[int, bool]:
    """The file, and whether the kernel has locked it, which not every file system lets it. Raises Held."""
    for glance in range(GLANCES):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        locked = _lock(file, exclusive=True)
        if locked is not False and _is_at(file, path):
            return file, bool(locked)
        holder = _read(file)
        os.close(file)
        if glance:
            time.sleep(GLANCE_SECONDS)
    raise Held(str(holder or "another process"))


def _lock(file: int, exclusive: bool) -> bool | None:
    """Whether the kernel gives the lock; None if it has none for this file."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _is_at(file: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`: the holder before may have removed it."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def _outlive(holder: Holder, path: Path, locked: bool, say: Say) -> None:
    """Return once it is sure, or likely enough, that the holder is dead. Raises Held."""
    if locked and holder.boot == _boot():
        return  # the same kernel would not have given the lock
    alive = holder.alive()
    if alive:
        raise Held(str(holder))
    age = _age(path)
    if alive is False or age > PATIENCE_SECONDS:
        return
    wait = PATIENCE_SECONDS - age
    say(f"note: {path.parent} was in use by {holder}; waiting {wait:.0f} s to see whether it still is")
    seen, ends = os.stat(path).st_mtime_ns, time.monotonic() + wait
    while time.monotonic() < ends:
        time.sleep(min(1.0, wait))
        if _at(path) != holder or os.stat(path).st_mtime_ns != seen:
            raise Held(str(_at(path) or holder))


def _age(path: Path) -> float:
    """Seconds since a file changed, by the clock of its file system."""
    probe = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _read(file: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(file, 4096, 0)))
    except (OSError, ValueError, TypeError):
        return None


def _at(path: Path) -> Holder | None:
    """Who the file at `path` names. It is opened anew, which makes NFS look at the server."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(file: int, holder: Holder) -> None:
    content = json.dumps(asdict(holder)).encode()
    os.ftruncate(file, 0)
    os.pwrite(file, content, 0)
    os.fsync(file)


def _end(reason: str) -> None:
    print(f"error: {reason}; this process ends without a checkpoint", file=sys.stderr, flush=True)
    os._exit(1)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _born(pid: int) -> str | None:
    """When a process started, in ticks since the kernel did; None if there is none, or it is a zombie."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state == "Z" else rest[18]
