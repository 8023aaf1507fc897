"""Plots of the dataset's distributions, split against split, for the validation page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hmer.ingest.statistics import Profile, split_order
from hmer.plots import MONO, SERIES, TEXT, new_figure, style, to_png

MAX_SYMBOLS = 48
BINS = 30
MAX_SYMBOL_HEIGHT = 3.0
"""Symbol units; what is higher falls into the last bin."""
MIN_ROWS = 30
"""Collections with fewer rows have no distribution to draw."""


def plots(profile: Profile) -> dict[str, bytes]:
    """PNG files by name, with `symbols.png` first; empty where there are no rows."""
    if profile.rows.empty:
        return {}
    return {
        "symbols.png": symbols(profile.tokens),
        "lengths.png": histogram(profile.rows, "tokens", "Label length", "tokens"),
        "heights.png": histogram(profile.rows, "height", "Picture height", "pixels"),
        "widths.png": histogram(profile.rows, "width", "Picture width", "pixels"),
        "ink.png": histogram(
            profile.rows, "ink_share", "Ink", "share of the picture's pixels that are ink"
        ),
        "strokes.png": histogram(profile.rows, "strokes", "Strokes", "strokes per expression"),
        "depth.png": _figure(lambda axes: _depth(axes, profile.rows)),
        "scale.png": _figure(lambda axes: _scale(axes, profile.rows)),
    }


def histogram(rows: pd.DataFrame, column: str, title: str, unit: str) -> bytes:
    """Share of each split's rows per bin; the rarest 0.5 % at the top fall into the last bin."""
    known = rows[["file", column]].dropna()
    values = known[column].to_numpy(np.float64)

    def draw(axes: Axes) -> None:
        style(axes, title, unit, "share of the split")
        if not len(values):
            return
        edges = _edges(values)
        for color, (split, group) in zip(_colors(), _groups(known), strict=False):
            counts, _ = np.histogram(np.clip(group[column], None, edges[-1]), edges)
            axes.stairs(counts / counts.sum(), edges, color=color, linewidth=1.6, label=split)
        axes.legend(frameon=False, fontsize=8.5)

    return _figure(draw)


def symbols(tokens: dict[str, Counter[str]]) -> bytes:
    """Share of the commonest symbols of train (of everything, without a train) in each split."""
    reference = tokens.get("train") or sum(tokens.values(), Counter())
    order = sorted(reference, key=lambda token: (-reference[token], token))[:MAX_SYMBOLS]
    places = np.arange(len(order))

    def draw(axes: Axes) -> None:
        style(axes, "Symbols", "", "share of all symbols")
        for number, (color, split) in enumerate(
            zip(_colors(), sorted(tokens, key=split_order), strict=False)
        ):
            total = max(1, sum(tokens[split].values()))
            shares = [tokens[split][token] / total for token in order]
            if number == 0:
                axes.bar(places, shares, width=0.75, color=color, alpha=0.35, label=split)
            else:
                axes.plot(
                    places, shares, "os^Dv"[number % 5], color=color, markersize=4, label=split
                )
        axes.set_xticks(places, order, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yscale("symlog", linthresh=1e-3)
        axes.set_ylim(bottom=0)
        axes.set_xlim(-1, len(order))
        for label in axes.get_xticklabels():
            label.set(fontfamily=MONO, fontsize=8, color=TEXT, parse_math=False)
        axes.legend(frameon=False, fontsize=8.5, ncols=4)

    return _figure(draw, width=11.4, height=3.8)


def _depth(axes: Axes, rows: pd.DataFrame) -> None:
    style(axes, "Nesting", "rows within rows (0: a flat expression)", "share of the split")
    known = rows[["file", "depth"]].dropna()
    if known.empty:
        return
    depths = np.arange(int(known["depth"].max()) + 1)
    groups = _groups(known)
    width = 0.8 / len(groups)
    for number, (color, (split, group)) in enumerate(zip(_colors(), groups, strict=False)):
        shares = np.bincount(group["depth"].astype(int), minlength=len(depths)) / len(group)
        offset = (number - (len(groups) - 1) / 2) * width
        axes.bar(depths + offset, shares, width, color=color, label=split)
    axes.set_xticks(depths)
    axes.legend(frameon=False, fontsize=8.5)


def _scale(axes: Axes, rows: pd.DataFrame) -> None:
    style(axes, "Symbol scale by collection", "height in symbol units", "share of the collection")
    known = rows[["source", "symbol_height"]].dropna()
    edges = np.linspace(0, MAX_SYMBOL_HEIGHT, 2 * BINS + 1)
    groups = [(name, group) for name, group in known.groupby("source") if len(group) >= MIN_ROWS]
    for color, (name, group) in zip(_colors(), groups, strict=False):
        counts, _ = np.histogram(np.clip(group["symbol_height"], None, edges[-1]), edges)
        axes.stairs(counts / counts.sum(), edges, color=color, linewidth=1.4, label=str(name))
    if groups:
        axes.legend(frameon=False, fontsize=8.5)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(np.quantile(values, 0.995))
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    if np.all(values == np.round(values)):  # whole numbers: bins of one whole width
        step = max(1.0, np.ceil((high - low) / BINS))
        return np.asarray(np.arange(low - 0.5, high + step, step))
    return np.linspace(low, high, BINS + 1)


def _groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = [(str(name), group) for name, group in rows.groupby("file", sort=False)]
    return sorted(groups, key=lambda pair: split_order(pair[0]))


def _colors() -> list[str]:
    return list(SERIES) * 4


def _figure(draw: Callable[[Axes], None], width: float = 5.6, height: float = 3.0) -> bytes:
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    draw(axes)
    figure.tight_layout()
    return to_png(figure)
