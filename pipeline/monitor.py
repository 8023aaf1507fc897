"""Has the input changed since training? Recent pictures or ink against the data set.

Both sides are read by the champion at its scale, so that they differ only where the input does:
recent files are prepared as `recognize` does, the data set's images were when they were ingested.
The reference is the validation split: from the same sources as the training data, but never trained
on, so that confidence can be compared too.

A stability index of small samples is large by itself (about 2 bins / n for n against many without
any drift), so a threshold alone would cry wolf. Each index is therefore also compared with what
samples of the same size, drawn from the reference, give.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.data.dataset import load_expressions
from hmer.data.drawing import drawn_at
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.files import atomic_folder
from hmer.ingest.statistics import jensen_shannon, population_stability
from hmer.ingest.summary import stored_render
from hmer.ink.raster import PICTURES
from hmer.ink.render import RenderConfig
from hmer.recognizer import Recognizer
from pipeline.dvcfile import PARAMS
from pipeline.gate.report import histogram, symbols
from pipeline.params import load_section
from pipeline.registry.versions import FOLDER
from pipeline.rendering import rendered

SPLIT = "data/dataset/val.parquet"
REPORT = "reports/monitor"
DRIFTED = 5
"""Exit code: recent input has drifted."""
DECODING = DecodingConfig(beam=3)
TOGETHER = 16
"""Expressions read in one batch."""
DRAWS, CHANCE = 200, 0.01
"""Samples of no drift that are drawn for each index, and how often one may look as different."""
MEASURES = {
    "height": ("Height", "symbol units"),
    "width": ("Width", "symbol units"),
    "ink_share": ("Ink", "share of the picture's pixels that are ink"),
    "symbol_scale": ("Symbol scale", "symbol units of width per token read"),
    "length": ("Length", "tokens read"),
    "confidence": ("Confidence", "of the champion in its reading"),
}
"""What is measured of an expression: title and unit."""
TITLES = {**MEASURES, "tokens": ("Tokens", ""), "unreadable": ("Unreadable files", "")}

Prepared = tuple[str, NDArray[np.uint8]]
"""A name, and an image at the recogniser's scale: (H, W), ink 255 on 0."""


class MonitorConfig(BaseModel):
    """Parameters of `python -m pipeline monitor`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: int = Field(30, ge=5, description="files, at least, without which there is no verdict")
    most: int = Field(500, ge=5, description="files looked at, the newest")
    reference: int = Field(300, ge=30, description="expressions of the data set to compare with")
    stability: float = Field(
        0.25, gt=0, le=10, description="population stability index that counts as drift"
    )
    divergence: float = Field(
        0.1, gt=0, le=1, description="Jensen-Shannon divergence of tokens, in bits, that does"
    )
    unreadable: float = Field(
        0.1, ge=0, le=1, description="share of files that cannot be read, that does"
    )


class Finding(BaseModel):
    """One comparison: it drifted where `value` is above both `threshold` and `chance`."""

    model_config = ConfigDict(frozen=True)

    name: str
    index: str
    value: float
    threshold: float
    chance: float
    drifted: bool


class Drift(BaseModel):
    """The verdict on recent input."""

    model_config = ConfigDict(frozen=True)

    drifted: bool
    read: int
    reference: int
    refused: dict[str, str]
    findings: tuple[Finding, ...]


@dataclass
class Observed:
    """Measurements of expressions.

    Attributes:
        rows: one line each: `name` and `MEASURES`; `symbol_scale` moves when symbols are taken for
            larger or smaller than they are.
        tokens: tokens read, for each expression.
        refused: names of what could not be read, with the reason.
    """

    rows: pd.DataFrame
    tokens: list[Counter[str]]
    refused: dict[str, str] = field(default_factory=dict)


def monitor(
    root: Path, folder: Path, progress: Callable[[str, int], object] = lambda what, done: None
) -> Drift:
    """Compare the newest files of `folder` with the data set, and write `reports/monitor/`.

    Args:
        root: the project.
        folder: recent pictures and InkML.
        progress: told what is being read and how many have been.

    Raises:
        HmerError: nothing to compare, no champion, no data set, too few files, or wrong parameters.
    """
    config = load_section(root / PARAMS, "monitor", MonitorConfig)
    files = recent_files(folder, config.most)
    recognizer = Recognizer.load(root / FOLDER)
    images: list[Prepared] = []
    refused: dict[str, str] = {}
    for path in files:
        name = str(path.relative_to(folder))
        try:
            images.append((name, recognizer.prepare(path)))
        except HmerError as error:
            refused[name] = str(error)
    if len(images) < config.least and len(refused) <= config.unreadable * len(files):
        raise HmerError(
            f"{folder}: {len(images)} files can be read, fewer than monitor.least = "
            f"{config.least}: too few to tell drift from chance"
        )
    recent = observe(recognizer, images, lambda done: progress("recent", done))
    recent.refused = refused
    known = reference_images(root / SPLIT, config.reference, recognizer.render)
    reference = observe(recognizer, known, lambda done: progress("data set", done))
    drift = compare(recent, reference, config)
    with atomic_folder(root / REPORT) as out:
        write_report(out, recent, reference, drift)
    return drift


def recent_files(folder: Path, most: int) -> list[Path]:
    """Pictures and InkML in a folder and below, the newest, in the order of their names.

    Raises:
        HmerError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise HmerError(f"{folder}: no such folder")
    found = [
        p for p in folder.rglob("*") if p.suffix.lower() in (*PICTURES, ".inkml") and p.is_file()
    ]
    if not found:
        raise HmerError(f"{folder}: holds no picture and no InkML")
    found.sort(key=lambda path: (-path.stat().st_mtime_ns, str(path)))
    return sorted(found[:most])


