"""The arrows between the parts point one way."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pipeline.imports import imported

ROOT = Path(__file__).parents[1]
LAYERS = (
    "cli",
    "commands",
    "evaluation web",
    "recognition_picture recognizer selfsup",
    "export recognition_symbols training",
    "ingest models recognition",
    "data",
    "decoding masking synthesis",
    "latex",
    "ink plots",
    "extra files progress",
    "errors",
)
"""Packages and modules of `hmer`; each imports from lines below its own only."""
TOOLS = {"dvc", "prefect", "mlflow", "great_expectations"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def tops(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(file, dotted(file))}


def drawn() -> list[tuple[str, set[str]]]:
    """Package and parts of each row of the picture in the documentation, from the top."""
    svg = "{http://www.w3.org/2000/svg}"
    return [
        (
            str(row.get("data-package")),
            {str(one.text) for one in row.iter(f"{svg}text") if one.get("class") == "part"},
        )
        for row in ET.parse(ROOT / "docs/architecture.svg").iter(f"{svg}g")
    ]


def part(module: str) -> str:
    """`latex` for `hmer.latex.tree`; "" for `hmer` itself."""
    return module.split(".")[1] if "." in module else ""


def test_no_arrow_of_the_library_runs_up() -> None:
    level = {name: number for number, line in enumerate(LAYERS) for name in line.split()}
    level[""] = level["cli"]  # `hmer` itself offers what is below
    wrong = []
    for file in modules("hmer"):
        here = part(dotted(file))
        assert here in level, f"{file.relative_to(ROOT)}: add {here!r} to LAYERS"
        wrong += [
            f"{dotted(file)} imports {other}"
            for other in imported(file, dotted(file))
            if other.startswith("hmer.")
            and (there := part(other)) in level
            and there != here
            and level[there] <= level[here]
        ]
    assert not wrong


def packages(folder: str) -> set[str]:
    inside = (ROOT / folder).iterdir()
    return {path.name for path in inside if len(list(path.glob("*.py"))) > 1}


def test_the_picture_shows_the_layers() -> None:
    (top, parts), *rows = drawn()
    assert top == "pipeline" and parts == packages("pipeline")
    shown = packages("hmer") | {"masking", "plots", "recognizer"}
    layers = [set(line.split()) & shown for line in LAYERS]
    assert rows == [("hmer", layer) for layer in layers if layer]


def test_the_library_knows_nothing_of_the_pipeline() -> None:
    for file in modules("hmer"):
        forbidden = tops(file) & (TOOLS | {"pipeline"})
        assert not forbidden, f"{file.relative_to(ROOT)} imports {sorted(forbidden)}"


@pytest.mark.parametrize(
    ("tool", "homes"),
    [
        ("mlflow", {"tracking", "registry"}),
        ("prefect", {"flow"}),
        ("great_expectations", {"gate"}),
        # DVC is a program to us: its modules are not a public interface.
        ("dvc", set()),
    ],
)
def test_each_tool_has_one_home(tool: str, homes: set[str]) -> None:
    users = {file.parent.name for file in modules("pipeline") if tool in tops(file)}
    assert users <= homes


@pytest.mark.parametrize("package", ["hmer", "pipeline"])
def test_no_module_needs_itself(package: str) -> None:
    """By way of others; imports inside functions count."""
    files = {dotted(file): file for file in modules(package)}
    graph = {
        name: {other for other in imported(file, name) if other in files} - {name, package}
        for name, file in files.items()
    }
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names them


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_importing_the_pipeline_loads_no_heavy_tool() -> None:
    code = (
        "import sys\n"
        "import pipeline.__main__, pipeline.stage\n"
        "import pipeline.tracking.runs, pipeline.registry.versions\n"
        f"heavy = {sorted(TOOLS | {'torch', 'lightning', 'pandas'})!r}\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
