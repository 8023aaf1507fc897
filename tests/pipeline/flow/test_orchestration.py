"""What surrounds the stages in a flow."""

from __future__ import annotations

from pathlib import Path

from pipeline.flow.config import FlowConfig, is_training


def test_which_stages_train(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: {optimisation: {steps: 3}}\nb: {steps: 3}\nc: 3\n")
    assert [stage for stage in "abcd" if is_training(tmp_path, stage)] == ["a"]


def test_time_limits() -> None:
    config = FlowConfig(limit=10, limits={"finetune": 0.5})
    assert (config.seconds("finetune"), config.seconds("ingest")) == (30, 600)
