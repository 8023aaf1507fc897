"""What recognisers there are, and how large."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import BaseModel

from hmer.latex.vocabulary import vocabulary
from hmer.models.catalog import RECOGNISERS
from hmer.models.interface import Recogniser


@dataclass(frozen=True, slots=True)
class Listed:
    """One recogniser, with the defaults of its configuration."""

    name: str
    encoder: str
    stride: int
    """Pixels per cell."""
    parameters: int
    """Trainable weights."""
    inference: int
    """Those that reading needs."""
    dialect: str
    """Of the captions, as published."""
    vocabulary: int
    """Classes of the word head, specials included."""
    description: str


def listing() -> list[Listed]:
    """Every recogniser at its default size: the field's, for those that are published."""
    return [_listed(name) for name in RECOGNISERS]


def count_parameters(model: Recogniser) -> tuple[int, int]:
    """Trainable weights of all parts, and of those that reading needs."""
    sizes = {name: weights.numel() for name, weights in model.named_parameters()}
    needed = [name for name in sizes if name.split(".")[0] not in model.training_only]
    return sum(sizes.values()), sum(sizes[name] for name in needed)


def _listed(name: str) -> Listed:
    entry = RECOGNISERS[name]
    settings = entry.config()
    with torch.device("meta"):  # sizes without memory or time for weights
        model = entry.build(settings, vocabulary(entry.dialect))
    parameters, inference = count_parameters(model)
    return Listed(
        name=name,
        encoder=_encoder(settings),
        stride=model.stride,
        parameters=parameters,
        inference=inference,
        dialect=entry.dialect,
        vocabulary=model.classes,
        description=(type(model).__doc__ or "").strip().splitlines()[0],
    )


def _encoder(settings: BaseModel) -> str:
    """Name of the encoder."""
    return str(settings.model_dump()["encoder"]["name"])
