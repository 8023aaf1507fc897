"""Training that goes on from a finished recogniser: on more data, or on one's own."""

from __future__ import annotations

from pathlib import Path

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.catalog import recogniser_entry
from hmer.models.choice import ModelConfig
from hmer.models.saved import Saved, load_recogniser


def further(
    choice: ModelConfig, start: Path, vocabulary: Vocabulary, render: RenderConfig
) -> Saved:
    """The recogniser in the folder `start`, if it is of the kind that is to be trained.

    Parts that only training needs are not in the folder: they have fresh weights.

    Args:
        choice: which recogniser; what it says of sizes must be so.
        start: folder of a trained recogniser.
        vocabulary: of the captions; token for token that of the recogniser.
        render: scale of the images, which must be that of the recogniser.

    Raises:
        HmerError: it is missing, damaged, or of another kind, size, vocabulary or scale.
    """
    try:
        found = load_recogniser(start)
    except HmerError as error:
        raise HmerError(f"finetune.start: {error}") from None
    if found.name != choice.name:
        raise HmerError(
            f"finetune.start: {start} holds a {found.name}, but model.name is {choice.name}; "
            "set one to the other"
        )
    if found.vocabulary.tokens != vocabulary.tokens:
        raise HmerError(
            f"finetune.start: {start} writes {len(found.vocabulary)} classes of dialect "
            f"{found.vocabulary.name}, the captions have {len(vocabulary)} of {vocabulary.name}; "
            "ingest the captions in its dialect (ingest.dialect), or train from the beginning"
        )
    for name, value in found.render:
        if getattr(render, name) != value:
            raise HmerError(
                f"finetune.start: {start} reads ink drawn with {name} {value:g}; set "
                f"base.render.{name} to that (it is {getattr(render, name):g})"
            )
    if other := _other(found.model.config, choice.with_parts({}), choice.given):
        raise HmerError(
            f"finetune.start: {start} has another {other} than model.{other} says; leave that out"
        )
    # A finished recogniser has lost what only training needs; that begins anew.
    model = recogniser_entry(found.name).build(found.model.config, vocabulary)
    model.load_state_dict({**model.state_dict(), **found.model.state_dict()})
    return found._replace(model=model)


def _other(trained: object, wanted: object, given: object, place: str = "") -> str:
    """The first setting that was given and differs from the trained one; "" if there is none."""
    if not isinstance(given, dict):
        return "" if trained == wanted else place
    for name, value in given.items():
        mine, theirs = (getattr(part, name, None) for part in (trained, wanted))
        inner = f"{place}.{name}" if place else name
        if found := _other(mine, theirs, value, inner):
            return found
    return ""
