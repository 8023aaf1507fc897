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
from PIL import Image
from safetensors.torch import load_file

from hmer.errors import HmerError
from hmer.masking.curriculum import Curriculum
from hmer.models.checkpoint import save_module
from hmer.models.common.attention import AttentionConfig
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.selfsup import attend as phase
from hmer.selfsup.attend import load_encoder
from hmer.selfsup.match import Match
from hmer.training.fit import fit
from hmer.training.optimisation import OptimisationConfig

Train = Callable[..., dict[str, float]]
PICTURES = ("curriculum.png", "masks.png")
OUTPUTS = ("attention.safetensors", "attention.json", "curves.csv", "metrics.json", *PICTURES)


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
    assert about["config"] == AttentionConfig(heads=2, hidden=8).model_dump()


def test_training_again_gives_the_same_bytes(train: Train, finished: Path, tmp_path: Path) -> None:
    train("attend", tmp_path)
    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (finished / "attend" / name).read_bytes()


def test_more_and_more_is_hidden(train: Train, tmp_path: Path) -> None:
    train("attend", tmp_path, curriculum=Curriculum(start=0.2, end=0.8))
    curves = pd.read_csv(tmp_path / "curves.csv")
    # Steps k = 0..5 hide 0.2 + 0.6 k / 6; a row is the mean of two steps.
    assert curves["planned"].tolist() == pytest.approx([0.25, 0.45, 0.65], abs=1e-5)
    # Whole blocks are hidden, so a little more.
    assert (curves["hidden"] >= curves["planned"] - 1e-4).all()
    assert (curves["hidden"] <= curves["planned"] + 0.2).all()


@pytest.mark.parametrize("changes", [
    {"curriculum": Curriculum(shape="none"), "local_weight": 0.0},
    {"masking": "strokes", "global_weight": 0.0},
    {"masking": "guided"},
])  # fmt: skip
def test_ways_of_masking(train: Train, tmp_path: Path, changes: dict[str, Any]) -> None:
    metrics = train("attend", tmp_path, **changes)
    assert all(map(math.isfinite, metrics.values()))
    nothing = "curriculum" in changes
    assert (metrics["hidden"] == 0) == nothing
    assert (metrics["loss_local"] == 0) == nothing
    assert (metrics["loss_global"] == 0) == ("global_weight" in changes)
    for name in PICTURES:
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 200


def test_labels_are_not_read(
    train: Train, finished: Path, unlabelled_dataset: Path, tmp_path: Path
) -> None:
    train("attend", tmp_path, data=unlabelled_dataset)
    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (finished / "attend" / name).read_bytes()


def test_an_interrupted_training_shows_the_same(
    train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    def stop(module: Match, means: Any) -> None:
        if module.global_step == 4:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Match, "check", stop)
        with pytest.raises(Stopped):
            train("attend", tmp_path)
    train("attend", tmp_path)
    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (finished / "attend" / name).read_bytes()


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
