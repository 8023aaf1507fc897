"""The page of the validate stage: static files that open without a network.

The bytes depend on the dataset and the thresholds only: no time, no path, no run.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from hmer.ingest.statistics import Profile, split_order
from hmer.plots import MONO, SERIES, TEXT, new_figure, style, to_png
from pipeline.gate.judge import Evidence
from pipeline.gate.verdict import Failure, Finding, Verdict
from pipeline.rendering import rendered

SHEET_ROWS = 24
"""Expressions on a sheet, evenly spread over the collection."""

Place = tuple[str, int]
"""Stem of the Parquet file, row in it."""

_CONTRADICTIONS = {
    "the caption has": "caption and MathML have other symbols",
    "stands elsewhere": "caption and MathML are structured otherwise",
    "is not in the MathML": "a symbol names no element of the MathML",
    "is annotated as": "ink is annotated as another symbol",
    "belong to no symbol": "strokes belong to no symbol",
    "belong to several": "strokes belong to several symbols",
    "the caption is no tree": "the caption does not parse",
    "there is no MathML": "no MathML, and equal symbols cannot be told apart",
}
"""What the reasons of `hmer.ingest.alignment` have in common, to count them by."""


def collections(samples: pd.DataFrame) -> pd.DataFrame:
    """The collections of all splits: how much there is of each, how high its symbols are.

    Heights are medians over an expression's letters and digits, in symbol units: their quantiles
    over the collection, NaN where the segmentation is unknown.
    """
    lines = []
    for name, rows in samples.groupby("source"):
        counts = rows["file"].value_counts().sort_index()
        splits = ", ".join(f"{split} {count}" for split, count in counts.items())
        heights = rows["symbol_height"].quantile([0.05, 0.5, 0.95])
        lines.append((name, len(rows), splits, (rows["noise"] != "").sum(), *heights))
    quantiles = ("Symbol height: 5 %", "median", "95 %")
    return pd.DataFrame(lines, columns=["Collection", "Rows", "In", "Label noise", *quantiles])


def sheets(samples: pd.DataFrame) -> dict[str, list[Place]]:
    """Expressions to show of each collection."""
    found = {}
    for name, rows in samples.groupby("source"):
        chosen = np.linspace(0, len(rows) - 1, min(SHEET_ROWS, len(rows))).astype(int)
        sheet = rows.iloc[np.unique(chosen)]
        found[str(name)] = list(zip(sheet["file"], sheet["row"].tolist(), strict=True))
    return found


def differences(samples: pd.DataFrame) -> pd.DataFrame:
    """The rows whose caption differs from the raw truth, by explanation."""
    found = _told(samples, "difference")
    parts = [text.partition(": ") for text in found.pop("difference")]
    found["Explanation"], found["What"] = [one[0] for one in parts], [one[2] for one in parts]
    return found.sort_values("Explanation", kind="stable")


def noise(samples: pd.DataFrame) -> pd.DataFrame:
    """The rows with label noise, by the kind of contradiction."""
    found = _told(samples, "noise").rename(columns={"noise": "What"})
    first = [text.partition(";")[0] for text in found["What"]]  # then why there is no way round it
    kinds = [next((k for sign, k in _CONTRADICTIONS.items() if sign in t), "other") for t in first]
    found.insert(3, "Contradiction", kinds)
    return found.sort_values("Contradiction", kind="stable")


def _told(samples: pd.DataFrame, column: str) -> pd.DataFrame:
    """Where the rows with a text in `column` are from, and the text."""
    found = samples.loc[samples[column].fillna("") != "", ["id", "file", "source", column]]
    return found.rename(columns={"id": "Id", "file": "Split", "source": "Collection"})


MAX_SYMBOLS = 48
BINS = 30


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
        "depth.png": histogram(
            profile.rows, "depth", "Nesting", "rows within rows (0: a flat expression)"
        ),
        "scale.png": histogram(
            profile.rows,
            "symbol_height",
            "Symbol scale by collection",
            "height in symbol units",
            share="share of the collection",
            by="source",
        ),
    }


def histogram(
    rows: pd.DataFrame,
    column: str,
    title: str,
    unit: str,
    share: str = "share of the split",
    by: str = "file",
) -> bytes:
    """Share of each split's rows per bin; the rarest 0.5 % at the top fall into the last bin."""
    known = rows[[by, column]].dropna()
    values = known[column].to_numpy(np.float64)
    groups = {str(name): group[column] for name, group in known.groupby(by)}

    def draw(axes: Axes) -> None:
        style(axes, title, unit, share)
        if not len(values):
            return
        edges = _edges(values)
        for color, name in zip(_colors(), sorted(groups, key=split_order), strict=False):
            counts, _ = np.histogram(np.clip(groups[name], None, edges[-1]), edges)
            axes.stairs(counts / counts.sum(), edges, color=color, linewidth=1.6, label=name)
        axes.legend(frameon=False, fontsize=8.5)

    return _figure(draw)


