"""Scores by bucket."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from hmer.evaluation.breakdown import Bucket
from hmer.evaluation.figures.canvas import (
    BLUE,
    MUTED,
    SANS,
    TEXT,
    new_figure,
    style,
    to_png,
)


def bucket_bars(buckets: Sequence[Bucket], title: str, x: str) -> bytes:
    """`bucket_figure` as a PNG."""
    return to_png(bucket_figure(buckets, title, x))


def bucket_figure(buckets: Sequence[Bucket], title: str, x: str) -> Figure:
    """A bar per bucket: ExpRate, and stacked on it what is 1, 2 and 3 edits away."""
    figure = new_figure(max(6.8, 1.1 + 0.95 * len(buckets)), 3.9)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.add_subplot()
    places = range(len(buckets))
    below = [0.0] * len(buckets)
    layers = (("exact", 1.0), ("1 edit", 0.55), ("2 edits", 0.33), ("3 edits", 0.17))
    for (label, alpha), name in zip(layers, ("exprate", "le1", "le2", "le3"), strict=True):
        upto = [getattr(bucket, name) for bucket in buckets]
        heights = [high - low for high, low in zip(upto, below, strict=True)]
        axes.bar(places, heights, 0.68, below, color=BLUE, alpha=alpha, label=label, linewidth=0)
        below = upto
    for place, bucket in zip(places, buckets, strict=True):
        inside = bucket.exprate >= 12.0
        axes.text(
            place,
            bucket.exprate + (-2.0 if inside else 2.0),
            f"{bucket.exprate:.0f}",
            ha="center",
            va="top" if inside else "bottom",
            fontsize=9,
            fontfamily=SANS,
            fontweight="bold",
            color="white" if inside else TEXT,
        )
    style(axes, title, x, "expressions, %")
    axes.set_xticks(places, [f"{bucket.name}\nn = {bucket.n}" for bucket in buckets])
    axes.set(xlim=(-0.6, max(4, len(buckets)) - 0.4), ylim=(0, 108))
    axes.set_yticks(range(0, 101, 20))
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=4,
        frameon=False,
        prop={"family": SANS, "size": 8.5},
        labelcolor=MUTED,
        handlelength=1.2,
        columnspacing=1.2,
    )
    return figure
