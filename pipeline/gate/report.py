"""The page of the validate stage: static files that open without a network.

The bytes depend on the dataset and the thresholds only: no time, no path, no run.
"""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

from pipeline.gate.collections import (
    Collection,
    by_contradiction,
    by_explanation,
    collections,
    sheet_name,
    sheet_places,
    write_sheet,
)
from pipeline.gate.evidence import Evidence
from pipeline.gate.expectations import ValidateConfig
from pipeline.gate.plots import plots
from pipeline.gate.verdict import Failure, Finding, Verdict

MAX_QUARANTINED = 200
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

Place = tuple[str, int]
"""Stem of the Parquet file, row in it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One failing row as the page shows it; `picture` is a path relative to the page, or ""."""

    id: str
    value: str
    split: str
    writer: str
    label: str
    picture: str
    other: Shown | None = None


def write_report(
    out: Path, dataset: Path, evidence: Evidence, verdict: Verdict, config: ValidateConfig
) -> None:
    """Write `index.html`, folders of pictures, `gate.json` and `verdict.json` into `out`.

    `gate.json` holds the answer alone, for stages that must not run again because a threshold
    that was kept anyway has moved.
    """
    out.mkdir(parents=True, exist_ok=True)
    shown = _show(out, dataset, evidence, verdict, config)
    images = plots(evidence.profile)
    (out / "plots").mkdir(exist_ok=True)
    for name, data in images.items():
        (out / "plots" / name).write_bytes(data)
    found = _sheets(out, dataset, evidence)
    page = _page(evidence, verdict, config, shown, list(images), found)
    (out / "index.html").write_text(page, encoding="utf-8")
    (out / "verdict.json").write_text(verdict.model_dump_json(indent=1) + "\n", encoding="utf-8")
    gate = '{"passed": true}' if verdict.passed else '{"passed": false}'
    (out / "gate.json").write_text(gate + "\n", encoding="utf-8")


def _show(
    out: Path, dataset: Path, evidence: Evidence, verdict: Verdict, config: ValidateConfig
) -> dict[str, list[Shown]]:
    """The failing rows to picture, by expectation; writes their pictures."""
    samples = evidence.frames["samples"]
    pairs: dict[str, list[tuple[Failure, Place | None]]] = {}
    for finding in verdict.findings:
        chosen = [failure for failure in finding.failures if failure.row is not None]
        pairs[finding.name] = [
            (failure, _other(finding, failure, samples)) for failure in chosen[: config.pictured]
        ]
    wanted = {_place(failure) for found in pairs.values() for failure, _ in found}
    wanted |= {other for found in pairs.values() for _, other in found if other is not None}
    rows = read_rows(dataset, wanted)
    (out / "pictures").mkdir(exist_ok=True)
    pictures = {place: _picture(out, place, row["image"]) for place, row in rows.items()}
    return {
        name: [
            _shown(
                rows[_place(failure)],
                pictures[_place(failure)],
                failure,
                other
                and _shown(rows[other], pictures[other], Failure(id=rows[other]["id"], value="")),
            )
            for failure, other in found
        ]
        for name, found in pairs.items()
    }


def _sheets(out: Path, dataset: Path, evidence: Evidence) -> list[Collection]:
    """The collections, with the contact sheet of each."""
    samples = evidence.frames["samples"]
    found = collections(samples)
    places = {c.name: sheet_places(samples, c.name) for c in found}
    rows = read_rows(dataset, {place for chosen in places.values() for place in chosen})
    (out / "sheets").mkdir(exist_ok=True)
    with_sheets = []
    for number, collection in enumerate(found):
        name = f"sheets/{number:02d}-{sheet_name(collection.name)}.png"
        write_sheet(out / name, [rows[place] for place in places[collection.name]])
        sheet = name if (out / name).is_file() else ""
        with_sheets.append(replace(collection, sheet=sheet))
    return with_sheets


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
    """The rows at `places`; only the row groups that hold one are read, one at a time."""
    columns = ["id", "split", "writer", "tokens", "image"]
    by_file: dict[str, set[int]] = defaultdict(set)
    for name, row in places:
        by_file[name].add(row)
    found: dict[Place, dict[str, Any]] = {}
    for name, rows in sorted(by_file.items()):
        with pq.ParquetFile(dataset / f"{name}.parquet") as file:
            start = 0
            for group in range(file.metadata.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                here = sorted(row - start for row in rows if start <= row < end)
                if here:
                    table = file.read_row_group(group, columns=columns, use_threads=False)
                    for offset, content in zip(here, table.take(here).to_pylist(), strict=True):
                        found[name, start + offset] = content
                start = end
    return found


def _picture(out: Path, place: Place, data: bytes | None) -> str:
    """Write one picture beside the page; its relative path, "" where it does not decode."""
    try:
        with Image.open(io.BytesIO(data or b""), formats=("PNG",)) as image:
            grey = image.convert("L")
    except Exception:  # whatever a damaged file does to the decoder, the page has no picture
        return ""
    name = f"pictures/{place[0]}-{place[1]}.png"
    # Ink on paper, as people know it; and never the bytes found, which may hold more than pixels.
    grey.point([255 - level for level in range(256)]).save(out / name, "PNG")
    return name


def _shown(
    row: dict[str, Any], picture: str, failure: Failure, other: Shown | None = None
) -> Shown:
    return Shown(
        id=failure.id,
        value=failure.value,
        split=row["split"] or "",
        writer=row["writer"] or "",
        label=" ".join(token or "" for token in row["tokens"] or ()),
        picture=picture,
        other=other,
    )


def _page(
    evidence: Evidence,
    verdict: Verdict,
    config: ValidateConfig,
    shown: dict[str, list[Shown]],
    images: list[str],
    found: list[Collection],
) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline.gate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    symbols = evidence.frames["symbols"]
    rare = symbols[symbols["train"] < max(1, config.min_symbol_count)]
    reasons = evidence.quarantine["reason"].value_counts(sort=False).sort_index()
    return environment.get_template("validation.html.j2").render(
        verdict=verdict,
        attention=[*verdict.broken, *verdict.refusing, *verdict.warnings, *verdict.tolerated],
        suites={
            name: [finding for finding in verdict.findings if finding.suite == name]
            for name in UNITS
        },
        units=UNITS,
        shown=shown,
        collections=found,
        differences=by_explanation(evidence.frames["samples"]),
        noise=by_contradiction(evidence.frames["samples"]),
        splits=evidence.frames["splits"].to_dict("records"),
        images=images,
        rare=rare.sort_values(["later", "train", "id"], ascending=[False, True, True]).to_dict(
            "records"
        ),
        min_symbol_count=config.min_symbol_count,
        reasons=[(str(reason), int(count)) for reason, count in reasons.items()],
        quarantine=evidence.quarantine.head(MAX_QUARANTINED).to_dict("records"),
    )


def _number(value: float | None, digits: int | None = None) -> str:
    """A number for a table: whole with blanks between thousands, shares with `digits`."""
    if value is None or value != value:
        return "–"
    return f"{value:,.0f}".replace(",", " ") if digits is None else f"{value:.{digits}f}"
