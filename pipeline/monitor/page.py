"""The monitoring report: a static page with pictures, and the verdict as JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from hmer.plots import MONO, SERIES, TEXT, legend, new_figure, style, to_png
from pipeline.monitor.compare import Drift
from pipeline.monitor.observe import MEASURES, Observed
from pipeline.rendering import rendered

TITLES = {
    "height": ("Height", "symbol units"),
    "width": ("Width", "symbol units"),
    "ink_share": ("Ink", "share of the picture's pixels that are ink"),
    "symbol_scale": ("Symbol scale", "symbol units of width per token read"),
    "length": ("Length", "tokens read"),
    "confidence": ("Confidence", "of the champion in its reading"),
    "tokens": ("Tokens", ""),
    "unreadable": ("Unreadable files", ""),
}
BINS = 24
MOST_TOKENS = 40


def write_report(out: Path, recent: Observed, reference: Observed, drift: Drift) -> None:
    """Write `verdict.json`, `index.html` and its pictures into an existing folder."""
    text = json.dumps(drift.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (out / "verdict.json").write_text(text + "\n", encoding="utf-8")
    pictures = []
    for name in MEASURES if len(recent.rows) else ():
        (out / f"{name}.png").write_bytes(histogram(name, recent, reference))
        pictures.append(f"{name}.png")
    if any(recent.tokens) and any(reference.tokens):
        (out / "tokens.png").write_bytes(tokens(recent, reference))
        pictures.append("tokens.png")
    (out / "index.html").write_text(_page(drift, pictures), encoding="utf-8")


def histogram(name: str, recent: Observed, reference: Observed) -> bytes:
    """Shares of both per bin; what lies beyond the outer bins is in them."""
    known, new = (side.rows[name].to_numpy(np.float64) for side in (reference, recent))
    both = np.concatenate([known, new])
    low, high = np.quantile(both, [0.0, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    figure = new_figure(5.4, 2.9)
    axes = figure.add_subplot()
    title, unit = TITLES[name]
    style(axes, title, unit, "share")
    for values, color, label in ((known, SERIES[0], "data set"), (new, SERIES[1], "recent")):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        shares = counts / max(1, len(values))
        filled = label == "data set"
        axes.stairs(
            shares, edges, color=color, label=label, fill=filled,
            alpha=0.35 if filled else 1.0, linewidth=1.8,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    legend(axes)
    figure.tight_layout()
    return to_png(figure)


def tokens(recent: Observed, reference: Observed) -> bytes:
    """Share of the tokens that are commonest in either."""
    known, new = (sum(side.tokens, Counter[str]()) for side in (reference, recent))
    share = {t: (known[t] / known.total(), new[t] / new.total()) for t in set(known) | set(new)}
    order = sorted(share, key=lambda token: (-max(share[token]), token))[:MOST_TOKENS]
    figure = new_figure(11.0, 3.4)
    axes = figure.add_subplot()
    style(axes, "Tokens read", "", "share of all tokens")
    places = np.arange(len(order))
    axes.bar(
        places, [share[t][0] for t in order], 0.75, color=SERIES[0], alpha=0.35, label="data set"
    )
    axes.plot(
        places, [share[t][1] for t in order], "s", color=SERIES[1], markersize=4, label="recent"
    )
    axes.set_xticks(places, order, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlim(-1, len(order))
    axes.set_ylim(bottom=0)
    for tick in axes.get_xticklabels():
        tick.set(fontfamily=MONO, fontsize=8, color=TEXT, parse_math=False)
    legend(axes)
    figure.tight_layout()
    return to_png(figure)


def _page(drift: Drift, pictures: list[str]) -> str:
    return rendered("monitor.html.j2", drift=drift, pictures=pictures, titles=TITLES)
