"""Before Ray: whether a cluster answers, and whether Ray can start on this machine. What is wrong is one line
within seconds, before anything is made.

Ray's own attempt to join a cluster goes on for many minutes where nobody answers, and cannot be interrupted.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path

from hrm_rl.utils import shadowed
from hrm_rl.utils.console import typed
from hrm_rl.utils.errors import UserError, one_line

TOKENS_SET_UP_IN = "ray._private.authentication.authentication_token_setup"
"""The module that has a process show the user's token, if there is one."""
SOCKET = f"/ray/session_2026-11-28_09-30-00_000000_{os.getpid()}/sockets/plasma_store"
"""What Ray adds to the folder for temporary files: its longest name of a socket."""
LEAST_FILES = 256
"""Files that a process must be allowed to open: one worker was seen to run with 256, and to die with 64."""
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 12.0
"""How long a cluster may take to be connected to and to answer."""


def unreachable(address: str, reason: str) -> UserError:
    """The error for a cluster that cannot be joined."""
    undo = "unset RAY_ADDRESS" if address == os.environ.get("RAY_ADDRESS") else "leave --address out"
    start = f"start one with `{typed('ray')} start --head`"
    return UserError(f"cannot reach a Ray cluster at {address}: {reason}; {start}, or {undo}")


def make_ready() -> None:
    """See to what has to be right for Ray to start here. Raises UserError."""
    _refuse_strangers()
    base = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR", "/tmp")
    if sys.platform != "win32":
        room = (103 if sys.platform == "darwin" else 107) - len(SOCKET)
        if len(os.fsencode(base)) > room:
            variable = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
            raise UserError(
                f"{variable} {base} is too long for the names of Ray's sockets, by "
                f"{len(os.fsencode(base)) - room} characters: set RAY_TMPDIR to a short folder, such as /tmp"
            )
    _refuse_few_files()
    if not _can_keep_token():
        # Ray would write one into the home folder. This one goes to the processes that Ray starts, and with
        # them it ends.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _refuse_strangers() -> None:
    """Raise UserError if Ray's workers, which look for code in this folder first, would take something in it
    for ours."""
    found = shadowed.stranger(Path.cwd())
    if found is not None:
        raise UserError(shadowed.in_words(found))


def _refuse_few_files() -> None:
    """Raise UserError where so few files may be open that Ray's processes die."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # Ray raises the soft limit to the hard one
    if most != resource.RLIM_INFINITY and most < LEAST_FILES:
        raise UserError(
            f"this process may open {most} files, and Ray needs {LEAST_FILES} or more: raise the limit "
            "(ulimit -n, docker run --ulimit nofile=65536), or train with --num-workers 0"
        )


def _can_keep_token() -> bool:
    """Whether Ray has a token for its cluster on this machine, needs none, or can write one."""
    if any(name in os.environ for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        return True
    try:
        file = Path.home() / ".ray" / "auth_token"
        if file.exists():
            return os.access(file, os.R_OK)
        there = next(folder for folder in file.parents if folder.exists())
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # no home folder at all
        return False


def knock(address: str) -> None:
    """Ask the cluster at `address` whether it is there. Raises UserError."""
    _refuse_strangers()
    if "://" in address:
        raise unreachable(address, "it is not HOST:PORT, the address that `ray start --head` prints")
    _show_token()
    try:
        services, raylet = import_module("ray._private.services"), import_module("ray._raylet")
        found = services.canonicalize_bootstrap_address(address)
        resolve, client = services.parse_address, raylet.GcsClient
    except (ImportError, AttributeError):
        return
    except Exception as error:
        raise unreachable(address, one_line(error)) from None
    try:
        host, port = resolve(found)
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError, TypeError) as error:
        raise unreachable(address, f"nobody listens there ({one_line(error)})") from None
    answer: list[Exception | None] = []

    def ask() -> None:
        try:
            client(address=found)
            answer.append(None)
        except Exception as error:
            answer.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    if not answer:
        raise unreachable(address, "what listens there does not answer as a Ray cluster does")
    if answer[0] is not None:
        raise _refused(address, answer[0])


def _show_token() -> None:
    """Have Ray show its token to the cluster if there is one, since `ray start --head` asks for it then."""
    try:
        setup = import_module(TOKENS_SET_UP_IN)
        setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    except (ImportError, AttributeError):
        return


def _refused(address: str, error: Exception) -> UserError:
    """The error for a cluster that answers, but not to us."""
    text = one_line(error)
    if not any(word in text for word in ("AuthToken", "UNAUTHENTICATED", "Unauthenticated", "token")):
        return unreachable(address, text[:300])
    return UserError(
        f"the Ray cluster at {address} does not accept this machine's token: set RAY_AUTH_MODE=token and "
        "RAY_AUTH_TOKEN to what `ray get-auth-token` prints on its head node"
    )
