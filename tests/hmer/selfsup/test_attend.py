"""Phase 2."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from hmer.errors import HmerError
from hmer.models.encoders.compact import CompactConfig, CompactEncoder
from hmer.models.store import save_module
from hmer.selfsup import attend as phase
from hmer.selfsup.attend import AttendConfig, Match, load_encoder, mismatch, pooled, standardised
from hmer.selfsup.curriculum import Curriculum
from hmer.training.fit import fit
from hmer.training.optimisation import OptimisationConfig

Train = Callable[..., dict[str, float]]
OUTPUTS = ("attention.safetensors", "attention.json", "curves.csv", "metrics.json")


def test_pooled_by_hand() -> None:
    features = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9e9, 9e9]]])
    log_map = torch.tensor([[0.25, 0.75, 0.0]]).log()
    torch.testing.assert_close(pooled(features, log_map), torch.tensor([[2.5, 3.0]]))


def test_standardised_over_the_ink_of_the_batch() -> None:
    torch.manual_seed(0)
    features = 5 + 3 * torch.randn(3, 7, 4)
    cells = torch.rand(3, 7) < 0.7
    features[~cells] = 1e4
    found = standardised(features, cells)[cells]
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std(dim=0, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    alike = standardised(torch.ones(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))
    assert not alike.any()


def test_mismatch_by_hand() -> None:
    guess = torch.tensor([[2.0, 0], [0, 3.0], [1.0, 1.0]])
    target = torch.tensor([[5.0, 0], [0, -1.0], [1.0, 0]])
    wanted = torch.tensor([0.0, 4.0, 2 - math.sqrt(2)])
    torch.testing.assert_close(mismatch(guess, target), wanted)


def test_outputs(finished: Path) -> None:
    folder = finished / "attend"
    assert {path.name for path in folder.iterdir()} == {*OUTPUTS, "resume"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert sorted(metrics) == ["evenness_of_map", "hidden", "loss", "loss_global", "loss_local"]
    assert all(map(math.isfinite, metrics.values()))
    assert 0 < metrics["evenness_of_map"] <= 1
    about = json.loads((folder / "attention.json").read_text())
    assert about["kind"] == "attention"
    assert about["channels"] == 64
    assert about["config"] == {"heads": 2, "hidden": 8}


def test_training_again_gives_the_same_bytes(train: Train, finished: Path, tmp_path: Path) -> None:
    train("attend", tmp_path)
    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (finished / "attend" / name).read_bytes()


def test_more_and_more_is_hidden(train: Train, tmp_path: Path) -> None:
    train("attend", tmp_path, curriculum=Curriculum(start=0.2, end=0.8))
    # Steps k = 0..5 hide 0.2 + 0.6 k / 6; a row is the mean of two steps.
    hidden = pd.read_csv(tmp_path / "curves.csv")["hidden"].tolist()
    assert hidden == pytest.approx([0.25, 0.45, 0.65], abs=1e-5)


def test_images_alone(train: Train, picture_dataset: Path, tmp_path: Path) -> None:
    assert all(map(math.isfinite, train("attend", tmp_path, data=picture_dataset).values()))


def test_encoder_stays_and_teacher_follows(
    train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def spy(module: Match, *args: Any, **options: Any) -> None:
        seen["before"] = {k: v.clone() for k, v in module.state_dict().items()}
        fit(module, *args, **options)
        seen["after"] = module.state_dict()

    monkeypatch.setattr(phase, "fit", spy)
    one = OptimisationConfig(steps=1, learning_rate=0.01, precision="32-true", workers=0)
    train("attend", tmp_path, optimisation=one, teacher_decay=0.75)
    before, after = seen["before"], seen["after"]
    weights = load_file(finished / "pretrain" / "encoder.safetensors")
    assert any("running_mean" in name for name in weights)
    for name, value in weights.items():
        assert torch.equal(after[f"encoder.{name}"], value), name
    names = [name.removeprefix("teacher.") for name in after if name.startswith("teacher.")]
    moved = 0
    for name in names:
        old, student = before[f"teacher.{name}"], after[f"attention.{name}"]
        torch.testing.assert_close(after[f"teacher.{name}"], 0.75 * old + 0.25 * student)
        moved += not torch.equal(old, student)
    assert moved > len(names) / 2
    kept = load_file(tmp_path / "attention.safetensors")
    assert all(torch.equal(kept[name], after[f"attention.{name}"]) for name in names)


def module(**changes: Any) -> Match:
    config = AttendConfig(optimisation=OptimisationConfig(steps=1), **changes)
    torch.manual_seed(0)
    return Match(config, CompactEncoder(CompactConfig(width=16, blocks=(1, 1))).eval(), 6, 0)


def test_hidden_ink_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hidden may have any content: the student's answer stays the same."""
    match = module(local_weight=0.0)
    torch.manual_seed(0)
    match.encoder.eval()
    match.teacher.eval()
    images = torch.zeros(2, 1, 16, 48)
    images[:, :, 6:9, 4:44] = 1.0
    hidden = torch.zeros_like(images, dtype=torch.bool)
    hidden[..., 24:] = True
    monkeypatch.setattr(phase, "hide_ink", lambda x, *_: (x.masked_fill(hidden, 0.0), hidden))
    looked = []
    real = match.attention.forward

    def spy(features: Any, cells: Any, attendable: Any) -> Any:
        looked.append((cells, attendable))
        return real(features, cells, attendable)

    monkeypatch.setattr(match.attention, "forward", spy)
    losses, measured = match.losses(images)
    ((cells, attendable),) = looked
    columns = cells.index % cells.grid[1]
    # Stride 4: columns 6 and up are hidden.
    assert torch.equal(attendable, cells.valid & (columns < 6))
    assert (cells.valid & (columns >= 6)).any()
    assert losses["local"].item() == 0
    assert math.isfinite(measured["evenness_of_map"].item())


def test_blank_images_do_no_harm() -> None:
    match = module()
    torch.manual_seed(0)
    match.encoder.eval()
    match.teacher.eval()
    images = torch.zeros(2, 1, 16, 48)
    images[0, 0, 8, 8:40] = 1.0
    losses, _ = match.losses(images)
    assert all(math.isfinite(loss.item()) for loss in losses.values())


def test_encoders_that_do_not_fit(train: Train, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="missing"):
        load_encoder(tmp_path / "encoder.safetensors")
    other = tmp_path / "other.safetensors"
    config = CompactConfig(width=16, blocks=(1, 1))
    save_module(
        CompactEncoder(CompactConfig(width=32, blocks=(1, 1))),
        other,
        {"kind": "encoder", "config": config.model_dump(mode="json")},
    )
    with pytest.raises(HmerError, match=r"other\.safetensors.*architecture"):
        load_encoder(other)
    with pytest.raises(HmerError, match=r"attention\.json.*encoder"):
        load_encoder(finished / "attend" / "attention.safetensors")
    damaged = tmp_path / "encoder.safetensors"
    for name in ("encoder.safetensors", "encoder.json"):
        shutil.copy(finished / "pretrain" / name, tmp_path / name)
    load_encoder(damaged)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(HmerError, match="damaged"):
        load_encoder(damaged)
