"""The commit that is recorded is that of this code, or none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hrm_rl.utils import files
from hrm_rl.utils.files import provenance


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with somebody's project, in which this package lies in a virtual environment."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    package = folder / ".venv" / "utils"
    package.mkdir(parents=True)
    (package / "files.py").touch()
    (folder / "main.py").touch()
    git(folder, "init", "-q")
    git(folder, "add", "main.py")
    git(folder, "commit", "-qm", "theirs")
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    return folder


def test_the_commit_of_a_repository_that_holds_other_code_is_not_recorded(project: Path) -> None:
    assert provenance()["commit"] == "unknown"


def test_the_commit_of_a_repository_that_holds_this_code_is_recorded_with_changes(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    git(project, "add", "-f", ".venv")
    git(project, "commit", "-qm", "ours")
    head = git(project, "rev-parse", "HEAD")
    assert provenance()["commit"] == head
    (project / "main.py").write_text("x = 1\n")
    assert provenance()["commit"] == f"{head}+changes"
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))  # as in a hook of another repository
    assert provenance()["commit"] == f"{head}+changes"


def test_without_git_or_a_repository_the_commit_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "files.py").touch()
    monkeypatch.setattr(files, "__file__", str(tmp_path / "files.py"))
    assert provenance()["commit"] == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance()["commit"] == "unknown"
