"""A process that has imported what commands need, and forks one for each command it is asked for.

It reads a JSON object a line and answers with one: `{"args": [...], "folder": ..., "log": ..., "env": {...},
"limits": {...}, "user": ...}` starts a command and gives its pid; `{"wait": PID}` gives its exit status, null
while it runs. Imports take seconds and a command on a tiny run takes one, so that this makes hundreds of
faults affordable; the commands are processes like any other.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any


def main() -> None:
    """Serve until standard input ends. Arguments: the module whose `main` is the program, and modules that
    its commands would import."""
    import torch

    program = import_module(sys.argv[1])
    for name in sys.argv[2:]:
        import_module(name)
    torch.set_num_threads(1)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _status(asked["wait"]) if "wait" in asked else {"pid": _fork(asked, program.main)}
        print(json.dumps(answer), flush=True)


def _status(pid: int) -> dict[str, int | None]:
    done, status = os.waitpid(pid, os.WNOHANG)
    return {"status": os.waitstatus_to_exitcode(status) if done else None}


def _fork(asked: dict[str, Any], program: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _become(asked)
        sys.argv[1:] = asked["args"]
        status = program()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _become(asked: dict[str, Any]) -> None:
    """Make this process what the command shall run as."""
    os.setsid()
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, copy in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, copy)
    os.chdir(asked["folder"])
    for name, value in asked["env"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for name, value in asked["limits"].items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
    if asked["user"] is not None:
        os.setgroups([])
        os.setgid(asked["user"])
        os.setuid(asked["user"])


if __name__ == "__main__":
    main()
