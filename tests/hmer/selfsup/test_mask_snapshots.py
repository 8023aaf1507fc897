"""Plots of phase 2."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from hmer import plots
from hmer.data.dataset import Expressions, load_expressions
from hmer.ink.render import RenderConfig
from hmer.masking import Curriculum
from hmer.models.common.attention import AttentionConfig, AttentionNetwork
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.selfsup import mask_snapshots as module
from hmer.selfsup.mask_snapshots import (
    COUNT,
    HIDDEN_INK,
    HIDDEN_PAPER,
    MOMENTS,
    curriculum_plot,
    mask_snapshots,
    masked_colours,
    shown_expressions,
)
from hmer.selfsup.views import ImageMaker


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are turned into PNG."""
    figures: list[Figure] = []
    real = plots.to_png

    def spy(figure: Figure) -> bytes:
        figures.append(figure)
        return real(figure)

    monkeypatch.setattr(module, "to_png", spy)
    return figures


def test_planned_and_hidden(drawn: list[Figure]) -> None:
    curriculum = Curriculum(start=0.2, end=0.6, shape="linear")
    png = curriculum_plot(curriculum, 40, [(10, 0.25), (20, 0.41), (40, 0.7)])
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
    planned, hidden = drawn[0].axes[0].lines
    steps, shares = (np.asarray(values, dtype=float) for values in planned.get_data())
    assert steps[0] == 0
    assert steps[-1] == 40
    wanted = [100 * curriculum.share(float(step) / 40) for step in steps]
    assert shares.tolist() == pytest.approx(wanted)
    # Means of a stretch stand in its middle.
    steps, shares = (np.asarray(values, dtype=float) for values in hidden.get_data())
    assert steps.tolist() == [5, 15, 30]
    assert shares.tolist() == pytest.approx([25, 41, 70])


def test_a_curriculum_alone(drawn: list[Figure]) -> None:
    curriculum_plot(Curriculum(shape="none"), 10)
    (planned,) = drawn[0].axes[0].lines
    assert not np.asarray(planned.get_ydata()).any()


def test_the_same_bytes_each_time() -> None:
    assert len({curriculum_plot(Curriculum(), 10, [(5, 0.3)]) for _ in range(2)}) == 1


def test_colours_by_hand() -> None:
    image = np.array([[255, 0, 255, 0]], np.uint8)
    hidden = np.array([[False, False, True, True]])
    black, white, orange, pale = masked_colours(image, hidden)[0]
    assert not black.any()
    assert (white == 1).all()
    np.testing.assert_allclose(orange, HIDDEN_INK)
    np.testing.assert_allclose(pale, HIDDEN_PAPER)


@pytest.fixture
def snapshots(small_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The arguments of `picture_grid`, for a curriculum that ends at 0.8."""
    torch.manual_seed(0)
    encoder = CompactEncoder(CompactConfig(width=16, blocks=(1, 1))).eval()
    attention = AttentionNetwork(encoder.channels, AttentionConfig(heads=2, hidden=8)).eval()
    asked: list[Any] = []
    real = plots.picture_grid

    def spy(*arguments: Any) -> bytes:
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, "picture_grid", spy)
    before = torch.random.get_rng_state()
    pngs = {
        mask_snapshots(
            encoder, attention, Curriculum(start=0.0, end=0.8), 4, 3,
            small_dataset / "val.parquet", RenderConfig(unit=10),
        )
        for _ in range(2)
    }  # fmt: skip
    assert len(pngs) == 1  # the same bytes each time
    assert torch.equal(torch.random.get_rng_state(), before)
    with Image.open(io.BytesIO(pngs.pop())) as picture:
        assert min(picture.size) > 200
    return asked[0]


def test_more_and_more_is_hidden(snapshots: Any) -> None:
    rows, heads, _ = snapshots
    assert len(heads) == len(MOMENTS) + 1 and heads[0] == "0 % of training: 0 % hidden"
    shares = [float(head.split(": ")[1].split(" ")[0]) for head in heads[:-1]]
    assert shares == sorted(shares) and shares[-1] >= 80
    for row in rows:
        assert len({picture.shape for picture in row}) == 1
        hidden = [(abs(picture - HIDDEN_PAPER) < 1e-9).all(axis=2) for picture in row[:-1]]
        assert not hidden[0].any() and hidden[-1].any()
        assert all((a <= b).all() for a, b in pairwise(hidden))
        assert row[-1].min() < 0.1 < row[-1].max()  # ink and tinted paper


def test_a_dozen_expressions_of_all_usual_widths(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    maker = ImageMaker(expressions, RenderConfig(unit=10), None)
    chosen = shown_expressions(maker, expressions.sizes, 8)
    assert len(chosen) == COUNT
    widths = [one.shape[-1] for one in chosen]
    assert widths == sorted(widths)
    assert all(side % 8 == 0 for one in chosen for side in one.shape[-2:])
    assert {tuple(one.shape[-2:]) for one in chosen} <= {
        (h + (-h) % 8, w + (-w) % 8) for h, w in expressions.sizes.tolist()
    }
    assert all(one.max() > 0.9 for one in chosen)


def test_fewer_than_a_dozen(small_dataset: Path) -> None:
    expressions: Expressions = load_expressions(small_dataset / "val.parquet").head(2)
    chosen = shown_expressions(
        ImageMaker(expressions, RenderConfig(unit=10), None), expressions.sizes, 8
    )
    assert 1 <= len(chosen) <= 2
