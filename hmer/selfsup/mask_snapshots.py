"""Plots of phase 2: the masking curriculum, and masks on a dozen fixed expressions.

*Our design.* The masks of 0, 25, 50, 75 and 100 % of the training are drawn when it has ended,
always from one seed per expression: from column to column only the curriculum makes a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hmer.data.batches import PlannedBatch, Sizes
from hmer.data.dataset import load_expressions
from hmer.ink.render import RenderConfig
from hmer.masking import Curriculum, hidden_share, hide_ink
from hmer.models.common.attention import AttentionNetwork
from hmer.models.common.encoders import CompactEncoder
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.plots import BLUE, MUTED, legend, new_figure, on_paper, picture_grid, style, to_png
from hmer.selfsup.views import ImageMaker

MOMENTS = (0, 25, 50, 75, 100)
"""Percent of the training."""
COUNT = 12

HIDDEN_INK = np.array([0.84, 0.37, 0.0])
HIDDEN_PAPER = np.array([0.99, 0.93, 0.87])


def curriculum_plot(
    curriculum: Curriculum, steps: int, hidden: Sequence[tuple[int, float]] = ()
) -> bytes:
    """A PNG of the hidden share of the ink over a training, as planned and as measured.

    `hidden` are means: the last step of each stretch of the training (growing), and the share that
    was really hidden in it. More than planned where pieces are large (the last one chosen is hidden
    whole), less where an expression has one piece only.
    """
    figure = new_figure(6.4, 3.4)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.add_subplot()
    planned = [100 * curriculum.share(at) for at in (0.0, 1.0)]
    axes.plot([0, steps], planned, color=MUTED, linewidth=1.4, linestyle="--",
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


def mask_snapshots(
    encoder: CompactEncoder,
    attention: AttentionNetwork,
    curriculum: Curriculum,
    block: int,
    seed: int,
    data: Path,
    render: RenderConfig,
) -> bytes:
    """A PNG: an expression of `data` per row, a moment of the training per column, attention last.

    Hidden ink is orange. Attention is tinted from white to orange, the most attended cell of each
    picture the deepest. Both networks are in evaluation mode; `block` is in pixels.
    """
    expressions = load_expressions(data)
    maker = ImageMaker(expressions, render, None)
    rows, shares = [], []
    chosen = shown_expressions(maker, expressions.sizes, encoder.stride)
    for number, images in enumerate(chosen):
        with torch.random.fork_rng():
            hidden = []
            for moment in MOMENTS:
                torch.manual_seed(seed * 1_000_003 + number)
                hidden.append(hide_ink(images, curriculum.share(moment / 100), block)[1])
        shares.append([float(hidden_share(images, pixels)) for pixels in hidden])
        image = (images[0, 0].numpy() * 255).round().astype(np.uint8)
        pictures = [masked_colours(image, pixels[0, 0].numpy()) for pixels in hidden]
        rows.append([*pictures, on_paper(image, _cell_attention(encoder, attention, images))])
    means = np.mean(shares, axis=0) if rows else np.zeros(len(MOMENTS))
    heads = [
        f"{moment} % of training: {100 * mean:.0f} % hidden"
        for moment, mean in zip(MOMENTS, means.tolist(), strict=True)
    ]
    title = "Progressive masking: hidden ink in orange"
    return picture_grid(rows, [*heads, "attention in the end"], title)


@torch.no_grad()
def _cell_attention(
    encoder: CompactEncoder, attention: AttentionNetwork, images: Tensor
) -> NDArray[np.float32]:
    """Where attention falls on one expression, (H, W): every pixel has the value of its cell."""
    device = next(encoder.parameters()).device
    shown = images.to(device)
    cells = Cells.where(ink_cells(shown, encoder.stride))
    found = attention(encoder(shown), cells, cells.valid)
    spread = cells.scatter(found.log_map.exp()).cpu()[0]
    spread = spread.repeat_interleave(encoder.stride, dim=0)
    array: NDArray[np.float32] = spread.repeat_interleave(encoder.stride, dim=1).numpy()
    return array


def shown_expressions(maker: ImageMaker, sizes: Sizes, stride: int) -> list[Tensor]:
    """A dozen expressions (or all, if fewer), each as a batch (1, 1, H, W).

    Spread evenly over the ranks of width, of sizes (n, 2), from a fifth to four fifths.
    """
    order = np.lexsort((np.arange(len(sizes)), sizes[:, 1]))
    ranks = np.linspace(0.2, 0.8, COUNT) * (len(order) - 1)
    rng = np.random.default_rng(0)  # nothing is drawn at random, but a maker wants one
    made = []
    for index in dict.fromkeys(order[np.round(ranks).astype(np.int64)].tolist()):
        height, width = (int(-(-side // stride) * stride) for side in sizes[index])
        made.append(maker(PlannedBatch(np.array([index]), np.ones(1), height, width), rng))
    return made


def masked_colours(image: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Ink (H, W) in black on white; where `hidden`, orange on a pale ground: (H, W, 3)."""
    ink, there = (image / 255.0)[..., None], hidden[..., None]
    paper = np.where(there, HIDDEN_PAPER, 1.0)
    pen = np.where(there, HIDDEN_INK, 0.0)
    colours: NDArray[np.float64] = paper * (1.0 - ink) + pen * ink
    return colours
