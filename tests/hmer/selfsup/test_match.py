"""Student and teacher, batch by batch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from hmer.masking import modes
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.selfsup import match as phase
from hmer.selfsup.images import ImageBatch
from hmer.selfsup.match import AttendConfig, Match, mismatch, pooled, standardised
from hmer.training.optimisation import OptimisationConfig


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
    config = AttendConfig.model_validate(
        {"optimisation": OptimisationConfig(steps=1), "evenness_weight": 0.0, **changes}
    )
    torch.manual_seed(0)
    encoder = CompactEncoder(CompactConfig(width=16, blocks=(1, 1)))
    found = Match(config, encoder, 6, 0)
    found.encoder.eval()
    found.teacher.eval()
    torch.nn.init.normal_(found.attention.merge.weight, std=0.1)
    return found


def bar() -> ImageBatch:
    """Two images of a line, made of two strokes."""
    images = torch.zeros(2, 1, 16, 48)
    images[:, :, 6:9, 4:44] = 1.0
    strokes = (images[:, 0] > 0).to(torch.int16)
    strokes[:, :, 24:] *= 2
    return ImageBatch(images, strokes)


def test_hidden_ink_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hidden may have any content: the student's answer stays the same."""
    match = module(local_weight=0.0)
    torch.manual_seed(0)
    images = torch.zeros(2, 1, 16, 48)
    images[:, :, 6:9, 4:44] = 1.0
    hidden = torch.zeros_like(images, dtype=torch.bool)
    hidden[..., 24:] = True
    monkeypatch.setattr(phase, "hide", lambda _, x, *__: (x.masked_fill(hidden, 0.0), hidden))
    looked = []
    real = match.attention.forward

    def spy(features: Any, cells: Any, attendable: Any) -> Any:
        looked.append((cells, attendable))
        return real(features, cells, attendable)

    monkeypatch.setattr(match.attention, "forward", spy)
    losses, measured = match.losses(ImageBatch(images))
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
    images = torch.zeros(2, 1, 16, 48)
    images[0, 0, 8, 8:40] = 1.0
    losses, _ = match.losses(ImageBatch(images))
    assert all(math.isfinite(loss.item()) for loss in losses.values())


def test_the_losses_cell_by_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a slow double loop over expressions and cells."""
    module_ = module(global_weight=2.0, local_weight=0.5)
    batch = bar()
    hidden = torch.zeros_like(batch.images, dtype=torch.bool)
    hidden[0, :, :, 24:] = True
    hidden[1, :, :, :12] = True
    monkeypatch.setattr(phase, "hide", lambda _, x, *__: (x.masked_fill(hidden, 0.0), hidden))
    losses, measured = module_.losses(batch)

    encoder, stride = module_.encoder, 4
    whole, seen = encoder(batch.images), encoder(batch.images.masked_fill(hidden, 0.0))
    cells = Cells.where(ink_cells(batch.images, stride))
    target = module_.teacher(whole, cells, cells.valid)
    visible = cells.valid.clone()
    for b in range(2):
        for m in range(cells.index.shape[1]):
            row, column = divmod(int(cells.index[b, m]), cells.grid[1])
            part = (slice(stride * row, stride * row + stride),
                    slice(stride * column, stride * column + stride))  # fmt: skip
            visible[b, m] &= bool((batch.images[b, 0][part] * ~hidden[b, 0][part]).any())
    student = module_.attention(seen, cells, visible)
    inked = target.features[cells.valid]
    goal = (target.features - inked.mean(0)) / (inked.std(0, correction=0) + 1e-4)
    assert module_.predict_global is not None
    assert module_.predict_local is not None
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
    wanted = 2.0 * sum(whole_losses) / 2
    assert losses["global"].item() == pytest.approx(wanted, rel=1e-4)
    wanted = 0.5 * sum(cell_losses) / len(cell_losses)
    assert losses["local"].item() == pytest.approx(wanted, rel=1e-4)
    # 20 of 40 columns of ink are hidden in the first image, 8 in the second.
    assert float(measured["hidden"]) == pytest.approx((0.5 + 0.2) / 2)


def apart(guess: Any, target: Any) -> float:
    cosine = guess @ target / (guess.norm() * target.norm())
    return 2 - 2 * float(cosine.item())


@pytest.mark.parametrize("mode", ["blocks", "strokes", "guided"])
def test_every_mode_gets_what_it_needs(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = modes.hide

    def spy(*arguments: Any) -> Any:
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(phase, "hide", spy)
    match, batch = module(masking=mode, curriculum={"shape": "fixed", "end": 0.4}), bar()
    losses, measured = match.losses(batch)
    ((name, images, share, block, strokes, attention),) = asked
    assert (name, share, block) == (mode, 0.4, 6)
    assert images is batch.images
    assert strokes is batch.strokes
    torch.testing.assert_close(attention.sum(dim=(1, 2)), torch.ones(2))
    assert not attention[:, 3].any()  # no ink in the last row of cells
    assert float(measured["hidden"]) == pytest.approx(0.5 if mode == "strokes" else 0.45, abs=0.06)
    assert all(math.isfinite(loss.item()) for loss in losses.values())


def test_without_a_curriculum_nothing_is_hidden_and_the_whole_is_matched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phase, "hide", None)
    match = module(curriculum={"shape": "none"})
    losses, measured = match.losses(bar())
    assert losses["local"] == 0
    assert losses["global"] > 0
    assert measured["hidden"] == measured["planned"] == 0
    losses["global"].backward()  # type: ignore[no-untyped-call]
    score = next(match.attention.score.parameters())
    assert score.grad is not None
    assert score.grad.any()


@pytest.mark.parametrize(("off", "on"), [("global", "local"), ("local", "global")])
def test_a_loss_of_weight_zero_is_not_computed(off: str, on: str) -> None:
    match = module(**{f"{off}_weight": 0.0}, curriculum={"shape": "fixed"})
    assert not any(f"predict_{off}" in name for name, _ in match.named_parameters())
    losses, _ = match.losses(bar())
    assert losses[off] == 0
    assert losses[on] > 0


def test_a_batch_of_one_expression_of_one_cell() -> None:
    images = torch.zeros(1, 1, 16, 16)
    images[..., 5:7, 5:7] = 1.0
    for mode in ("blocks", "strokes", "guided"):
        match = module(masking=mode, curriculum={"shape": "fixed"})
        losses, measured = match.losses(ImageBatch(images, (images[:, 0] > 0).short()))
        assert all(math.isfinite(loss.item()) for loss in losses.values())
        assert measured["evenness_of_map"] == 1
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        for name, parameter in match.named_parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"global_weight": 0, "local_weight": 0}, "nothing to match"),
        ({"global_weight": 0, "curriculum": {"shape": "none"}}, "nothing is hidden"),
        ({"curriculum": {"end": 1.0}}, "hide everything"),
        ({"masking": "symbols"}, "blocks"),
    ],
)
def test_refuses(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        module(**changes)
