"""Put a trained recogniser into the package: half precision, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from hmer.evaluation.metrics import METRICS
from hmer.export.folder import add_graphs
from hmer.export.runtime import SECTION
from hmer.files import atomic_folder
from hmer.models.about import read_about
from hmer.models.checkpoint import save_module
from hmer.models.mask_match import MaskMatch
from hmer.recognizer import Recognizer
from pipeline.dvcfile import read_report, scored_sets
from pipeline.rendering import rendered

CARD = "MODEL_CARD.md"
LARGEST = 16 * 2**20
"""Bytes that the weights and their description may have."""


def ship(model: Path, evaluation: Path, out: Path, notes: str) -> Path:
    """Write the recogniser `model` with its card into the folder `out`, in place of what was there.

    Args:
        model: folder of the recogniser.
        evaluation: metrics by set, as the stage `evaluate` writes them for this recogniser.
        out: folder of the package.
        notes: what else the card should say, in Markdown.

    Raises:
        HmerError: something is missing, or the weights are too large.
    """
    recognizer = Recognizer.load(model, backend="torch")
    described = read_about(model / "model.safetensors")
    about = {k: v for k, v in described.items() if k not in ("sha256", SECTION)}
    metrics = scored_sets(read_report(evaluation))
    if not metrics:
        raise HmerError(f"{evaluation}: no metrics there; run `dvc repro evaluate`")
    with atomic_folder(out) as folder:
        weights = folder / "model.safetensors"
        save_module(recognizer.model, weights, about, half=True)
        size = sum(file.stat().st_size for file in folder.iterdir())
        if size > LARGEST:
            raise HmerError(
                f"{model}: {size / 2**20:.1f} MiB in half precision; at most "
                f"{LARGEST / 2**20:.0f} are shipped: train a smaller recogniser"
            )
        if isinstance(recognizer.model, MaskMatch):
            add_graphs(folder)  # without weights
        size = sum(file.stat().st_size for file in folder.iterdir())
        (folder / CARD).write_text(card(recognizer, metrics, size, notes), encoding="utf-8")
    return out


def card(recognizer: Recognizer, metrics: dict[str, dict[str, Any]], size: int, notes: str) -> str:
    """The model card, in Markdown."""
    parameters = sum(p.numel() for p in recognizer.model.parameters())
    return rendered(
        "model_card.md.j2",
        name=recognizer.model.__class__.__name__,
        parameters=parameters / 1e6,
        mebibytes=size / 2**20,
        classes=len(recognizer.vocabulary),
        dialect=recognizer.vocabulary.name,
        unit=recognizer.render.unit,
        columns=[metric for metric in METRICS.values() if metric.headline],
        metrics=metrics,
        notes=notes.strip(),
    )
