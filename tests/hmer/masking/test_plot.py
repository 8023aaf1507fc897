"""The plot of a curriculum."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hmer.evaluation.figures import canvas
from hmer.masking import plot
from hmer.masking.curriculum import Curriculum
from hmer.masking.plot import curriculum_plot


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are turned into PNG."""
    figures: list[Figure] = []
    real = canvas.to_png

    def spy(figure: Figure) -> bytes:
        figures.append(figure)
        return real(figure)

    monkeypatch.setattr(plot, "to_png", spy)
    return figures


def test_planned_and_hidden(drawn: list[Figure]) -> None:
    curriculum = Curriculum(start=0.2, end=0.6, shape="step", steps=4)
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
