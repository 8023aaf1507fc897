"""The declared graph is honest, and read as DVC reads it."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from hmer.errors import HmerError
from pipeline.dvcfile import (
    Declaration,
    declaration,
    declarations,
    is_code,
    running_order,
    to_do,
    upstream,
)
from pipeline.imports import reach
from pipeline.params import lookup, read_yaml

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

ROOT = Path(__file__).parents[2]


def test_order_of_a_diamond() -> None:
    graph: dict[str, set[str]] = {
        "end": {"left", "right"},
        "left": {"in"},
        "right": {"in"},
        "in": set(),
    }
    assert running_order(graph) == ["in", "left", "right", "end"]


@pytest.mark.medium
def test_edges_are_those_that_dvc_sees() -> None:
    from dvc.repo import Repo

    graph = Repo(str(ROOT)).index.graph
    ours = upstream(declarations(ROOT))
    assert ours == {s.addressing: {n.addressing for n in graph[s]} for s in graph}
    order = running_order(ours)
    assert all(ours[stage] <= set(order[:n]) for n, stage in enumerate(order))
    commands = [stage.cmd for stage in graph]
    assert all(cmd.startswith("exec ") for cmd in commands), "a shell would outlive DVC"


@pytest.mark.medium
def test_nonsense_is_told_in_the_words_of_dvc(toy: Toy) -> None:
    (toy.root / "dvc.yaml").write_text("stages: {a: {cmd: x, outs: [o], dips: [p]}}")
    with pytest.raises(HmerError, match=r"dvc cannot read the pipeline: .*extra keys not allowed"):
        to_do(toy.root)


@pytest.mark.medium
def test_what_there_is_to_do(toy: Toy, made: Toy) -> None:
    assert to_do(toy.root) == {"first", "second", "third"}
    assert to_do(made.root) == set()
    made.params(second={"text": "more"})
    assert to_do(made.root) == {"second", "third"}
    (made.root / "raw.txt").write_text("other ink")
    assert to_do(made.root) == {"first", "second", "third"}
    made.params()
    (made.root / "raw.txt").write_text("ink")
    (made.root / "out/third/value.txt").unlink()
    assert to_do(made.root) == {"third"}


@pytest.mark.medium
def test_a_busy_dvc_means_that_anything_may_have_changed(made: Toy) -> None:
    made.params(second={"seconds": 100000})
    pid = made.root / "pid-second"
    pid.unlink()
    busy = made.start("-m", "dvc", "repro", "second")
    try:
        while not (pid.exists() and pid.read_text()):
            assert busy.poll() is None
            time.sleep(0.05)
        assert to_do(made.root) == {"first", "second", "third"}
    finally:
        busy.send_signal(signal.SIGTERM)
        psutil.Process(int(pid.read_text())).terminate()
        busy.communicate()


TEXT = """
stages:
  a:
    cmd: x
    deps: ["${raw}", code/a.py]
    params: [base, a]
    outs:
      - out/a
      - out/b: {persist: true}
    metrics:
      - m.json: {cache: false}
  b: {cmd: y}
"""


def test_deps_outs_params_with_templates_filled_in(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").write_text("raw: /some/where")
    found = declaration(tmp_path, "a")
    assert found.deps == ("/some/where", "code/a.py")
    assert found.outs == ("out/a", "out/b", "m.json")
    assert found.params == ("base", "a")
    assert list(declarations(tmp_path)) == ["a", "b"]


def test_what_lies_inside(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").write_text("raw: data/raw")
    found = declaration(tmp_path, "a")
    assert found.reads("data/raw/x.zip") and found.reads("data/raw")
    assert not found.reads("data/rawer") and not found.reads("data")
    assert found.writes("out/a") and found.writes("out") and not found.writes("elsewhere")


@pytest.mark.parametrize(
    ("params", "name", "wanted"),
    [
        ("{}", "a", "dvc.yaml uses ${raw}, which params.yaml does not set"),
        ("raw: x", "c", "dvc.yaml has no stage 'c', only a, b"),
    ],
)
def test_mistakes(tmp_path: Path, params: str, name: str, wanted: str) -> None:
    (tmp_path / "dvc.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").write_text(params)
    with pytest.raises(HmerError) as caught:
        declaration(tmp_path, name)
    assert str(caught.value) == wanted


STAGES = declarations(ROOT)
COVERED = {"hmer/models": "data/plan/recogniser.json"}
"""By the digest of the chosen recogniser's code, in stages that depend on that file."""