def reference_images(split: Path, number: int, style: RenderConfig) -> list[Prepared]:
    """Expressions of a split, spread evenly over it, at the scale of a recogniser.

    The images of a data set are prepared already: their scale was estimated, or known from the
    ink, when they were ingested. Estimated once more it would be another one.

    Raises:
        HmerError: the split is missing or damaged, or does not say at what scale its images are.
    """
    known = load_expressions(split)
    chosen = np.unique(np.linspace(0, len(known) - 1, number).astype(int)).tolist()
    drawn = drawn_at(known.take(chosen), style, stored_render(split.parent))
    return [(name, drawn.image(index)) for index, name in enumerate(drawn.ids)]


def observe(
    recognizer: Recognizer,
    images: Iterable[Prepared],
    progress: Callable[[int], object] = lambda done: None,
) -> Observed:
    """Measure and read every image; `progress` is told how many have been read."""
    unit = recognizer.render.unit
    # Neighbours in a batch are of one size, or much of it would be padding.
    images = sorted(images, key=lambda pair: (pair[1].shape[1], pair[1].shape[0], pair[0]))
    found: dict[str, tuple[tuple[float, ...], Counter[str]]] = {}
    for start in range(0, len(images), TOGETHER):
        part = images[start : start + TOGETHER]
        readings = recognizer.read([image for _, image in part], DECODING)
        for (name, image), reading in zip(part, readings, strict=True):
            height, width = (side / unit for side in image.shape)
            length = len(reading.tokens)
            ink = float(image.mean() / 255)  # of grey, too: enlarging keeps it as it is
            measured = (height, width, ink, width / max(1, length), length, reading.confidence)
            found[name] = (measured, Counter(reading.tokens))
        progress(start + len(part))
    order = sorted(found)
    rows = pd.DataFrame([(name, *found[name][0]) for name in order], columns=["name", *MEASURES])
    return Observed(rows, [found[name][1] for name in order])


def compare(recent: Observed, reference: Observed, config: MonitorConfig) -> Drift:
    """Compare every measure and the tokens, and count what could not be read."""
    rng = np.random.default_rng(0)
    found: list[tuple[str, str, float, float, Sequence[float]]] = []
    for name in MEASURES if len(recent.rows) else ():
        known, new = (side.rows[name].to_numpy(np.float64) for side in (reference, recent))
        drawn = [population_stability(known, rng.choice(known, len(new))) for _ in range(DRAWS)]
        found.append((name, "PSI", population_stability(known, new), config.stability, drawn))
    now, before = (sum(side.tokens, Counter[str]()) for side in (recent, reference))
    if now and before:
        # Whole expressions are drawn, for tokens keep company.
        samples = []
        for _ in range(DRAWS):
            sample = Counter[str]()
            for index in rng.integers(len(reference.tokens), size=len(recent.tokens)):
                sample.update(reference.tokens[index])
            samples.append(sample)
        drawn = [jensen_shannon(sample, before) for sample in samples if sample]
        divergence = jensen_shannon(now, before)
        found.append(("tokens", "Jensen-Shannon", divergence, config.divergence, drawn))
    unread = len(recent.refused) / max(1, len(recent.rows) + len(recent.refused))
    found.append(("unreadable", "share", round(unread, 6), config.unreadable, [0.0]))
    findings = []
    for name, kind, value, threshold, chances in found:
        chance = round(float(np.quantile(chances, 1 - CHANCE)), 6)
        drifted = value > max(threshold, chance)
        findings.append(
            Finding(
                name=name,
                index=kind,
                value=value,
                threshold=threshold,
                chance=chance,
                drifted=drifted,
            )
        )
    return Drift(
        drifted=any(finding.drifted for finding in findings),
        read=len(recent.rows),
        reference=len(reference.rows),
        refused=dict(sorted(recent.refused.items())),
        findings=tuple(findings),
    )


def write_report(out: Path, recent: Observed, reference: Observed, drift: Drift) -> None:
    """Write `verdict.json`, `index.html` and its pictures into an existing folder."""
    text = json.dumps(drift.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (out / "verdict.json").write_text(text + "\n", encoding="utf-8")
    sides = {"data set": reference, "recent": recent}
    pictures = {}
    if len(recent.rows):
        rows = pd.concat([side.rows.assign(file=name) for name, side in sides.items()])
        for name, (title, unit) in MEASURES.items():
            pictures[f"{name}.png"] = histogram(rows, name, title, unit, share="share")
    tokens = {name: sum(side.tokens, Counter[str]()) for name, side in sides.items()}
    if all(tokens.values()):
        pictures["tokens.png"] = symbols(tokens)
    for picture, data in pictures.items():
        (out / picture).write_bytes(data)
    page = rendered("monitor.html.j2", drift=drift, pictures=list(pictures), titles=TITLES)
    (out / "index.html").write_text(page, encoding="utf-8")
