"""Phase 1."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from hmer.data.buckets import BatchConfig
from hmer.data.dataset import load_expressions
from hmer.errors import HmerError
from hmer.selfsup import pretrain as phase
from hmer.selfsup.pretrain import spread
from hmer.training.fit import CHECKPOINT
from hmer.training.optimisation import OptimisationConfig

Train = Callable[..., dict[str, float]]
OUTPUTS = ("encoder.safetensors", "encoder.json", "curves.csv", "metrics.json")


def test_spread_by_hand() -> None:
    assert spread(torch.ones(5, 3) * torch.arange(1, 6)[:, None]).item() < 1e-6
    # Both channels hold 1, -1, 0, 0, of variance 2/3; times the square root of two channels.
    cross = torch.tensor([[1.0, 0], [-1, 0], [0, 5], [0, -5]])
    assert spread(cross).item() == pytest.approx(math.sqrt(2 / 3) * math.sqrt(2))
    torch.manual_seed(0)
    assert spread(torch.randn(4000, 16)).item() == pytest.approx(1, abs=0.02)


def test_outputs(finished: Path) -> None:
    folder = finished / "pretrain"
    assert {path.name for path in folder.iterdir()} == {*OUTPUTS, "resume"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert sorted(metrics) == ["loss", "loss_global", "loss_local", "spread"]
    assert all(map(math.isfinite, metrics.values()))
    assert metrics["loss"] == pytest.approx(
        metrics["loss_global"] + metrics["loss_local"], abs=2e-4
    )
    curves = pd.read_csv(folder / "curves.csv")
    assert curves["step"].tolist() == [2, 4, 6]
    assert curves["spread"].iloc[-1] == pytest.approx(metrics["spread"], abs=1e-4)
    about = json.loads((folder / "encoder.json").read_text())
    assert about["kind"] == "encoder"
    assert about["config"] == {"name": "compact", "width": 16, "blocks": [1, 1, 1]}


def test_training_again_gives_the_same_bytes(train: Train, finished: Path, tmp_path: Path) -> None:
    train("pretrain", tmp_path)
    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (finished / "pretrain" / name).read_bytes()


def test_labels_are_not_read(
    train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Untouchable(list[list[str]]):
        def __getitem__(self, index: Any) -> Any:
            raise AssertionError("a label was read")

        __iter__ = __getitem__  # type: ignore[assignment]

    monkeypatch.setattr(
        phase,
        "load_expressions",
        lambda path: replace(load_expressions(path), tokens=Untouchable()),
    )
    train("pretrain", tmp_path)
    name = "encoder.safetensors"
    assert (tmp_path / name).read_bytes() == (finished / "pretrain" / name).read_bytes()


def test_images_alone(train: Train, picture_dataset: Path, tmp_path: Path) -> None:
    metrics = train("pretrain", tmp_path, data=picture_dataset)
    assert all(map(math.isfinite, metrics.values()))
    assert metrics["loss_local"] > 0


@pytest.mark.parametrize("limits", [{"max_pixels": 1024}, {"max_count": 1}])
def test_there_is_always_something_to_contrast(
    train: Train, tmp_path: Path, limits: dict[str, int]
) -> None:
    metrics = train("pretrain", tmp_path, batch=BatchConfig(**limits))
    assert math.isfinite(metrics["loss_global"])
    assert metrics["loss_global"] > 0


def test_a_weight_of_zero_takes_a_loss_out(train: Train, tmp_path: Path) -> None:
    metrics = train("pretrain", tmp_path, local_weight=0.0)
    assert metrics["loss_local"] == 0
    assert metrics["loss"] == metrics["loss_global"]


@pytest.mark.parametrize("leg", [2, 6])
def test_collapse_stops_the_training_and_is_not_kept(
    train: Train, tmp_path: Path, leg: int
) -> None:
    optimisation = _optimisation(leg)
    for _ in range(2):  # a retry must not slip past the check
        with pytest.raises(HmerError, match=r"collapsed.*learning_rate"):
            train("pretrain", tmp_path, collapse=0.999, optimisation=optimisation)
        assert not (tmp_path / "encoder.safetensors").exists()
        assert not (tmp_path / "resume" / CHECKPOINT).exists()


def _optimisation(leg: int) -> OptimisationConfig:
    return OptimisationConfig(steps=6, leg=leg, precision="32-true", workers=0)


def test_one_expression_is_too_few(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase, "load_expressions", lambda path: load_expressions(path).head(1))
    with pytest.raises(HmerError, match=r"train\.parquet.*at least two"):
        train("pretrain", tmp_path)


def test_every_weight_is_trained(train: Train, tmp_path: Path, finished: Path) -> None:
    """Nothing in the encoder is left out: after five more steps all of it has changed."""
    train("pretrain", tmp_path, optimisation=_optimisation(6).model_copy(update={"steps": 1}))
    short = load_file(tmp_path / "encoder.safetensors")
    long = load_file(finished / "pretrain" / "encoder.safetensors")
    same = [name for name in short if torch.equal(short[name], long[name])]
    assert not same
