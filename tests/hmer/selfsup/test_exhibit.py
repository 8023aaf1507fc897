"""What is looked at while phase 2 trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hmer.data.dataset import Expressions, load_expressions
from hmer.ink.render import RenderConfig
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.selfsup.exhibit import COUNT, MOMENTS, ObservedMatch, exhibits
from hmer.selfsup.images import ImageBatch, ImageMaker
from hmer.selfsup.match import AttendConfig
from hmer.training.optimisation import OptimisationConfig


def line() -> ImageBatch:
    images = torch.zeros(1, 1, 16, 64)
    images[..., 6:9, 4:60] = 1.0
    return ImageBatch(images, (images[:, 0] > 0).to(torch.int16))


def observed(steps: int = 8, **changes: Any) -> ObservedMatch:
    config = AttendConfig.model_validate(
        {"optimisation": OptimisationConfig(steps=steps), **changes}
    )
    torch.manual_seed(0)
    encoder = CompactEncoder(CompactConfig(width=16, blocks=(1, 1)))
    found = ObservedMatch(config, encoder, 4, 3, [line(), line()])
    found.encoder.eval()
    found.teacher.eval()
    return found


def test_moments_come_once_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    module = observed(steps=8)
    step = 0
    monkeypatch.setattr(ObservedMatch, "global_step", property(lambda _: step))
    kept: dict[int, int] = {}
    for step in range(9):  # read by the property
        module.look()
        for moment in module.maps:
            kept.setdefault(moment, step)
        next(module.teacher.score.parameters()).data *= 1.5
    assert kept == {0: 0, 25: 2, 50: 4, 75: 6, 100: 8}
    first, last = module.maps[0][0], module.maps[100][0]
    assert first.shape == (1, 4, 16)
    assert float(first.sum()) == pytest.approx(1)
    assert not torch.equal(first, last)


def test_maps_are_kept_in_checkpoints() -> None:
    module = observed()
    module.look()
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    other = observed()
    other.on_load_checkpoint(checkpoint)
    assert torch.equal(other.maps[0][1], module.maps[0][1])
    assert set(other.maps) == {0}


@pytest.mark.parametrize("masking", ["blocks", "strokes", "guided"])
def test_shown(masking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = observed(masking=masking, curriculum={"start": 0.0, "end": 0.8})
    monkeypatch.setattr(ObservedMatch, "global_step", 8)
    torch.manual_seed(9)
    before = torch.random.get_rng_state()
    shown = module.shown()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(shown) == 2
    one = shown[0]
    assert one.image.dtype == np.uint8
    assert one.image.shape == one.attention.shape == one.hidden[0].shape == (16, 64)
    assert len(one.hidden) == len(one.shares) == len(MOMENTS)
    # One stroke, which always stays; of blocks, more and more.
    if masking == "strokes":
        assert not any(one.shares)
    else:
        assert one.shares[0] == 0
        assert list(one.shares) == sorted(one.shares)
        assert one.shares[-1] >= 0.8
        assert all((a <= b).all() for a, b in zip(one.hidden, one.hidden[1:], strict=False))
        # Two of a kind are masked in two ways.
        assert not np.array_equal(one.hidden[2], shown[1].hidden[2])
    cells = one.attention[::4, ::4]
    assert float(cells.sum()) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(one.attention, cells.repeat(4, axis=0).repeat(4, axis=1))


def test_a_dozen_expressions_of_all_usual_widths(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    maker = ImageMaker(expressions, RenderConfig(unit=10), None)
    chosen = exhibits(maker, expressions.sizes, 8)
    assert len(chosen) == COUNT
    widths = [one.images.shape[-1] for one in chosen]
    assert widths == sorted(widths)
    assert all(side % 8 == 0 for one in chosen for side in one.images.shape[-2:])
    assert {tuple(one.images.shape[-2:]) for one in chosen} <= {
        (h + (-h) % 8, w + (-w) % 8) for h, w in expressions.sizes.tolist()
    }
    assert all(one.images.max() > 0.9 for one in chosen)


def test_fewer_than_a_dozen(small_dataset: Path) -> None:
    expressions: Expressions = load_expressions(small_dataset / "val.parquet").head(2)
    chosen = exhibits(ImageMaker(expressions, RenderConfig(unit=10), None), expressions.sizes, 8)
    assert 1 <= len(chosen) <= 2
