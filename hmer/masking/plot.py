"""The plot of a masking curriculum: what was planned, and what was really hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hmer.evaluation.figures.canvas import BLUE, MUTED, legend, new_figure, style, to_png
from hmer.masking.curriculum import Curriculum

FINE = 400
"""Places at which the planned line is drawn: stairs should look like stairs."""


def curriculum_plot(
    curriculum: Curriculum, steps: int, hidden: Sequence[tuple[int, float]] = ()
) -> bytes:
    """A PNG of the hidden share of the ink over the steps of a training.

    Args:
        curriculum: what was planned.
        steps: of the training.
        hidden: measured means: the last step of each stretch of the training (growing), and the
            share that was really hidden in it. More than planned where pieces are large (the last
            one chosen is hidden whole), less where an expression has one piece only.
    """
    figure = new_figure(6.4, 3.4)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.add_subplot()
    progress = np.linspace(0, 1, FINE)
    planned = [100 * curriculum.share(float(at)) for at in progress]
    axes.plot(progress * steps, planned, color=MUTED, linewidth=1.4, linestyle="--",
              label=f"planned ({curriculum.shape})")  # fmt: skip
    if hidden:
        ends = [step for step, _ in hidden]
        middles = np.add([0, *ends[:-1]], ends) / 2
        shares = [100 * share for _, share in hidden]
        axes.plot(middles, shares, color=BLUE, linewidth=1.6, marker="o", markersize=3.5,
                  label="really hidden, mean of a stretch")  # fmt: skip
    axes.set_xlim(0, steps)
    axes.set_ylim(0, 100)
    style(axes, "Masking curriculum", "step", "hidden share of the ink in percent")
    legend(axes)
    return to_png(figure)
