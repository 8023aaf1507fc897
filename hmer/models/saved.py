"""A trained recogniser on disk: its network, its vocabulary and its scale."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.about import About, read_about, reason_of, told_of, weights_file
from hmer.models.catalog import build_recogniser
from hmer.models.interface import Recogniser
from hmer.models.older import as_it_was
from hmer.models.store import load_weights


class Saved(NamedTuple):
    """What one model folder holds."""

    name: str
    """Of the kind of recogniser: `mask-match`, `comer`, ..."""
    model: Recogniser
    """With its weights; without what only training needs, if that was left out."""
    vocabulary: Vocabulary
    trained: RenderConfig
    """How ink was drawn in its training."""
    render: RenderConfig
    """How it reads: the same, but for the scale if it reads better at another."""
    confidence_power: float
    """See `About`."""
    digest: str
    """SHA-256 of the weights."""


def load_recogniser(path: Path) -> Saved:
    """Load a model folder (model.safetensors with model.json) or its weights file.

    Raises:
        HmerError: it is missing, damaged, or not a recogniser.
    """
    with told_of(path):
        weights = weights_file(path)
        if not weights.is_file():
            raise HmerError(
                f"{weights}: no model there; train one (make repro) or name another folder"
            )
        about = read_about(weights)
        if about.get("kind") != "recogniser":
            raise HmerError(f"{weights}: is not a recogniser but: {about.get('kind')!r}")
        with told_of(weights.with_suffix(".json")):
            try:
                described = About.of(about)
                name = str(about["name"])
                config = as_it_was(name, about["config"])
                model = build_recogniser(name, config, described.vocabulary)
            except (KeyError, ValidationError, HmerError) as error:
                raise HmerError(
                    f"{weights.with_suffix('.json')}: does not describe a recogniser of this "
                    f"version ({reason_of(error)}); train the model again"
                ) from None
        load_weights(model, weights)
    return Saved(
        name,
        model,
        described.vocabulary,
        described.trained,
        described.render,
        described.confidence_power,
        str(about["sha256"]),
    )
