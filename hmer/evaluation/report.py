"""Report of an evaluation: metrics.json, tables as CSV, plots as PNG, and one page of HTML.

A report is a list of sections; the page shows them, and everything that they hold is in it: no
scripts, no network, pictures as data URIs, so that it opens anywhere. Nothing that changes from run
to run is written: equal evaluations give equal bytes.
"""

from __future__ import annotations

import io
import json
import math
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw
from pydantic import BaseModel, ConfigDict, Field

from hmer.evaluation.metrics import METRICS, SetScores
from hmer.evaluation.prediction import Marked
from hmer.plots import on_paper

Image = NDArray[np.uint8]
"""A picture, shape (H, W), ink 255 on 0."""

_COLOURS = 48  # of a tinted picture: a third of the bytes of full colour, and no visible loss
_SCALE = 2  # of pictures with marks


class Mark(NamedTuple):
    """A box drawn over a picture: left, top, right, bottom in pixels; round or not."""

    box: tuple[float, float, float, float]
    colour: str
    round: bool = False


def to_png(
    image: Image, tint: NDArray[np.floating] | None = None, marks: Sequence[Mark] = ()
) -> bytes:
    """Black ink on white paper as PNG, with `tint` as in `on_paper` and marks drawn over it."""
    if tint is None and not marks:
        shown = PillowImage.fromarray(255 - image)
    else:
        colours = np.round(255.0 * on_paper(image, tint)).astype(np.uint8)
        shown = PillowImage.fromarray(colours)
        if marks:
            size = (_SCALE * shown.width, _SCALE * shown.height)
            shown = shown.resize(size, PillowImage.Resampling.BILINEAR)
            draw = ImageDraw.Draw(shown)
            for mark in marks:
                left, top, right, bottom = (_SCALE * side for side in mark.box)
                corners = (left, top, max(right - 1, left), max(bottom - 1, top))
                shape = draw.ellipse if mark.round else draw.rectangle
                shape(corners, outline=mark.colour, width=2)
        shown = shown.quantize(_COLOURS)
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


DIGITS = 4
"""Of the numbers in files."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class ReportConfig(BaseModel):
    """How much a report shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=12, ge=0, le=200, description="pictures of right, and of wrong")
    attention: int = Field(
        default=6, ge=0, le=100, description="expressions shown with their attention"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table, as a CSV file and on the page.

    `file`: its name; by default `<section>-<number>.csv`, counted from 1. `view`: what the page
    shows of it; None: all, and of an empty one only the link to the file.
    """

    frame: pd.DataFrame
    caption: str = ""
    file: str | None = None
    view: pd.DataFrame | None = None


class Figure(NamedTuple):
    """A plot, PNG bytes from `hmer.plots`, on the page and as `<section>-<name>.png`."""

    name: str
    png: bytes
    caption: str
    file: str | None = None


class Picture(NamedTuple):
    """A small picture with text: heading, tokens by label, and whether it was right."""

    png: bytes | None
    heading: str = ""
    right: bool | None = None
    lines: Sequence[tuple[str, Sequence[Marked]]] = ()


class Gallery(NamedTuple):
    """Rows of pictures, each under a heading of its own."""

    rows: Sequence[tuple[str, Sequence[Picture]]]
    caption: str = ""
    scale: float = 1.4
    """Pixels of the page to a pixel of a picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One measurement of a report.

    `name` is short and unique in a report; `text` says what is measured and how to read it.
    `numbers` are finite, and are metrics of the evaluation as `<section>.<name>`.

    Raises:
        ValueError: a name that cannot be a file's, or a number that is not finite.
    """

    name: str
    title: str
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    galleries: Sequence[Gallery] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *(figure.name for figure in self.figures)):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r}: expected small letters, digits and _, a letter first")
        endless = [name for name, value in self.numbers.items() if not math.isfinite(value)]
        if endless:
            raise ValueError(f"{self.name}: {', '.join(endless)} is not finite")

    def table_files(self) -> dict[str, Table]:
        """The tables by file name."""
        return {
            table.file or f"{self.name}-{number}.csv": table
            for number, table in enumerate(self.tables, 1)
        }

    def figure_files(self) -> dict[str, Figure]:
        """The figures by file name."""
        return {figure.file or f"{self.name}-{figure.name}.png": figure for figure in self.figures}


def write_report(
    out: Path,
    name: str,
    scores: SetScores,
    sections: Sequence[Section],
    facts: Mapping[str, str],
) -> dict[str, float]:
    """Write index.html, metrics.json, and the tables and figures of all sections, into `out`.

    `facts` (recogniser, dialect, decoding) are shown as they are; keep dates and paths out of them.

    Returns:
        The content of metrics.json: those of `METRICS` that predictions decide, then the numbers of
        all sections.

    Raises:
        ValueError: two sections have the same name.
    """
    if len({section.name for section in sections}) != len(sections):
        raise ValueError(f"{name}: two sections have the same name")
    out.mkdir(parents=True, exist_ok=True)
    numbers = scores.numbers()
    for section in sections:
        numbers |= {f"{section.name}.{key}": value for key, value in section.numbers.items()}
        for file, table in section.table_files().items():
            frame = table.frame.map(lambda v: round(v, DIGITS) if isinstance(v, float) else v)
            frame.to_csv(out / file, index=False, lineterminator="\n")
        for file, figure in section.figure_files().items():
            (out / file).write_bytes(figure.png)
    numbers = {key: round(value, DIGITS) for key, value in numbers.items()}
    text = json.dumps(numbers, indent=2, allow_nan=False)
    (out / "metrics.json").write_text(text + "\n", encoding="utf-8")
    page = _template("report.html.j2").render(
        name=name,
        scores=scores,
        cards=_cards(numbers, scores),
        sections=sections,
        facts=facts,
    )
    (out / "index.html").write_text(page, encoding="utf-8")
    return numbers


def write_index(out: Path, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """The page that links the report of each set; `metrics` as in metrics.json."""
    rows = [row for row in METRICS.values() if row.headline]
    page = _template("index.html.j2").render(metrics=metrics, rows=rows)
    (out / "index.html").write_text(page, encoding="utf-8")


def _cards(numbers: Mapping[str, float], scores: SetScores) -> list[tuple[str, str, str]]:
    """Label, value and note of the main numbers."""
    interval = f"95 % interval {scores.exprate.low:.1f} to {scores.exprate.high:.1f}"
    return [
        (row.heading, row.text(numbers[row.name]), interval if row.name == "exprate" else "")
        for row in METRICS.values()
        if row.headline and row.name in numbers and row.name != "n"
    ]


def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("hmer.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"uri": _uri, "table": _table, "tokens": _tokens}
    return environment.get_template(name)


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _table(table: Table) -> Markup:
    """What the page shows of it as HTML; pandas escapes what is in it."""
    frame = table.frame if table.view is None else table.view
    if frame.empty:
        return Markup("")
    return Markup(frame.to_html(index=False, border=0, float_format="{:.4g}".format, na_rep=""))


def _tokens(marked: Sequence[Marked]) -> Markup:
    """Tokens as text; those that the other side lacks stand out."""
    return Markup(" ").join(
        escape(token) if same else Markup("<b>{}</b>").format(token) for token, same in marked
    )
