"""Standard output and error that never end the work.

Who reads them may go away (`| head -3`, a `tee` that dies, a terminal that is closed), their disk may be
full, or they may not have been there from the beginning.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ESHUTDOWN, errno.ECONNRESET)
"""Errors after which nobody will ever read what is written."""
_when_lost: str | None = None


def say_when_lost(line: str) -> None:
    """Have this line said on standard error if the reader of standard output goes away."""
    global _when_lost
    _when_lost = line


class ForgivingStream:
    """A text stream whose writes do not fail. When the reader is gone, what follows goes nowhere."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lost(error)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lost(self, error: OSError) -> None:
        if error.errno not in GONE:
            return  # a full disk may have room again
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if _when_lost is not None and self is sys.stdout:
            print(_when_lost, file=sys.stderr)


def forgive() -> None:
    """Make the standard streams of this process, which is a command, such that no write to them fails. Each
    line is written when it is said, and what their encoding lacks is spelled out."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:  # closed, as by `>&-`: the next file to be opened would take its place
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout = ForgivingStream(sys.stdout)
    sys.stderr = ForgivingStream(sys.stderr)
