from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from hmer.errors import HmerError
from pipeline.declaration import declarations
from pipeline.flow.graph import downstream, look, running_order

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

ROOT = Path(__file__).parents[3]


def test_order_of_a_diamond() -> None:
    graph: dict[str, set[str]] = {
        "end": {"left", "right"},
        "left": {"in"},
        "right": {"in"},
        "in": set(),
    }
    assert running_order(graph) == ["in", "left", "right", "end"]


def test_what_stands_on_a_change() -> None:
    graph: dict[str, set[str]] = {"in": set(), "a": {"in"}, "b": {"a"}, "other": {"in"}}
    assert downstream(graph, set()) == set()
    assert downstream(graph, {"a"}) == {"a", "b"}
    assert downstream(graph, {"in"}) == set(graph)


def test_the_pipeline_of_this_project() -> None:
    graph = look(ROOT).graph
    assert set(graph) == set(declarations(ROOT))
    order = running_order(graph)
    assert order == ["ingest", "validate", "pretrain", "attend", "finetune", "evaluate", "register"]
    assert "validate" in graph["pretrain"] & graph["attend"] & graph["finetune"]


def test_nonsense_is_told_in_the_words_of_dvc(toy: Toy) -> None:
    (toy.root / "dvc.yaml").write_text("stages: {a: {cmd: x, outs: [o], dips: [p]}}")
    with pytest.raises(HmerError, match=r"dvc cannot read the pipeline: .*extra keys not allowed"):
        look(toy.root)


def test_what_there_is_to_do(toy: Toy) -> None:
    assert look(toy.root).to_do == {"first", "second", "third"}
    assert toy.run("-m", "dvc", "repro").returncode == 0
    assert look(toy.root).to_do == frozenset()
    toy.params(second={"text": "more"})
    assert look(toy.root).to_do == {"second", "third"}
    (toy.root / "raw.txt").write_text("other ink")
    assert look(toy.root).to_do == {"first", "second", "third"}
    toy.params()
    (toy.root / "raw.txt").write_text("ink")
    (toy.root / "out/third/value.txt").unlink()
    assert look(toy.root).to_do == {"third"}


def test_a_busy_dvc_means_that_anything_may_have_changed(toy: Toy) -> None:
    assert toy.run("-m", "dvc", "repro").returncode == 0
    toy.params(second={"seconds": 60})
    busy = toy.start("-m", "dvc", "repro", "second")
    try:
        deadline = time.monotonic() + 60
        (toy.root / "pid-second").unlink()
        while not (toy.root / "pid-second").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert look(toy.root).to_do == {"first", "second", "third"}
    finally:
        busy.send_signal(signal.SIGTERM)
        psutil.Process(int((toy.root / "pid-second").read_text())).terminate()
        busy.communicate()
