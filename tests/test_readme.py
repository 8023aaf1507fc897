from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree() -> list[str]:
    """Paths of the annotated tree."""
    (block,) = re.findall(r"## What is where\n\n```\n(.*?)```", README, re.DOTALL)
    paths, folder = [], ""
    for line in block.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
        paths.append(name if not line.startswith(" ") else folder + name)
    return paths


@pytest.mark.parametrize("path", tree())
def test_what_the_tree_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_tree_names_every_part_of_the_library() -> None:
    parts = {f"hmer/{p.name}/" for p in (ROOT / "hmer").iterdir() if (p / "__init__.py").exists()}
    assert parts <= set(tree())


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets
