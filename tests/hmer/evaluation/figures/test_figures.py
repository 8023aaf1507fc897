"""Every figure: a readable PNG of the expected size, the same bytes twice, inputs that hurt."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as PillowImage

from hmer.evaluation.breakdown import Bucket
from hmer.evaluation.calibration import reliability, risk_coverage
from hmer.evaluation.figures.attention import spatial_sheet, token_sheet
from hmer.evaluation.figures.bars import bucket_bars
from hmer.evaluation.figures.calibration import calibration_plot
from hmer.evaluation.figures.curves import CurveRow, curves
from hmer.evaluation.figures.samples import sample_sheet
from hmer.evaluation.prediction import Prediction


def bar(height: int = 40, width: int = 120) -> np.ndarray:
    image = np.zeros((height, width), np.uint8)
    image[height // 2 - 2 : height // 2 + 2, 5 : width - 5] = 255
    return image


def example(identity: str = "a", tokens: str | None = "x ^ { 2 }", width: int = 120) -> Prediction:
    read = None if tokens is None else tokens.split()
    maps = np.random.default_rng(0).random((len(read or ()), 5, width // 8))
    return Prediction(
        identity,
        ["x", "^", "{", "3", "}"],
        read,
        0.5,
        bar(40, width),
        maps,
        np.ones((5, width // 8)),
        8.0,
    )


def rows() -> list[CurveRow]:
    return [
        CurveRow(step=step, name=name, value=float(np.sin(step * 1.7)) if step % 50 else np.nan)
        for step in range(200)
        for name in ("train/loss", "val/loss", "lr")
    ]


CONFIDENCE = np.linspace(0.0, 1.0, 40)
CORRECT = CONFIDENCE > 0.5
FIGURES: dict[str, Callable[[], bytes]] = {
    "samples": lambda: sample_sheet(
        [example(), example("$b_c$", "x ^ {"), example("c", None)], "T"
    ),
    "no samples": lambda: sample_sheet([], "T"),
    "long": lambda: sample_sheet([Prediction("a" * 300, ["\\x" * 90], ["y"] * 300, 1.0)], "T"),
    "tokens": lambda: token_sheet(example()),
    "wide": lambda: token_sheet(example(width=2000)),
    "tall": lambda: token_sheet(
        Prediction("a", ["x"], ["$"], 0.5, bar(500, 12), np.ones((1, 9, 1)))
    ),
    "spatial": lambda: spatial_sheet([example(), example("b", width=900)], "T"),
    "curves": lambda: curves(rows(), "Title"),
    "no curves": lambda: curves([]),
    "one point": lambda: curves([CurveRow(step=1, name="loss", value=2.0)]),
    "calibration": lambda: calibration_plot(
        reliability(CONFIDENCE, CORRECT), risk_coverage(CONFIDENCE, CORRECT)
    ),
    "all right": lambda: calibration_plot(
        reliability(CONFIDENCE, CORRECT | True), risk_coverage(CONFIDENCE, CORRECT | True)
    ),
    "bars": lambda: bucket_bars([Bucket("1-5", 3, 5.0, 50, 60, 70, 9.0)], "T", "x"),
    "nothing to trust": lambda: calibration_plot(
        reliability(CONFIDENCE, CORRECT & False), risk_coverage(CONFIDENCE, CORRECT & False)
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_same_readable_bytes_twice(name: str) -> None:
    png = FIGURES[name]()
    assert png == FIGURES[name]()
    with PillowImage.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("L"))
        assert picture.info.get("Software") is None
        assert picture.info["dpi"][0] == pytest.approx(120, abs=0.1)
    assert pixels[0, 0] == 255
    assert (pixels < 200).sum() > 50
    assert max(pixels.shape) < 6000


def test_samples_show_the_ink() -> None:
    def blank(image: np.ndarray) -> bytes:
        return sample_sheet([Prediction("a", ["x"], ["x"], 1.0, image)], "T")

    assert blank(bar()) != blank(np.zeros_like(bar()))


def test_attention_is_seen_in_the_figure() -> None:
    maps = np.zeros((1, 5, 15))
    maps[0, 2, 2] = 1.0
    left = Prediction("a", ["x"], ["x"], 0.5, bar(), maps, stride=8)
    right = Prediction("a", ["x"], ["x"], 0.5, bar(), maps[:, :, ::-1], stride=8)
    pictures = [
        np.asarray(PillowImage.open(io.BytesIO(token_sheet(p))).convert("RGB")).astype(int)
        for p in (left, right)
    ]
    orange = [np.argwhere((p[..., 0] > 200) & (p[..., 2] < 120))[:, 1].mean() for p in pictures]
    assert orange[0] + 60 < orange[1]


def test_missing_inputs_are_refused() -> None:
    bare = Prediction("a", ["x"], ["x"], 0.5)
    with pytest.raises(ValueError, match="needs"):
        token_sheet(bare)
    with pytest.raises(ValueError, match="needs"):
        spatial_sheet([bare], "T")
