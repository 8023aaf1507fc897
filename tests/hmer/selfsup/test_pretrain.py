"""Phase 1."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from hmer.data.batches import BatchConfig
from hmer.data.dataset import load_expressions
from hmer.errors import HmerError
from hmer.selfsup import pretrain as phase
from hmer.selfsup.contrast import Contrast
from hmer.selfsup.pretrain import METRICS, PretrainConfig
from hmer.training.fit import CHECKPOINT
from hmer.training.optimisation import OptimisationConfig

Train = Callable[..., dict[str, float]]
OUTPUTS = ("encoder.safetensors", "encoder.json", "curves.csv", "metrics.json")


def test_outputs(finished: Path) -> None:
    folder = finished / "pretrain"
    assert {path.name for path in folder.iterdir()} == {*OUTPUTS, "resume"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == set(METRICS)
    assert len(metrics) == 9
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
    train: Train, finished: Path, unlabelled_dataset: Path, tmp_path: Path
) -> None:
    train("pretrain", tmp_path, data=unlabelled_dataset)
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


@pytest.mark.parametrize("kind", ["global", "local"])
def test_a_weight_of_zero_takes_a_loss_out(train: Train, tmp_path: Path, kind: str) -> None:
    weights = {f"{kind}_weight": 0.0}
    metrics = train("pretrain", tmp_path, **weights)
    other = "local" if kind == "global" else "global"
    assert metrics[f"loss_{kind}"] == 0
    assert metrics["loss"] == metrics[f"loss_{other}"] > 0
    # What is not needed is not measured either.
    assert ("spread" in metrics) == (kind == "local")
    assert ("spread_local" in metrics) == (kind == "global")


def test_both_weights_zero_are_refused() -> None:
    with pytest.raises(ValidationError, match="global_weight or local_weight"):
        PretrainConfig(
            optimisation=OptimisationConfig(steps=1), global_weight=0.0, local_weight=0.0
        )


@pytest.mark.parametrize(
    "changes", [{"queue": 7}, {"momentum": 0.9}, {"queue": 7, "momentum": 0.5}]
)
def test_queue_and_slow_encoder_resume_exactly(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, float]
) -> None:
    metrics = train("pretrain", tmp_path / "whole", **changes)
    assert all(map(math.isfinite, metrics.values()))

    real = Contrast.check

    class Stopped(Exception):
        pass

    def stop(module: Contrast, means: Any) -> None:
        real(module, means)
        if module.global_step == 4:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Contrast, "check", stop)
        with pytest.raises(BaseException):  # noqa: B017  # however Lightning says it
            train("pretrain", tmp_path / "parts", **changes)
    assert (tmp_path / "parts" / "resume" / CHECKPOINT).is_file()
    train("pretrain", tmp_path / "parts", **changes)
    name = "encoder.safetensors"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("leg", "changes", "what"),
    [
        (2, {}, "the embeddings"),
        (6, {}, "the embeddings"),
        (2, {"global_weight": 0.0}, "the embeddings of cells"),
    ],
)
def test_collapse_stops_the_training_and_is_not_kept(
    train: Train, tmp_path: Path, leg: int, changes: dict[str, float], what: str
) -> None:
    optimisation = _optimisation(leg)
    for _ in range(2):  # a retry must not slip past the check
        with pytest.raises(HmerError, match=rf"{what} collapsed.*learning_rate"):
            train("pretrain", tmp_path, collapse=0.999, optimisation=optimisation, **changes)
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
