"""What a module imports, found by reading the source: the truth behind `deps` in `dvc.yaml`.

Nothing is executed. Imports inside functions count, imports for type checking only do not.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGES = ("hmer", "pipeline")


@dataclass
class Reach:
    """What is reached from a module: project files (relative) and foreign top-level modules."""

    files: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)


def reach(module: str, root: Path) -> Reach:
    """Follow the imports of `module` through the project's packages.

    Args:
        module: dotted name.
        root: folder that holds the packages.

    Raises:
        ValueError: there is no such module.
    """
    found = Reach()
    start = _file(module, root)
    if start is None:
        raise ValueError(f"no module {module} under {root}")
    waiting = [module]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.split(".")[0] not in PACKAGES:
            found.foreign.add(name.split(".")[0])
            continue
        file = _file(name, root)
        if file is None:
            continue  # an attribute of a module, imported by name
        found.files.add(file.relative_to(root).as_posix())
        parts = name.split(".")
        # Importing a.b.c runs the packages a and a.b first.
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        # What the package itself imports in a function is on offer to users, as `hmer.Recognizer`.
        waiting += imported(file, name, lazily=name not in PACKAGES)
        if name == "hmer.models.registry":  # imports its packages by name
            waiting += [
                f"hmer.models.{path.parent.name}.{path.stem}".removesuffix(".__init__")
                for path in (root / "hmer/models").glob("*/*.py")
            ]
    found.foreign -= sys.stdlib_module_names
    return found


@cache
def imported(file: Path, module: str, lazily: bool = True) -> list[str]:
    """Dotted names that a source file may import: `from a import b` gives `a` and `a.b`.

    Args:
        file: Python source.
        module: its dotted name.
        lazily: imports inside functions, too.
    """
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names = []
    for node in _runtime(ast.parse(file.read_text(encoding="utf-8"), str(file)), lazily):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _runtime(node: ast.AST, lazily: bool) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`, and in functions unless `lazily`."""
    yield node
    if not lazily and isinstance(node, ast.FunctionDef):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _runtime(other, lazily)
        else:
            yield from _runtime(child, lazily)


def _file(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None