def undeclared(stage: Declaration) -> set[str]:
    """Packages of the library, and modules beside them, that a stage imports and does not name."""
    small = {f"hmer/{name}.py" for name in ("__init__", "errors", "extra", "files", "progress")}
    files = reach(f"pipeline.stages.{stage.name}", ROOT).files - small
    left = [file for file in files if file.startswith("hmer/") and not stage.reads(file)]
    left = [file for file in left if (ROOT / file).read_text().count("\n") > 3]
    packages = {"/".join(file.split("/")[:2]) for file in left}
    return {one for one in packages if COVERED.get(one, "") not in stage.deps}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_every_imported_package_is_a_dependency(stage: Declaration) -> None:
    # These ask recognisers for names and sizes, or write weights: no other code of theirs runs.
    by_name = stage.name in {"plan", "pretrain", "attend"}
    allowed = {f"hmer/{name}" for name in ("data", "ink", "latex", "models") if by_name}
    if not any(dep.startswith("hmer/") for dep in stage.deps):
        allowed.add("hmer/ink")  # of pipeline/params.py, for the class of the section `base`
    assert undeclared(stage) <= allowed
    assert f"pipeline/stages/{stage.name}.py" in stage.deps
    assert not [dep for dep in stage.deps if is_code(dep) and not (ROOT / dep).exists()]
    for key in stage.params:
        lookup(read_yaml(ROOT / "params.yaml"), key)


def test_a_package_that_is_left_out_is_found() -> None:
    stage = STAGES["evaluate"]
    deps = tuple(dep for dep in stage.deps if dep not in {"hmer/decoding", COVERED["hmer/models"]})
    assert undeclared(replace(stage, deps=deps)) == {"hmer/decoding", "hmer/models"}


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("hmer/decoding/beam.py", {"evaluate", "register"}),
        ("hmer/selfsup/attend.py", {"pretrain", "attend"}),
        ("hmer/training/finetune.py", {"pretrain", "attend", "finetune"}),
        ("hmer/models/bttr/__init__.py", {"plan"}),
        ("hmer/models/common/layers.py", {"plan", "pretrain", "attend"}),
        ("hmer/evaluation/metrics.py", {"evaluate", "register"}),
        ("pipeline/gate/expectations.py", {"validate"}),
        ("pipeline/registry/versions.py", {"register"}),
        ("pipeline/tracking/runs.py", set()),
        ("pipeline/stage.py", set()),
    ],
)
def test_a_change_runs_again_what_it_must_and_no_more(file: str, stages: set[str]) -> None:
    """Of stages that depend on the file itself; those after them follow if results differ."""
    assert (ROOT / file).is_file()
    assert {name for name, stage in STAGES.items() if stage.reads(file)} == stages


def test_a_training_may_start_from_the_shipped_weights_which_are_no_code() -> None:
    assert "data/models/attend" in STAGES["finetune"].deps
    assert is_code("hmer/recognizer.py")
    assert not is_code("hmer/shipped") and not is_code("hmer/shipped/model.safetensors")


def test_labels_are_out_of_sight_of_self_supervision() -> None:
    for name in ("pretrain", "attend"):
        reads = [dep for dep in STAGES[name].deps if dep.startswith("data/dataset")]
        pictures = ["data/dataset/val.parquet"] if name == "attend" else []
        assert reads == ["data/dataset/train.parquet", *pictures]
        assert not [dep for dep in STAGES[name].deps if dep.startswith("hmer/latex")]


def test_training_waits_for_the_gate_and_never_sees_test_data() -> None:
    for name in ("pretrain", "attend", "finetune"):
        stage = STAGES[name]
        assert "reports/validation/gate.json" in stage.deps
        assert not stage.reads("data/dataset/test.parquet")
