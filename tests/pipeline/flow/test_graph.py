from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hmer.errors import HmerError
from pipeline.declaration import declarations
from pipeline.flow.graph import anything_to_do, parse_dot, running_order, stage_graph

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

ROOT = Path(__file__).parents[3]


def test_dot() -> None:
    dot = 'strict digraph {\n"a";\n"b c";\n"a" -> "b c";\n"a" -> "d";\n}\n'
    assert parse_dot(dot) == {"a": set(), "b c": {"a"}, "d": {"a"}}


def test_order_of_a_diamond() -> None:
    graph: dict[str, set[str]] = {
        "end": {"left", "right"},
        "left": {"in"},
        "right": {"in"},
        "in": set(),
    }
    assert running_order(graph) == ["in", "left", "right", "end"]


def test_the_pipeline_of_this_project() -> None:
    graph = stage_graph(ROOT)
    assert set(graph) == set(declarations(ROOT))
    order = running_order(graph)
    assert order == ["ingest", "validate", "pretrain", "attend", "finetune", "evaluate", "register"]
    assert "validate" in graph["pretrain"] & graph["attend"] & graph["finetune"]


def test_nonsense_is_told_in_the_words_of_dvc(toy: Toy) -> None:
    (toy.root / "dvc.yaml").write_text("stages: {a: {cmd: x, outs: [o], dips: [p]}}")
    with pytest.raises(HmerError, match=r"dvc cannot read the pipeline: .*extra keys not allowed"):
        stage_graph(toy.root)


def test_something_to_do(toy: Toy) -> None:
    assert anything_to_do(toy.root)
    assert toy.run("-m", "dvc", "repro").returncode == 0
    assert not anything_to_do(toy.root)
    (toy.root / "raw.txt").write_text("other ink")
    assert anything_to_do(toy.root)
