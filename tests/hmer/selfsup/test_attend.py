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
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from hmer.errors import HmerError
from hmer.masking import Curriculum, hide_ink
from hmer.models.checkpoint import save_module
from hmer.models.common.attention import AttentionConfig
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.selfsup import attend as phase
from hmer.selfsup.attend import AttendConfig, Match, load_encoder, mismatch, pooled, standardised
from hmer.training.fit import fit
from hmer.training.optimisation import OptimisationConfig

pytestmark = pytest.mark.medium


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


def test_more_and_more_is_hidden(train: Train, tmp_path: Path) -> None:
    train("attend", tmp_path, curriculum=Curriculum(start=0.2, end=0.8))
    curves = pd.read_csv(tmp_path / "curves.csv")
    # Steps k = 0..5 hide 0.2 + 0.6 k / 6; a row is the mean of two steps.
    assert curves["planned"].tolist() == pytest.approx([0.25, 0.45, 0.65], abs=1e-5)
    # Whole blocks are hidden, so a little more.
    assert (curves["hidden"] >= curves["planned"] - 1e-4).all()
    assert (curves["hidden"] <= curves["planned"] + 0.2).all()


def test_without_masking(train: Train, tmp_path: Path) -> None:
    metrics = train("attend", tmp_path, curriculum=Curriculum(shape="none"))
    assert all(map(math.isfinite, metrics.values()))
    assert metrics["hidden"] == metrics["loss_local"] == 0 != metrics["loss_global"]
    for name in PICTURES:
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 200


def test_labels_are_not_read(
    train: Train, finished: Path, unlabelled_dataset: Path, tmp_path: Path
) -> None:
    train("attend", tmp_path, data=unlabelled_dataset)
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
    train("attend", tmp_path, optimisation=one)
    before, after = seen["before"], seen["after"]
    weights = load_file(finished / "pretrain" / "encoder.safetensors")
    assert any("running_mean" in name for name in weights)
    for name, value in weights.items():
        assert torch.equal(after[f"encoder.{name}"], value), name
    names = [name.removeprefix("teacher.") for name in after if name.startswith("teacher.")]
    moved = 0
    for name in names:
        old, student = before[f"teacher.{name}"], after[f"attention.{name}"]
        torch.testing.assert_close(after[f"teacher.{name}"], 0.99 * old + 0.01 * student)
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


def module(**changes: Any) -> Match:
    config = AttendConfig.model_validate({"optimisation": OptimisationConfig(steps=1), **changes})
    torch.manual_seed(0)
    encoder = CompactEncoder(CompactConfig(width=16, blocks=(1, 1)))
    found = Match(config, encoder, 6, 0)
    found.encoder.eval()
    found.teacher.eval()
    torch.nn.init.normal_(found.attention.merge.weight, std=0.1)
    return found


def bar() -> Tensor:
    """Two images of a line."""
    images = torch.zeros(2, 1, 16, 48)
    images[:, :, 6:9, 4:44] = 1.0
    return images


def test_hidden_ink_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hidden may have any content: the student's answer stays the same."""
    match = module()
    torch.manual_seed(0)
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
    assert math.isfinite(losses["local"].item())
    assert math.isfinite(measured["evenness_of_map"].item())


def test_blank_images_do_no_harm() -> None:
    match = module()
    torch.manual_seed(0)
    images = torch.zeros(2, 1, 16, 48)
    images[0, 0, 8, 8:40] = 1.0
    losses, _ = match.losses(images)
    assert all(math.isfinite(loss.item()) for loss in losses.values())


