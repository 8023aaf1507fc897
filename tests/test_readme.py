from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from hmer.ingest.ingest import IngestConfig, ingest_source
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink

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


def test_its_source_of_data_works(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(# hmer/ingest/sources/mine.py\n.*?)```", README, re.DOTALL)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mine", tmp_path / "mine.py")
    assert spec is not None and spec.loader is not None
    mine = importlib.util.module_from_spec(spec)
    sys.modules["mine"] = mine
    spec.loader.exec_module(mine)
    ink = Ink((np.array([[0, 0], [60, 90]], np.float32),))
    (tmp_path / "ink").mkdir()
    for number in range(40):
        document = InkDocument(ink, "x + 1", writer=f"w{number}")
        (tmp_path / "ink" / f"{number}.inkml").write_bytes(write_inkml(document))
    source = mine.MineConfig(path=str(tmp_path / "ink"))
    summary = ingest_source(source.open(None), IngestConfig(workers=1), tmp_path / "dataset")
    assert sum(split.samples for split in summary.splits.values()) == 40
    assert summary.source == "mine"
