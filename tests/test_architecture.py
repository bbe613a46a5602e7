"""The order of the house: imports point down only, no circle, no module without a package, no long file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

ORDER = (
    "envs",
    "hrm_rl.utils",
    "hrm_rl.weights",
    "hrm_rl.config",
    "hrm_rl.models",
    "hrm_rl.data",
    "hrm_rl.agents",
    "hrm_rl.runs",
    "hrm_rl.compat",
    "hrm_rl.evaluation",
    "hrm_rl.text",
    "hrm_rl.analysis",
    "hrm_rl.training",
    "hrm_rl.export",
    "hrm_rl.sweeps",
    "hrm_rl.serving",
    "hrm_rl.distributed",
    "hrm_rl.benchmarks",
    "hrm_rl.faults",
    "hrm_rl.cli",
)
"""The packages from the ground up. A package may import from those before it only."""
SPECIFICATION = "hrm_rl.scalar"
"""The project in plain Python: one file that stands alone, with the names of the code that it specifies."""
LOOSE = {"__init__.py", "scalar.py"}
"""What may lie at the top of hrm_rl/ beside packages."""
MOST_MODULES = 14
LONGEST_MODULE = 400
ONLY_IN = {"fastapi": "hrm_rl.serving", "ray": "hrm_rl.distributed", "tyro": "hrm_rl.cli"}
"""Packages of others that one package of ours alone may import, and those above it."""
NOT_IN_ENVS = ("torch", "ray", "hrm_rl")


def name_of(path: Path) -> str:
    """The dotted name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(p): p for folder in ("envs", "hrm_rl") for p in sorted((ROOT / folder).rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """Full names of everything that a module imports, wherever in it, for types included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides where it points"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(path: Path) -> set[str]:
    """The modules of this project that a module imports."""
    found = set()
    for name in imports(path):
        module = name if name in MODULES else name.rpartition(".")[0]
        if module in MODULES:
            found.add(module)
    return found - {name_of(path)}


def package_of(module: str) -> str | None:
    """The package in ORDER that a module is in; None for hrm_rl itself."""
    return next((p for p in ORDER if module == p or module.startswith(p + ".")), None)


def test_every_package_has_its_place_in_the_order_and_no_module_is_left_loose() -> None:
    folders = {name_of(p) for p in (ROOT / "hrm_rl").iterdir() if (p / "__init__.py").exists()}
    assert {"envs", *folders} == set(ORDER)
    assert {p.name for p in (ROOT / "hrm_rl").glob("*.py")} <= LOOSE


def test_imports_point_down_only() -> None:
    climbs = [
        f"{name} imports {other}"
        for name, path in MODULES.items()
        for other in imported_modules(path)
        if (above := package_of(name))
        and (below := package_of(other))
        and ORDER.index(below) > ORDER.index(above)
    ]
    assert climbs == []


def test_no_circle_of_modules() -> None:
    edges = {name: imported_modules(path) for name, path in MODULES.items()}
    left = dict(edges)
    while True:  # take away what imports nothing that is left, until nothing more can go
        free = [name for name, others in left.items() if not others & left.keys()]
        if not free:
            break
        for name in free:
            del left[name]
    assert not left, f"circles among {sorted(left)}"


def test_envs_know_no_network_and_no_cluster() -> None:
    offences = [
        f"{name} imports {other}"
        for name, path in MODULES.items()
        if package_of(name) == "envs"
        for other in imports(path)
        if other.split(".")[0] in NOT_IN_ENVS
    ]
    assert offences == []


@pytest.mark.parametrize(("library", "package"), ONLY_IN.items())
def test_a_library_is_imported_where_it_belongs_only(library: str, package: str) -> None:
    importers = {package_of(n) for n, p in MODULES.items() for o in imports(p) if o.split(".")[0] == library}
    assert importers == {package}


def test_models_know_nothing_of_puzzles() -> None:
    allowed = {"hrm_rl.utils", "hrm_rl.config", "hrm_rl.models"}
    found = {
        package_of(o)
        for n, p in MODULES.items()
        if package_of(n) == "hrm_rl.models"
        for o in imported_modules(p)
    }
    assert found <= allowed


def test_packages_have_a_sentence_and_at_most_so_many_modules() -> None:
    for name, path in MODULES.items():
        if path.name != "__init__.py":
            continue
        assert ast.get_docstring(ast.parse(path.read_text())), f"{name} does not say what it is"
        beside = [p for p in path.parent.glob("*.py") if p.name != "__init__.py"]
        assert len(beside) <= MOST_MODULES, f"{name} has {len(beside)} modules"


def places_of(*kinds: type) -> dict[str, list[str]]:
    """Where classes, functions or both are defined, by name."""
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kinds):
                places.setdefault(node.name, []).append(name)  # type: ignore[attr-defined]
    return places


def test_no_two_classes_have_one_name() -> None:
    places = {
        name: [m for m in where if m != SPECIFICATION] for name, where in places_of(ast.ClassDef).items()
    }
    assert {n: where for n, where in places.items() if len(where) > 1} == {}


def test_the_specification_needs_the_standard_library_only() -> None:
    assert {name.split(".")[0] for name in imports(MODULES[SPECIFICATION])} <= sys.stdlib_module_names


def test_nothing_imports_the_specification() -> None:
    assert [name for name, path in MODULES.items() if SPECIFICATION in imported_modules(path)] == []


def test_the_specification_has_the_names_of_the_code() -> None:
    own = "Value Slot node number numbers exp log sigmoid dot softmax add level mlp self_attn solve generate"
    torchs = "AdamW bce backward state_dict load_state_dict parameters set_grad_enabled init_truncated_normal"
    files = "read_safetensors write_safetensors"
    places = places_of(ast.ClassDef, ast.FunctionDef)
    alone = {name for name, where in places.items() if where == [SPECIFICATION] and not name.startswith("__")}
    assert alone <= {*own.split(), *torchs.split(), *files.split()}


def test_every_folder_of_code_is_a_package() -> None:
    folders = {p.parent for p in MODULES.values()}
    assert [f for f in folders if not (f / "__init__.py").exists()] == []


@pytest.mark.parametrize("folder", ["envs", "hrm_rl", "scripts", "tests"])
def test_modules_are_short_and_say_what_they_are_for(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text()
        assert len(text.splitlines()) <= LONGEST_MODULE, path
        assert ast.get_docstring(ast.parse(text)), path


def test_scripts_are_thin() -> None:
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 12, path.name


def test_tests_mirror_the_packages() -> None:
    """A folder of tests has the name of a package; at the root lie the tests of the whole house."""
    packages = {p.rpartition(".")[2] for p in ORDER}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders - {"helpers", "golden"} <= packages
