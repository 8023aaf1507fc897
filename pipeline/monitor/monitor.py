"""Has the input changed since training? Recent pictures or ink against the data set.

Both sides are read by the champion at its scale, so that they differ only where the input does:
recent files are prepared as `recognize` does, the data set's images were when they were ingested.
The reference is the validation split: from the same sources as the training data, but never trained
on, so that confidence can be compared too.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hmer.errors import HmerError
from hmer.files import atomic_file, atomic_folder, content_digest
from hmer.ingest.summary import SUMMARY
from hmer.recognizer import Recognizer
from pipeline.dvcfile import PARAMS
from pipeline.env import RESUME
from pipeline.gate.report import histogram, symbols
from pipeline.monitor.compare import Drift, MonitorConfig, compare
from pipeline.monitor.observe import (
    MEASURES,
    Observed,
    observe,
    prepared,
    recent_files,
    reference_images,
)
from pipeline.params import load_section
from pipeline.registry.versions import FOLDER
from pipeline.rendering import rendered

SPLIT = "data/dataset/val.parquet"
REPORT = "reports/monitor"
MEASURED = "at the scale of the data set"
"""How the reference is measured: one that was kept by other code is measured again."""
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
DRIFTED = 5
"""Exit code: recent input has drifted."""

Progress = Callable[[str, int], object]


def monitor(
    root: Path, folder: Path, progress: Progress = lambda what, done: None, model: str = FOLDER
) -> Drift:
    """Compare the newest files of `folder` with the data set, and write `reports/monitor/`.

    Args:
        root: the project.
        folder: recent pictures and InkML.
        progress: told what is being read and how many have been.
        model: folder with the recogniser.

    Raises:
        HmerError: nothing to compare, no champion, no data set, too few files, or wrong parameters.
    """
    config = load_section(root / PARAMS, "monitor", MonitorConfig)
    files = recent_files(folder, config.most)
    recognizer = Recognizer.load(root / model)
    sources = [(str(path.relative_to(folder)), path) for path in files]
    images, refused = prepared(recognizer, sources)
    recent = observe(recognizer, images, config.beam, lambda done: progress("recent", done))
    recent.refused.update(refused)
    unread = len(recent.refused) > config.unreadable * len(files)
    if len(recent.rows) < config.least and not unread:
        raise HmerError(
            f"{folder}: {len(recent.rows)} files can be read, fewer than monitor.least = "
            f"{config.least}: too few to tell drift from chance"
        )
    reference = _reference(root, root / model, recognizer, config, progress)
    drift = compare(recent, reference, config)
    with atomic_folder(root / REPORT) as out:
        write_report(out, recent, reference, drift)
    return drift


def _reference(
    root: Path, model: Path, recognizer: Recognizer, config: MonitorConfig, progress: Progress
) -> Observed:
    """The data set's side, kept from one call to the next: it takes longest."""
    files = [root / SPLIT, (root / SPLIT).with_name(SUMMARY)]
    parts = [MEASURED, content_digest(model)]
    parts += [content_digest(file) if file.is_file() else "" for file in files]
    digest = hashlib.sha256(json.dumps([*parts, config.reference, config.beam]).encode())
    kept = root / RESUME / "monitor" / f"{digest.hexdigest()[:16]}.json"
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        return Observed(pd.DataFrame(found["rows"]), [Counter(one) for one in found["tokens"]])
    images = reference_images(root / SPLIT, config.reference, recognizer.render)
    seen = observe(recognizer, images, config.beam, lambda done: progress("data set", done))
    if kept.parent.is_dir():
        for old in kept.parent.iterdir():
            old.unlink()
    with atomic_file(kept) as partial:
        values = {"rows": seen.rows.to_dict("list"), "tokens": seen.tokens}
        partial.write_text(json.dumps(values), encoding="utf-8")
    return seen


def write_report(out: Path, recent: Observed, reference: Observed, drift: Drift) -> None:
    """Write `verdict.json`, `index.html` and its pictures into an existing folder."""
    text = json.dumps(drift.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (out / "verdict.json").write_text(text + "\n", encoding="utf-8")
    sides = {"data set": reference, "recent": recent}
    pictures = {}
    if len(recent.rows):
        rows = pd.concat([side.rows.assign(file=name) for name, side in sides.items()])
        for name in MEASURES:
            pictures[f"{name}.png"] = histogram(rows, name, *TITLES[name], share="share")
    tokens = {name: sum(side.tokens, Counter[str]()) for name, side in sides.items()}
    if all(tokens.values()):
        pictures["tokens.png"] = symbols(tokens)
    for picture, data in pictures.items():
        (out / picture).write_bytes(data)
    page = rendered("monitor.html.j2", drift=drift, pictures=list(pictures), titles=TITLES)
    (out / "index.html").write_text(page, encoding="utf-8")
