"""What surrounds the stages in a flow."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.flow.config import WEBHOOK, FlowConfig, flow_config, is_training


def test_which_stages_train(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: {optimisation: {steps: 3}}\nb: {steps: 3}\nc: 3\n")
    assert [stage for stage in "abcd" if is_training(tmp_path, stage)] == ["a"]


def test_time_limits() -> None:
    config = FlowConfig(limit=10, limits={"finetune": 0.5})
    assert (config.seconds("finetune"), config.seconds("ingest")) == (30, 600)


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("flow: {webhook: 'http://here/'}\n")
    monkeypatch.delenv(WEBHOOK, raising=False)
    assert flow_config(tmp_path).webhook == "http://here/"
    monkeypatch.setenv(WEBHOOK, "http://there/secret")
    assert flow_config(tmp_path).webhook == "http://there/secret"


def test_the_address_is_checked(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("flow: {webhook: 'file:///etc/passwd'}\n")
    with pytest.raises(HmerError, match=r"flow\.webhook"):
        flow_config(tmp_path)