def test_the_losses_cell_by_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a slow double loop over expressions and cells."""
    module_ = module()
    images = bar()
    hidden = torch.zeros_like(images, dtype=torch.bool)
    hidden[0, :, :, 24:] = True
    hidden[1, :, :, :12] = True
    monkeypatch.setattr(phase, "hide_ink", lambda x, *_: (x.masked_fill(hidden, 0.0), hidden))
    losses, measured = module_.losses(images)

    encoder, stride = module_.encoder, 4
    whole, seen = encoder(images), encoder(images.masked_fill(hidden, 0.0))
    cells = Cells.where(ink_cells(images, stride))
    target = module_.teacher(whole, cells, cells.valid)
    visible = cells.valid.clone()
    for b in range(2):
        for m in range(cells.index.shape[1]):
            row, column = divmod(int(cells.index[b, m]), cells.grid[1])
            part = (slice(stride * row, stride * row + stride),
                    slice(stride * column, stride * column + stride))  # fmt: skip
            visible[b, m] &= bool((images[b, 0][part] * ~hidden[b, 0][part]).any())
    student = module_.attention(seen, cells, visible)
    inked = target.features[cells.valid]
    goal = (target.features - inked.mean(0)) / (inked.std(0, correction=0) + 1e-4)
    whole_losses, cell_losses = [], []
    for b in range(2):
        own = sum(student.log_map[b, m].exp() * student.features[b, m]
                  for m in range(visible.shape[1]) if visible[b, m])  # fmt: skip
        theirs = sum(target.log_map[b, m].exp() * goal[b, m]
                     for m in range(visible.shape[1]) if cells.valid[b, m])  # fmt: skip
        whole_losses.append(apart(module_.predict_global(own), theirs))
        gone = torch.nonzero(cells.valid[b] & ~visible[b]).flatten().tolist()
        guesses = [module_.predict_local(student.features[b, m]) for m in gone]
        cell_losses += [apart(x, goal[b, m]) for x, m in zip(guesses, gone, strict=True)]
    assert len(cell_losses) > 4
    wanted = sum(whole_losses) / 2
    assert losses["global"].item() == pytest.approx(wanted, rel=1e-4)
    wanted = sum(cell_losses) / len(cell_losses)
    assert losses["local"].item() == pytest.approx(wanted, rel=1e-4)
    # 20 of 40 columns of ink are hidden in the first image, 8 in the second.
    assert float(measured["hidden"]) == pytest.approx((0.5 + 0.2) / 2)


def apart(guess: Any, target: Any) -> float:
    cosine = guess @ target / (guess.norm() * target.norm())
    return 2 - 2 * float(cosine.item())


def test_the_planned_share_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def spy(*arguments: Any) -> Any:
        asked.append(arguments)
        return hide_ink(*arguments)

    monkeypatch.setattr(phase, "hide_ink", spy)
    images = bar()
    losses, measured = module(curriculum={"shape": "fixed", "end": 0.4}).losses(images)
    assert asked == [(images, 0.4, 6)]
    assert float(measured["hidden"]) == pytest.approx(0.45, abs=0.06)
    assert all(math.isfinite(loss.item()) for loss in losses.values())


def test_without_a_curriculum_nothing_is_hidden_and_the_whole_is_matched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phase, "hide_ink", None)
    match = module(curriculum={"shape": "none"})
    losses, measured = match.losses(bar())
    assert losses["local"] == 0
    assert losses["global"] > 0
    assert measured["hidden"] == measured["planned"] == 0
    losses["global"].backward()  # type: ignore[no-untyped-call]
    score = next(match.attention.score.parameters())
    assert score.grad is not None
    assert score.grad.any()


def test_a_batch_of_one_expression_of_one_cell() -> None:
    images = torch.zeros(1, 1, 16, 16)
    images[..., 5:7, 5:7] = 1.0
    match = module(curriculum={"shape": "fixed"})
    losses, measured = match.losses(images)
    assert all(math.isfinite(loss.item()) for loss in losses.values())
    assert measured["evenness_of_map"] == 1
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in match.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"curriculum": {"end": 1.0}}, "less than or equal to 0.9"),
    ],
)
def test_refuses(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        module(**changes)
