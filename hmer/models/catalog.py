"""Recognisers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from hmer.errors import HmerError
from hmer.latex.vocabulary import Vocabulary
from hmer.models.attention_coverage import AttentionCoverage, AttentionCoverageConfig
from hmer.models.bttr import BTTR, BTTRConfig
from hmer.models.comer import CoMER, CoMERConfig
from hmer.models.hmer_mtl import HmerMtl, HmerMtlConfig
from hmer.models.ical import ICAL, ICALConfig
from hmer.models.interface import Recogniser
from hmer.models.mask_match import MaskMatch, MaskMatchConfig
from hmer.models.posformer import PosFormer, PosFormerConfig


class Entry(NamedTuple):
    """One kind of recogniser."""

    config: type[BaseModel]
    build: Callable[[Any, Vocabulary], Recogniser]
    """From a `config` and a vocabulary."""
    dialect: str
    """Of the captions that the published system was trained on."""


RECOGNISERS: Mapping[str, Entry] = {
    "mask-match": Entry(MaskMatchConfig, lambda c, words: MaskMatch(c, len(words)), "wap"),
    "attention-coverage": Entry(AttentionCoverageConfig, AttentionCoverage, "wap"),
    "bttr": Entry(BTTRConfig, BTTR, "wap"),
    "comer": Entry(CoMERConfig, CoMER, "comer"),
    "hmer-mtl": Entry(HmerMtlConfig, HmerMtl, "comer"),
    "posformer": Entry(PosFormerConfig, PosFormer, "comer"),
    "ical": Entry(ICALConfig, ICAL, "comer"),
}
"""Name to what it is made of."""


def recogniser_entry(name: str) -> Entry:
    """What a recogniser of that name is made of.

    Raises:
        HmerError: there is none of that name.
    """
    if name not in RECOGNISERS:
        raise HmerError(f"no recogniser named {name!r}; there are: {', '.join(RECOGNISERS)}")
    return RECOGNISERS[name]


def build_recogniser(name: str, config: Mapping[str, Any], vocabulary: Vocabulary) -> Recogniser:
    """A recogniser with fresh weights.

    Raises:
        HmerError: there is none of that name.
        pydantic.ValidationError: the configuration does not suit it.
    """
    entry = recogniser_entry(name)
    return entry.build(entry.config.model_validate(config), vocabulary)
