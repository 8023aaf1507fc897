"""Recognisers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hmer.errors import HmerError
from hmer.models.interface import Recogniser
from hmer.models.mask_match import MaskMatch, MaskMatchConfig

RECOGNISERS: Mapping[str, Callable[[Mapping[str, Any], int], Recogniser]] = {
    "mask-match": lambda config, size: MaskMatch(MaskMatchConfig.model_validate(config), size),
}
"""Name to a function of configuration and vocabulary size."""


def build_recogniser(name: str, config: Mapping[str, Any], vocabulary: int) -> Recogniser:
    """A recogniser with fresh weights.

    Raises:
        HmerError: there is none of that name.
        pydantic.ValidationError: the configuration does not suit it.
    """
    if name not in RECOGNISERS:
        raise HmerError(f"no recogniser named {name!r}; there are: {', '.join(RECOGNISERS)}")
    return RECOGNISERS[name](config, vocabulary)
