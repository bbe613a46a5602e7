"""Writing files whole or not at all, reading YAML, and saying where code came from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from hrm_rl.utils.errors import UserError, one_line


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write under a temporary name, flush to disk, then rename. An error leaves nothing behind."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def whole_folder(path: Path) -> AbstractContextManager[Path]:
    """A temporary folder that becomes `path`, where nothing is yet, at the end; nothing is left after an
    error. Raises UserError if something is there."""
    from envs.folders.writer import new_folder  # as data sets are written; numpy comes with it

    return new_folder(path)


def digest(path: Path) -> str:
    """SHA-256 of a file's content, read piece by piece. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()


class _Twice(yaml.YAMLError):
    """A key that stands twice in one mapping."""


class _EachKeyOnce(yaml.SafeLoader):
    """PyYAML's safe loader keeps the last of two equal keys and says nothing; this one raises _Twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                where = f"lines {lines[name]} and {line}" if lines[name] != line else f"line {line}"
                raise _Twice(f"'{key.value}' stands twice, in {where}: YAML would keep the last alone")
            lines[name] = line
        return node


def read_yaml(path: Path, what: str) -> Any:
    """What a YAML file holds, not looked at yet. Raises UserError, which calls the file `what`; also for a
    key that stands twice."""
    try:
        return yaml.load(path.read_text(), _EachKeyOnce)  # a SafeLoader
    except OSError as error:
        raise UserError(f"cannot read {what} {path}: {error.strerror}") from None
    except _Twice as error:
        raise UserError(f"{path}: {error}; keep one of the two, with all that belongs under it") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not YAML: it is no text in UTF-8; save it as such") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {_yaml_fault(error)}") from None


def _yaml_fault(error: yaml.YAMLError) -> str:
    """`line 3: mapping values are not allowed here`."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return one_line(error)
    if error.problem is not None and "'\\t'" in error.problem:
        return f"line {error.problem_mark.line + 1}: a tab; YAML takes blanks only"
    begun = ""
    if error.context is not None and error.context_mark is not None:
        begun = f", {error.context} that begins in line {error.context_mark.line + 1}"
    return one_line(f"line {error.problem_mark.line + 1}{begun}: {error.problem}")


def provenance() -> dict[str, str]:
    """Versions of Python, of the packages that shape a run, and the git commit of this code."""
    packages = ("torch", "ray", "gymnasium", "numpy", "numba", "hrm-rl")
    versions = {name: _version(name) for name in packages}
    return {"python": platform.python_version(), **versions, "commit": _commit()}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""Variables, set in a hook for example, that have git look elsewhere than in the folder it is told of."""


def _commit() -> str:
    """The commit this code is at, with `+changes` if files differ from it; `unknown` outside a repository and
    in one that holds other code, such as that in which a virtual environment lies."""
    try:
        if not _git("ls-files", "--error-unmatch", "--", Path(__file__).name):
            return "unknown"
        return _git("rev-parse", "HEAD") + ("+changes" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*words: str) -> str:
    """What git says of the repository that this file is in, whichever one the shell has in mind. Raises
    SubprocessError where git refuses."""
    environment = {name: value for name, value in os.environ.items() if name not in OTHER_REPOSITORY}
    command = ["git", "-C", str(Path(__file__).parent), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=environment)
    return done.stdout.strip()
