"""`dvc.yaml` is honest: what stages import is what they depend on."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

import pytest

from pipeline.declaration import Declaration, declarations
from pipeline.dependencies import WITNESSES, code_deps, is_code, outdated_deps, write_deps
from pipeline.imports import reach
from pipeline.params import Params
from pipeline.sections import lookup, read_yaml

ROOT = Path(__file__).parents[2]
STAGES = declarations(ROOT)


def covers(stage: Declaration, file: str) -> bool:
    return any(PurePosixPath(file).is_relative_to(dep) for dep in stage.deps)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_every_imported_file_is_a_dependency(stage: Declaration) -> None:
    files = reach(f"pipeline.stages.{stage.name}", ROOT).files - WITNESSES
    speaking = {file for file in files if (ROOT / file).read_text().strip()}
    missing = sorted(
        file for file in speaking if not covers(stage, file) and not file.endswith("__init__.py")
    )
    assert not missing, f"run `make deps`: {stage.name} imports {missing}"


def test_no_dependency_is_stale() -> None:
    assert outdated_deps(ROOT) == [], "run `make deps`"


def test_a_training_may_start_from_the_shipped_weights_which_are_no_code() -> None:
    assert "data/models/attend" in STAGES["finetune"].deps
    assert is_code("hmer/models/store.py")
    assert not is_code("hmer/shipped") and not is_code("hmer/shipped/model.safetensors")


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_what_is_declared_exists(stage: Declaration) -> None:
    assert (ROOT / "pipeline/stages" / f"{stage.name}.py").is_file()
    missing = [dep for dep in stage.deps if is_code(dep) and not (ROOT / dep).exists()]
    assert not missing
    values = read_yaml(ROOT / "params.yaml")
    for key in stage.params:
        lookup(values, key)
    assert stage.name in stage.params
    assert stage.name in {field.alias or name for name, field in Params.model_fields.items()}


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("hmer/decoding/beam.py", {"evaluate", "register"}),
        ("hmer/selfsup/attend.py", {"attend"}),
        ("hmer/selfsup/pretrain.py", {"pretrain"}),
        ("hmer/training/finetune.py", {"finetune"}),
        # register scores a champion anew where the test data have changed.
        ("hmer/evaluation/metrics.py", {"evaluate", "register"}),
        ("pipeline/gate/expectations.py", {"validate"}),
        ("pipeline/registry/versions.py", {"register"}),
        ("hmer/recognizer.py", {"evaluate", "register"}),
        ("pipeline/tracking/runs.py", set()),
    ],
)
def test_a_change_runs_again_what_it_must_and_no_more(file: str, stages: set[str]) -> None:
    """Of stages that depend on the file itself; those after them follow if results differ."""
    assert (ROOT / file).is_file()
    assert {name for name, stage in STAGES.items() if covers(stage, file)} == stages


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


def test_writing_keeps_comments_and_is_idempotent(tmp_path: Path) -> None:
    for folder in ("hmer", "pipeline"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    write_deps(tmp_path)
    text = (tmp_path / "dvc.yaml").read_text()
    line = "      - pipeline/stages/attend.py\n"
    assert line in text and "# The one definition of the pipeline." in text
    (tmp_path / "dvc.yaml").write_text(text.replace(line, "      - pipeline/gone.py\n"))
    assert outdated_deps(tmp_path) == ["attend"]
    assert write_deps(tmp_path) == ["attend"]
    assert (tmp_path / "dvc.yaml").read_text() == text
    assert write_deps(tmp_path) == []
    assert "pipeline/stages/attend.py" in code_deps("attend", tmp_path)
