"""Recognisers by name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hmer.errors import HmerError
from hmer.latex.vocabulary import vocabulary
from hmer.models.catalog import build_recogniser
from hmer.models.mask_match import MaskMatch

WORDS = vocabulary("wap")
TINY = {
    "encoder": {"width": 8, "blocks": [1]},
    "decoder": {"layers": 1, "width": 16, "heads": 1, "feedforward": 16},
}


def test_builds_what_is_described() -> None:
    made = build_recogniser("mask-match", TINY, WORDS)
    assert isinstance(made, MaskMatch)
    assert (made.encoder.channels, made.stride) == (8, 2)
    assert made.decoder.head.out_features == made.symbol_head.out_features == len(WORDS)
    # What a configuration says of itself is enough to build the same again.
    again = build_recogniser("mask-match", made.config.model_dump(mode="json"), WORDS)
    assert [p.shape for p in again.parameters()] == [p.shape for p in made.parameters()]


def test_refuses() -> None:
    with pytest.raises(HmerError, match=r"'densewap'.*mask-match"):
        build_recogniser("densewap", TINY, WORDS)
    with pytest.raises(ValidationError, match="dekoder"):
        build_recogniser("mask-match", {"dekoder": {}}, WORDS)
