"""Imports point downwards: envs <- models <- hrm_rl <- distributed <- scripts, and Ray is at one place only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

LONGEST_MODULE = 400


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def imports(path: Path) -> Iterator[str]:
    """Full names of everything that a module imports, wherever in it."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            origin = ".".join([*base, node.module or ""]).strip(".")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def offences(paths: list[Path], *forbidden: str) -> list[str]:
    """`module imports name` for each import of a forbidden name or of what is below it."""
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in imports(path)
        if any(name == f or name.startswith(f + ".") for f in forbidden)
    ]


def outside(folder: str, *parts: str) -> list[Path]:
    """Modules of `folder` that are in none of its sub-folders `parts`."""
    return [p for p in modules(folder) if p.relative_to(ROOT / folder).parts[0] not in parts]


def test_envs_know_no_network_and_no_cluster() -> None:
    assert offences(modules("envs"), "torch", "ray", "hrm_rl") == []


def test_models_know_nothing_of_environments_losses_and_training() -> None:
    allowed = {"hrm_rl.config", "hrm_rl.utils.errors", "hrm_rl.utils.files", "hrm_rl.models"}
    for path in modules("hrm_rl/models"):
        assert offences([path], "envs", "ray", "gymnasium") == []
        own = {".".join(name.split(".")[:2]) for name in imports(path) if name.startswith("hrm_rl")}
        if path.name == "compat.py":  # the name that users import hrm_rl.compat under, and nothing more
            assert own == {"hrm_rl.compat"}
            continue
        assert own <= allowed, f"{path.name} imports {own - allowed}"


def test_only_distributed_imports_ray() -> None:
    assert offences(outside("hrm_rl", "distributed"), "ray") == []
    assert offences(modules("hrm_rl/distributed"), "ray"), "the test looks at the wrong folder"


def test_nothing_below_imports_distributed() -> None:
    assert offences(outside("hrm_rl", "distributed"), "hrm_rl.distributed") == []


def test_the_loop_and_all_below_it_know_no_command() -> None:
    """Commands parse flags and print; what they call must not know them."""
    commands = [p for p in outside("hrm_rl", "distributed") if p.stem.endswith("_command") or p.stem == "cli"]
    rest = [p for p in outside("hrm_rl", "distributed") if p not in commands]
    assert commands
    assert offences(rest, "tyro", *(f"hrm_rl.{p.stem}" for p in commands)) == []


def test_scripts_are_thin() -> None:
    for path in modules("scripts"):
        assert len(path.read_text().splitlines()) <= 40, path.name
        functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
        assert len(functions) <= 1, path.name


@pytest.mark.parametrize("folder", ["envs", "hrm_rl", "scripts"])
def test_modules_are_short_and_say_what_they_are_for(folder: str) -> None:
    for path in modules(folder):
        text = path.read_text()
        assert len(text.splitlines()) <= LONGEST_MODULE, path
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), path
