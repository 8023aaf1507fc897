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
WITNESSES = frozenset(
    f"pipeline/{name}.py"
    for name in (
        "__init__",
        "curves",
        "declaration",
        "environment",
        "interruption",
        "locks",
        "outputs",
        "resume",
        "stage",
        "stages/__init__",
        "tracking",
    )
)
"""Files around every stage that move, watch or guard results but cannot change one.

They are not `deps`: a better error message must not cost a training. What turns `params.yaml` into
configurations (`sections.py`, `base.py`) is not among them.
"""


@dataclass
class Reach:
    """What is reached from a module: project files (relative) and foreign top-level modules."""

    files: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)


def reach(module: str, root: Path, *, without: frozenset[str] = frozenset()) -> Reach:
    """Follow the imports of `module` through the project's packages.

    Args:
        module: dotted name.
        root: folder that holds the packages.
        without: project files whose own imports are not followed either.

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
        relative = file.relative_to(root).as_posix()
        if relative in without:
            continue
        found.files.add(relative)
        parts = name.split(".")
        # Importing a.b.c runs the packages a and a.b first.
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        waiting += imported(file, name)
    found.foreign -= sys.stdlib_module_names
    return found


@cache
def imported(file: Path, module: str) -> list[str]:
    """Dotted names that a source file may import: `from a import b` gives `a` and `a.b`."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names = []
    for node in _runtime(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _runtime(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _runtime(other)
        else:
            yield from _runtime(child)


def _file(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None
