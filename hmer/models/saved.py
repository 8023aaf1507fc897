"""A trained recogniser on disk: its network, its vocabulary and its scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.catalog import build_recogniser
from hmer.models.interface import Recogniser
from hmer.models.older import as_it_was
from hmer.models.store import load_weights, read_about, told_of


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
    digest: str
    """SHA-256 of the weights."""


def weights_file(path: Path) -> Path:
    """The weights in a model folder; a file is taken as it is."""
    return path / "model.safetensors" if path.is_dir() else path


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
                vocabulary = Vocabulary.from_json(json.dumps(about["vocabulary"]))
                trained = RenderConfig.model_validate(about["render"])
                unit = about.get("reading_unit", trained.unit)
                render = RenderConfig.model_validate({**trained.model_dump(), "unit": unit})
                name = str(about["name"])
                model = build_recogniser(name, as_it_was(name, about["config"]), vocabulary)
            except (KeyError, ValidationError, HmerError) as error:
                raise HmerError(
                    f"{weights.with_suffix('.json')}: does not describe a recogniser of this "
                    f"version ({_reason(error)}); train the model again"
                ) from None
        load_weights(model, weights)
    return Saved(name, model, vocabulary, trained, render, str(about["sha256"]))


def _reason(error: Exception) -> str:
    """What is wrong with a model's description, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"no {error}" if isinstance(error, KeyError) else str(error)
