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
from torch import Tensor

from hmer.data.batches import BatchConfig
from hmer.data.dataset import load_expressions
from hmer.errors import HmerError
from hmer.models.common.ink_cells import ink_cells
from hmer.selfsup import pretrain as phase
from hmer.selfsup.losses import cells_at, ink_mean, local_info_nce, nt_xent
from hmer.selfsup.pretrain import METRICS, Contrast, PretrainConfig
from hmer.selfsup.views import ViewBatch
from hmer.training.fit import CHECKPOINT
from hmer.training.module import Curves
from hmer.training.optimisation import OptimisationConfig

pytestmark = pytest.mark.medium


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


def contrast(**changes: Any) -> Contrast:
    torch.manual_seed(0)
    config = PretrainConfig.model_validate({
        "encoder": {"width": 16, "blocks": [1, 1]},
        "optimisation": OptimisationConfig(steps=4),
        "temperature": 0.2,
        "global_weight": 1.0,
        **changes,
    })  # fmt: skip
    return Contrast(config, 0)


def views(count: int, seed: int = 0, *, blank: bool = False) -> ViewBatch:
    torch.manual_seed(seed)
    images = (torch.rand(2 * count, 1, 16, 24) < 0.2).float()
    if blank:
        images[0] = images[count] = 0.0
    points = torch.rand(2 * count, 5, 2) * torch.tensor([24.0, 16.0])
    valid = torch.rand(count, 5) < 0.8
    valid[0] = not blank
    fresh = torch.ones(count, dtype=torch.bool)
    return ViewBatch(images, points, valid, fresh)


def total(losses: Any) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def test_the_losses_are_those_of_the_two_heads() -> None:
    module, batch = contrast(global_weight=2.0, local_weight=0.5, temperature=0.3), views(4)
    losses, measured = module.losses(batch)
    features = module.encoder(batch.images)
    assert module.project_global is not None
    assert module.project_local is not None
    whole = module.project_global(ink_mean(features, ink_cells(batch.images, 4)))
    parts = module.project_local(cells_at(features, batch.points, 4))
    wanted = 2 * nt_xent(whole[:4], whole[4:], 0.3)
    torch.testing.assert_close(losses["global"], wanted)
    wanted = 0.5 * local_info_nce(parts[:4], parts[4:], batch.valid, 0.3)
    torch.testing.assert_close(losses["local"], wanted)
    assert len(measured) == 6


@pytest.mark.parametrize(("off", "on"), [("global", "local"), ("local", "global")])
def test_a_loss_of_weight_zero_is_not_computed(
    off: str, on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = contrast(**{f"{off}_weight": 0.0})
    assert not any(f"project_{off}" in name for name, _ in module.named_parameters())

    def never(*_: Any) -> Tensor:
        raise AssertionError(f"the {off} loss was computed")

    name = {"global": "nt_xent", "local": "local_info_nce"}[off]
    monkeypatch.setattr(f"hmer.selfsup.pretrain.{name}", never)
    losses, _ = module.losses(views(3))
    assert losses[off] == 0
    assert losses[on] > 0
    total(losses).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in module.parameters())


def test_a_batch_of_one_does_no_harm() -> None:
    module = contrast()
    losses, measured = module.losses(views(1))
    assert losses["global"] == 0
    assert losses["local"] > 0  # cells of one expression can be told apart
    assert "spread" not in measured
    total(losses).backward()  # type: ignore[no-untyped-call]


def test_a_blank_image_does_no_harm() -> None:
    losses, measured = contrast().losses(views(3, blank=True))
    for value in (*losses.values(), *measured.values()):
        assert math.isfinite(value.item())
    nothing = views(2)
    blank = ViewBatch(
        torch.zeros_like(nothing.images), nothing.points, torch.zeros_like(nothing.valid),
        nothing.fresh,
    )  # fmt: skip
    losses, _ = contrast().losses(blank)
    assert losses["local"] == 0
    assert math.isfinite(losses["global"].item())


def test_an_expression_of_one_matched_cell() -> None:
    batch = views(1)
    batch.valid[:] = False
    batch.valid[0, 0] = True
    losses, measured = contrast().losses(batch)
    assert losses == {"global": 0, "local": 0}
    assert measured == {}


def test_newest_values_of_what_was_measured(tmp_path: Path) -> None:
    curves = Curves()
    curves.add({"loss": 2.0, "other": 5.0})
    curves.flush(10)
    curves.add({"loss": 1.23456})
    curves.flush(20)
    metrics = curves.write_outcome(tmp_path, ("loss", "spread"))
    assert metrics == {"loss": 1.2346}
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert (tmp_path / "curves.csv").read_text().splitlines()[0] == "step,loss,other"