def symbols(tokens: dict[str, Counter[str]]) -> bytes:
    """Share of the commonest symbols of train (of everything, without a train) in each split."""
    reference = tokens.get("train") or sum(tokens.values(), Counter())
    order = sorted(reference, key=lambda token: (-reference[token], token))[:MAX_SYMBOLS]
    places = np.arange(len(order))

    def draw(axes: Axes) -> None:
        style(axes, "Symbols", "", "share of all symbols")
        splits = sorted(tokens, key=split_order)
        for number, (color, split) in enumerate(zip(_colors(), splits, strict=False)):
            total = max(1, sum(tokens[split].values()))
            shares = [tokens[split][token] / total for token in order]
            if number == 0:
                axes.bar(places, shares, width=0.75, color=color, alpha=0.35, label=split)
            else:
                mark = "os^Dv"[number % 5]
                axes.plot(places, shares, mark, color=color, markersize=4, label=split)
        axes.set_xticks(places, order, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yscale("symlog", linthresh=1e-3)
        axes.set_ylim(bottom=0)
        axes.set_xlim(-1, len(order))
        for label in axes.get_xticklabels():
            label.set(fontfamily=MONO, fontsize=8, color=TEXT, parse_math=False)
        axes.legend(frameon=False, fontsize=8.5, ncols=4)

    return _figure(draw, width=11.4, height=3.8)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(np.quantile(values, 0.995))
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    if np.all(values == np.round(values)):  # whole numbers: bins of one whole width
        step = max(1.0, np.ceil((high - low) / BINS))
        return np.asarray(np.arange(low - 0.5, high + step, step))
    return np.linspace(low, high, BINS + 1)


def _colors() -> list[str]:
    return list(SERIES) * 4


def _figure(draw: Callable[[Axes], None], width: float = 5.6, height: float = 3.0) -> bytes:
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    draw(axes)
    figure.tight_layout()
    return to_png(figure)


PICTURED = 12
"""Failing rows of an expectation that are shown with their picture, at most."""
PAIRED = frozenset({"unique_id", "repeats", "contradicts", "image_leak", "near_leak"})
"""Expectations whose failing value names another row, `split/id`, which is shown beside it."""

UNITS = {
    "dataset": "dataset",
    "files": "files",
    "splits": "splits",
    "samples": "expressions",
    "symbols": "symbols",
}
"""What the rows of a suite are, in the order of the page."""


SPLITS = {
    "id": "Split",
    "rows": "Rows",
    "writers": "Writers",
    "unknown_writers": "Writer unknown",
    "labels": "Distinct labels",
    "label_overlap": "Rows with a label of train",
    "symbol_drift": "Symbol drift",
    "length_drift": "Length drift",
    "size_drift": "Size drift",
}
"""Columns of the table of splits, as the page has them."""


def write_report(out: Path, dataset: Path, evidence: Evidence, verdict: Verdict) -> None:
    """Write `index.html`, folders of pictures, `gate.json` and `verdict.json` into `out`.

    `gate.json` holds the answer alone, for stages that must not run again because a threshold
    that was kept anyway has moved.
    """
    out.mkdir(parents=True, exist_ok=True)
    samples = evidence.frames["samples"]
    pairs = {
        finding.name: [
            (failure, _other(finding, failure, samples))
            for failure in finding.failures[:PICTURED]
            if failure.row is not None
        ]
        for finding in verdict.findings
    }
    chosen = sheets(samples)
    wanted = set(chain.from_iterable(chosen.values()))
    for failure, other in chain.from_iterable(pairs.values()):
        wanted |= {_place(failure), other or _place(failure)}
    shown = _samples(out, dataset, wanted)
    images = plots(evidence.profile)
    (out / "plots").mkdir(exist_ok=True)
    for name, data in images.items():
        (out / "plots" / name).write_bytes(data)
    page = rendered(
        "validation.html.j2",
        verdict=verdict,
        attention=[*verdict.broken, *verdict.refusing, *verdict.warnings, *verdict.tolerated],
        suites={
            name: [finding for finding in verdict.findings if finding.suite == name]
            for name in UNITS
        },
        units=UNITS,
        shown={
            name: [
                {
                    **shown[_place(failure)],
                    "id": failure.id,
                    "value": failure.value,
                    "other": other and shown[other],
                }
                for failure, other in rows
            ]
            for name, rows in pairs.items()
        },
        splits=evidence.frames["splits"].drop(columns="too_few").rename(columns=SPLITS),
        collections=collections(samples),
        sheets={name: [shown[place] for place in places] for name, places in chosen.items()},
        told={
            "Captions that differ from their raw truths": differences(samples),
            "Label noise": noise(samples),
        },
        images=list(images),
        quarantine=evidence.quarantine.rename(columns=str.capitalize),
    )
    (out / "index.html").write_text(page, encoding="utf-8")
    (out / "verdict.json").write_text(verdict.model_dump_json(indent=1) + "\n", encoding="utf-8")
    gate = json.dumps({"passed": verdict.passed})
    (out / "gate.json").write_text(gate + "\n", encoding="utf-8")


def _place(failure: Failure) -> Place:
    return failure.file or "", failure.row or 0


def _other(finding: Finding, failure: Failure, samples: pd.DataFrame) -> Place | None:
    """Where the row lies that `failure` names as its counterpart: the first of that name."""
    if finding.name not in PAIRED or finding.error:
        return None
    file, _, name = failure.value.partition("/")
    rows = samples.loc[(samples["file"] == file) & (samples["id"] == name), "row"]
    places = [(file, int(row)) for row in rows]
    return places[0] if places and places[0] != _place(failure) else None


def read_rows(dataset: Path, places: set[Place]) -> dict[Place, dict[str, Any]]:
    """The rows at `places`."""
    columns = ["id", "split", "writer", "tokens", "image"]
    by_file: dict[str, list[int]] = defaultdict(list)
    for name, row in sorted(places):
        by_file[name].append(row)
    found: dict[Place, dict[str, Any]] = {}
    for name, rows in by_file.items():
        table = pyarrow.dataset.dataset(dataset / f"{name}.parquet").take(rows, columns=columns)
        for row, content in zip(rows, table.to_pylist(), strict=True):
            found[name, row] = content
    return found


def _samples(out: Path, dataset: Path, places: set[Place]) -> dict[Place, dict[str, Any]]:
    """Rows as the page shows them, with their pictures, which are written beside it."""
    (out / "pictures").mkdir(exist_ok=True)
    return {
        place: {
            "id": row["id"],
            "split": row["split"] or "",
            "writer": row["writer"] or "",
            "label": " ".join(token or "" for token in row["tokens"] or ()),
            "picture": _picture(out, f"pictures/{place[0]}-{place[1]}.png", row["image"]),
        }
        for place, row in read_rows(dataset, places).items()
    }


def _picture(out: Path, name: str, data: bytes | None) -> str:
    """Write the picture of one row, and give its name; "" where it does not decode."""
    try:
        with Image.open(io.BytesIO(data or b""), formats=("PNG",)) as image:
            grey = image.convert("L")
    except Exception:  # whatever a damaged file does to the decoder, the page has no picture
        return ""
    # Ink on paper, as people know it; and never the bytes found, which may hold more than pixels.
    grey.point([255 - level for level in range(256)]).save(out / name, "PNG")
    return name
