"""The code among the `deps` of `dvc.yaml`: what a stage imports, no more and no less.

Too little, and a change of code leaves old results standing; too much, and a comment costs a
training. So the list is computed, and a test compares.
"""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

from hmer.files import atomic_file
from pipeline.declaration import declarations
from pipeline.imports import PACKAGES, reach

SHIPPED = "hmer/shipped"
"""The recogniser that comes with the package: weights, not code."""

WITNESSES = frozenset(
    {
        "hmer/errors.py",
        "hmer/files.py",
        "hmer/progress.py",
        *(
            f"pipeline/{name}.py"
            for name in (
                "declaration",
                "environment",
                "interruption",
                "launch",
                "locks",
                "resume",
                "scale",
                "stage",
                "tracking/curves",
                "tracking/datasets",
                "tracking/left_open",
                "tracking/lineage",
                "tracking/provenance",
                "tracking/relocation",
                "tracking/runs",
                "tracking/store",
                "tracking/tracker",
            )
        ),
    }
)
"""Files around every stage that move, watch or report results but cannot change one.

They are not `deps`: a better error message must not cost a training. What turns `params.yaml` into
configurations (`sections.py`, `base.py`) is not among them.
"""


def code_deps(stage: str, root: Path) -> list[str]:
    """Files that a stage imports; a folder where it imports all of it.

    Raises:
        ValueError: the stage has no module.
    """
    found = reach(f"pipeline.stages.{stage}", root).files - WITNESSES
    return _folded({file for file in found if not _says_nothing(root / file)}, root)


def is_code(dep: str) -> bool:
    """Whether a dependency of `dvc.yaml` is code of this project; the shipped weights are none."""
    return dep.split("/")[0] in PACKAGES and not PurePosixPath(dep).is_relative_to(SHIPPED)


def outdated_deps(root: Path) -> list[str]:
    """Names of the stages whose code in `dvc.yaml` is not what they import."""
    stages = declarations(root).values()
    return [
        stage.name
        for stage in stages
        if [dep for dep in stage.deps if is_code(dep)] != code_deps(stage.name, root)
    ]


def write_deps(root: Path) -> list[str]:
    """Bring the code among the deps in `dvc.yaml` up to date, keeping its comments.

    Returns:
        Names of the stages that changed.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    path = root / "dvc.yaml"
    document = yaml.load(path.read_text(encoding="utf-8"))
    changed = []
    for name, stage in document["stages"].items():
        old = list(stage["deps"])
        new = [dep for dep in old if not is_code(dep)] + code_deps(name, root)
        if new != old:
            # In place: comments after the list hang on the list object.
            stage["deps"][:] = new
            changed.append(str(name))
    if changed:
        with atomic_file(path) as partial, partial.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)
    return changed


def _folded(files: set[str], root: Path) -> list[str]:
    """Replace files by their folder where no code in it is left out."""
    folded = set(files)
    folders = {parent for file in files for parent in Path(file).parents if len(parent.parts) > 1}
    for folder in sorted(folders, key=lambda path: len(path.parts)):
        inside = {p.relative_to(root).as_posix() for p in (root / folder).rglob("*.py")}
        wanted = {file for file in inside if not _says_nothing(root / file)}
        if len(wanted) > 1 and wanted <= files:
            folded = {f for f in folded if folder not in Path(f).parents} | {folder.as_posix()}
    return sorted(folded)


def _says_nothing(file: Path) -> bool:
    """An empty file, or a package's file with no more than a docstring."""
    if file.suffix != ".py":
        return False
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return not body or (len(body) == 1 and ast.get_docstring(ast.Module(body, [])) is not None)
